#include "machine/neighbour.h"

#include "machine/rtnl_route.h"

#include <linux/neighbour.h>
#include <stdio.h>

/* The kernel's NUD_VALID: states with a usable MAC address. */
enum { NUD_ANSWERED = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY };

struct search {
    int link;
    const struct addr *wanted; /* NULL: any router */
    struct neighbour found;
    struct addr router;
};

static void write_mac(const struct nlattr *attr, char out[NEIGHBOUR_MAC_TEXT_MAX])
{
    const uint8_t *mac = attr ? mnl_attr_get_payload(attr) : NULL;
    size_t len = attr ? mnl_attr_get_payload_len(attr) : 0, at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < len && at + 4 <= NEIGHBOUR_MAC_TEXT_MAX; i++)
        at += (size_t)snprintf(out + at, NEIGHBOUR_MAC_TEXT_MAX - at, "%s%02x", i == 0 ? "" : ":", mac[i]);
}

static int on_neighbour(const struct nlmsghdr *nlh, void *data)
{
    struct search *s = data;
    const struct nlattr *table[NDA_MAX + 1];
    const struct ndmsg *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(nlh) < sizeof *info ||
        info->ndm_ifindex != s->link)
        return MNL_CB_OK;
    rtnl_message_table(nlh, sizeof *info, table, NDA_MAX);
    struct addr a = rtnl_route_addr(table[NDA_DST], s->link);
    bool answered = info->ndm_state & NUD_ANSWERED;
    if (!s->wanted) {
        if (answered && info->ndm_flags & NTF_ROUTER && addr_family(&a) == AF_INET6)
            s->router = a;
        return MNL_CB_OK;
    }
    if (!addr_same_ip(&a, s->wanted) || !(answered || info->ndm_state & (NUD_INCOMPLETE | NUD_FAILED)))
        return MNL_CB_OK;
    s->found.state = answered ? NEIGHBOUR_KNOWN : NEIGHBOUR_SILENT;
    if (answered)
        write_mac(table[NDA_LLADDR], s->found.mac);
    return MNL_CB_OK;
}

/* The dump has the neighbours of all links; on_neighbour skips the others. */
static void neighbour_look(struct search *s, int family)
{
    (void)!rtnl_dump(RTM_GETNEIGH, sizeof(struct ndmsg), family, on_neighbour, s);
}

struct neighbour neighbour_of(const struct addr *a, int link)
{
    struct search s = {.link = link, .wanted = a};

    neighbour_look(&s, addr_family(a));
    return s.found;
}

bool neighbour_router6(int link, struct addr *ret)
{
    struct search s = {.link = link, .router = {.sa.sa_family = AF_UNSPEC}};

    neighbour_look(&s, AF_INET6);
    if (addr_family(&s.router) == AF_UNSPEC)
        return false;
    *ret = s.router;
    return true;
}
