/* The snapshot, read over rtnetlink. */
#include "machine/machine.h"
#include "machine/rtnl_route.h"

#include <errno.h>
#include <linux/ipv6.h> /* DEVCONF_USE_TEMPADDR */
#include <stdlib.h>
#include <string.h>

/* The kernel marks a dump during which something changed. After this number of tries the caller gets -EINTR.
 */
enum { READ_TRIES = 5 };

/* The rank of a link's best default route so far, by family. Lower is better, 0 means none yet. */
struct rank {
    uint64_t of4, of6;
};

struct reading {
    struct machine m;
    struct rank *ranks; /* one for each of m.links */
};

static int out_of_memory(void)
{
    errno = ENOMEM;
    return MNL_CB_ERROR;
}

/* --- links ---------------------------------------------------------------------------------------------- */

static void read_link_kind(const struct nlattr *link_info, char *out, size_t size)
{
    const struct nlattr *table[IFLA_INFO_MAX + 1] = {NULL};

    if (link_info)
        rtnl_table(mnl_attr_get_payload(link_info), mnl_attr_get_payload_len(link_info), table,
                   IFLA_INFO_MAX);
    rtnl_text(table[IFLA_INFO_KIND], out, size);
}

static bool link_prefers_temporary(const struct nlattr *families)
{
    const struct nlattr *table[AF_INET6 + 1] = {NULL}, *conf[IFLA_INET6_MAX + 1] = {NULL};
    int32_t use = 0;
    const size_t at = DEVCONF_USE_TEMPADDR * sizeof use;

    if (families)
        rtnl_table(mnl_attr_get_payload(families), mnl_attr_get_payload_len(families), table, AF_INET6);
    if (table[AF_INET6])
        rtnl_table(mnl_attr_get_payload(table[AF_INET6]), mnl_attr_get_payload_len(table[AF_INET6]), conf,
                   IFLA_INET6_MAX);
    if (conf[IFLA_INET6_CONF] && mnl_attr_get_payload_len(conf[IFLA_INET6_CONF]) >= at + sizeof use)
        memcpy(&use, (const char *)mnl_attr_get_payload(conf[IFLA_INET6_CONF]) + at, sizeof use);
    return use >= 2; /* 1 creates them, but programs must ask for them (ip-sysctl.rst, "use_tempaddr") */
}

/* The list has only names. */
static int add_altnames(struct machine *m, int link, const struct nlattr *list)
{
    const struct nlattr *attr;

    for (size_t at = 0; (attr = rtnl_next(list, &at));) {
        if (mnl_attr_get_type(attr) != IFLA_ALT_IFNAME)
            continue;
        struct machine_altname *all = reallocarray(m->altnames, m->n_altnames + 1, sizeof *all);
        if (!all)
            return out_of_memory();
        m->altnames = all;
        struct machine_altname *one = &all[m->n_altnames++];
        one->link = link;
        rtnl_text(attr, one->name, sizeof one->name);
    }
    return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *nlh, void *data)
{
    struct machine *m = &((struct reading *)data)->m;
    const struct nlattr *table[IFLA_MAX + 1];
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof *info)
        return MNL_CB_OK;
    struct machine_link *links = reallocarray(m->links, m->n_links + 1, sizeof *links);
    if (!links)
        return out_of_memory();
    m->links = links;

    rtnl_message_table(nlh, sizeof *info, table, IFLA_MAX);
    struct machine_link *link = &links[m->n_links++];
    *link = (struct machine_link){
        .index = info->ifi_index,
        .master = (int)rtnl_u32(table[IFLA_MASTER]),
        .up = info->ifi_flags & IFF_UP,
        .carrier = info->ifi_flags & IFF_RUNNING,
        .loopback = info->ifi_flags & IFF_LOOPBACK,
        .point_to_point = info->ifi_flags & IFF_POINTOPOINT,
        .temporary6 = link_prefers_temporary(table[IFLA_AF_SPEC]),
    };
    rtnl_text(table[IFLA_IFNAME], link->name, sizeof link->name);
    read_link_kind(table[IFLA_LINKINFO], link->kind, sizeof link->kind);
    return table[IFLA_PROP_LIST] ? add_altnames(m, link->index, table[IFLA_PROP_LIST]) : MNL_CB_OK;
}

/* --- addresses ------------------------------------------------------------------------------------------ */

static int on_address(const struct nlmsghdr *nlh, void *data)
{
    struct machine *m = &((struct reading *)data)->m;
    const struct nlattr *table[IFA_MAX + 1];
    const struct ifaddrmsg *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof *info)
        return MNL_CB_OK;
    rtnl_message_table(nlh, sizeof *info, table, IFA_MAX);
    int link = (int)info->ifa_index;
    /* If both exist, IFA_ADDRESS is the peer's, on a point-to-point line. */
    struct addr addr = rtnl_route_addr(table[table[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS], link);
    if (addr_family(&addr) == AF_UNSPEC)
        return MNL_CB_OK;
    struct machine_addr *addrs = reallocarray(m->addrs, m->n_addrs + 1, sizeof *addrs);
    if (!addrs)
        return out_of_memory();
    m->addrs = addrs;

    uint32_t flags = table[IFA_FLAGS] ? rtnl_u32(table[IFA_FLAGS]) : info->ifa_flags;
    addrs[m->n_addrs++] = (struct machine_addr){
        .link = link,
        .addr = addr,
        .prefix = info->ifa_prefixlen,
        .scope = info->ifa_scope,
        /* For an IPv4 address the same bit means "secondary". */
        .temporary = addr_family(&addr) == AF_INET6 && flags & IFA_F_TEMPORARY,
        .deprecated = flags & IFA_F_DEPRECATED,
        /* An optimistic address may be used during its verification (RFC 4429). */
        .tentative = (flags & IFA_F_TENTATIVE && !(flags & IFA_F_OPTIMISTIC)) || flags & IFA_F_DADFAILED,
    };
    return MNL_CB_OK;
}

/* --- routes --------------------------------------------------------------------------------------------- */

/* The best default route of a link is one in the main table, then the one with the lowest metric. */
static void note_default(struct reading *r, int family, const struct rtnl_route *route,
                         const struct rtnl_route_hop *hop)
{
    uint64_t rank = 1 + ((uint64_t)(route->table != RT_TABLE_MAIN) << 32 | route->metric);

    for (size_t i = 0; i < r->m.n_links; i++) {
        struct machine_link *link = &r->m.links[i];
        uint64_t *best = family == AF_INET ? &r->ranks[i].of4 : &r->ranks[i].of6;
        if (link->index != hop->link || (*best != 0 && *best <= rank))
            continue;
        *best = rank;
        *(family == AF_INET ? &link->default4 : &link->default6) = true;
        *(family == AF_INET ? &link->gateway4 : &link->gateway6) = hop->gateway;
        *(family == AF_INET ? &link->table4 : &link->table6) = route->table;
    }
}

static int on_route(const struct nlmsghdr *nlh, void *data)
{
    const struct rtmsg *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof *info)
        return MNL_CB_OK;
    /* Skip routes that refuse packets, and those that deliver all packets to this machine (transparent
     * proxies). */
    if (info->rtm_dst_len != 0 || info->rtm_type != RTN_UNICAST ||
        (info->rtm_family != AF_INET && info->rtm_family != AF_INET6))
        return MNL_CB_OK;
    struct rtnl_route route = rtnl_route_of(nlh);
    if (!route.multipath) {
        note_default(data, info->rtm_family, &route, &route.hop);
        return MNL_CB_OK;
    }
    struct rtnl_route_hop hop;
    for (size_t at = 0; rtnl_route_next_hop(route.multipath, &at, &hop);)
        note_default(data, info->rtm_family, &route, &hop);
    return MNL_CB_OK;
}

/* --- the snapshot --------------------------------------------------------------------------------------- */

/* ifinfomsg is the longest header of the three types. */
static int dump(uint16_t type, int family, mnl_cb_t cb, struct reading *reading)
{
    return rtnl_dump(type, sizeof(struct ifinfomsg), family, cb, reading);
}

static int read_routes(struct reading *reading)
{
    reading->ranks = calloc(reading->m.n_links + 1, sizeof *reading->ranks);
    if (!reading->ranks)
        return -ENOMEM;
    int r = dump(RTM_GETROUTE, AF_INET, on_route, reading);
    if (r < 0)
        return r;
    r = dump(RTM_GETROUTE, AF_INET6, on_route, reading);
    /* A kernel without IPv6 has no IPv6 routes. */
    return r == -EOPNOTSUPP || r == -EAFNOSUPPORT ? 0 : r;
}

static int read_once(struct machine *ret, bool routes)
{
    struct reading reading = {.ranks = NULL};

    int r = dump(RTM_GETLINK, AF_UNSPEC, on_link, &reading);
    if (r == 0)
        r = dump(RTM_GETADDR, AF_UNSPEC, on_address, &reading);
    if (r == 0 && routes)
        r = read_routes(&reading);
    free(reading.ranks);
    if (r < 0)
        machine_done(&reading.m);
    else
        *ret = reading.m;
    return r;
}

static int read_patiently(struct machine *ret, bool routes)
{
    int r = -EINTR;

    for (int i = 0; i < READ_TRIES && r == -EINTR; i++)
        r = read_once(ret, routes);
    return r;
}

int machine_read(struct machine *ret)
{
    return read_patiently(ret, true);
}

int machine_read_links(struct machine *ret)
{
    return read_patiently(ret, false);
}
