/* Where a packet would leave. */
#include "machine/machine.h"
#include "machine/rtnl_route.h"

#include <errno.h>

struct answer {
    struct machine_route route;
    unsigned type;   /* RTN_UNICAST, RTN_LOCAL, … */
    unsigned prefix; /* of the matched route, with RTM_F_FIB_MATCH */
    bool several;    /* it has several next hops */
    bool got;
};

static int on_answer(const struct nlmsghdr *nlh, void *data)
{
    struct answer *answer = data;

    if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(struct rtmsg))
        return MNL_CB_OK;
    const struct rtmsg *info = mnl_nlmsg_get_payload(nlh);
    struct rtnl_route route = rtnl_route_of(nlh);
    *answer = (struct answer){
        .route = {.link = route.hop.link, .gateway = route.hop.gateway, .source = route.source},
        .type = info->rtm_type,
        .prefix = info->rtm_dst_len,
        .several = route.multipath,
        .got = true,
    };
    return MNL_CB_OK;
}

static void put_addr(struct nlmsghdr *nlh, uint16_t type, const struct addr *a, uint8_t *ret_bits)
{
    size_t len;
    const uint8_t *ip = addr_ip(a, &len);

    mnl_attr_put(nlh, type, len, ip);
    *ret_bits = (uint8_t)(len * 8);
}

static int route_ask(const struct machine_packet *p, unsigned flags, struct answer *ret)
{
    struct rtnl_request request;
    struct answer answer = {.got = false};
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.space);
    nlh->nlmsg_type = RTM_GETROUTE;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    struct rtmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);
    info->rtm_family = (unsigned char)addr_family(p->to);
    info->rtm_flags = flags;
    put_addr(nlh, RTA_DST, p->to, &info->rtm_dst_len);
    if (p->source)
        put_addr(nlh, RTA_SRC, p->source, &info->rtm_src_len);
    if (p->link != 0)
        mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)p->link);
    if (p->mark != 0)
        mnl_attr_put_u32(nlh, RTA_MARK, p->mark);
    int r = rtnl_ask(nlh, on_answer, &answer);
    if (r < 0)
        return r;
    if (!answer.got)
        return -ENETUNREACH;
    *ret = answer;
    return 0;
}

static int query(const struct machine_packet *p, unsigned flags, struct machine_route *ret)
{
    struct answer answer;
    int r = route_ask(p, flags, &answer);

    if (r == 0)
        *ret = answer.route;
    return r;
}

/* If no route leads there, the kernel assumes a neighbour on the given link, and reports that as a route.
 * With RTM_F_FIB_MATCH it reports that no route matches. */
static int query4(const struct machine_packet *p, struct machine_route *ret)
{
    struct machine_route matched;

    if (p->link != 0) {
        int r = query(p, RTM_F_FIB_MATCH, &matched);
        if (r < 0)
            return r == -EHOSTUNREACH ? -ENETUNREACH : r;
    }
    return query(p, 0, ret);
}

/* A socket that is bound to a device uses only routes by that device. Without a source this request does the
 * same. With a source it prefers a better route by another link. */
static int query6(struct machine_packet p, struct machine_route *ret)
{
    struct machine_route route;
    int r = query(&p, 0, &route);

    if (r == 0 && p.source && p.link != 0 && route.link != p.link) {
        p.source = NULL;
        r = query(&p, 0, &route);
    }
    if (r == 0)
        *ret = route;
    return r;
}

/* Some VPNs have two routes of one bit in place of a default route. */
enum { DEFAULT_BITS_MAX = 7 };

/* Whether the route to this address is the one to the internet. Some machines have a route to one address
 * only, to block a well-known name server. Where no route matches, a rule may have decided, so the address
 * still serves. */
static bool is_like_others(const struct addr *to)
{
    struct answer matched;
    int r = route_ask(&(struct machine_packet){.to = to}, RTM_F_FIB_MATCH, &matched);

    return r < 0 ? r == -ENETUNREACH : matched.prefix <= DEFAULT_BITS_MAX;
}

int machine_internet(int family, struct addr *ret)
{
    /* A public name server, and two root name servers. */
    static const char *const four[] = {"1.1.1.1", "198.41.0.4", "193.0.14.129"}, *const six[] = {
                                                                                     "2606:4700:4700::1111",
                                                                                     "2001:503:ba3e::2:30",
                                                                                     "2001:7fd::1"};
    const char *const *all = family == AF_INET ? four : six;

    for (size_t i = 0; i < ARRAY_LEN(four); i++)
        if (addr_parse_ip(ret, slice_str(all[i]), 0) == 0 && is_like_others(ret))
            return 0;
    return addr_parse_ip(ret, slice_str(all[0]), 0);
}

int machine_route_hint(const struct machine_packet *packet, struct addr *ret_source)
{
    struct machine_route matched;
    int r = query(packet, RTM_F_FIB_MATCH, &matched);

    if (r == 0)
        *ret_source = matched.source;
    return r == -EHOSTUNREACH ? -ENETUNREACH : r;
}

int machine_route_get(const struct machine_packet *packet, struct machine_route *ret)
{
    struct machine_packet p = *packet;
    struct machine_route route;

    if (p.source && addr_family(p.source) == AF_UNSPEC)
        p.source = NULL;
    if (p.source && addr_family(p.source) != addr_family(p.to))
        return -EINVAL;
    int r;
    if (addr_family(p.to) == AF_INET)
        r = query4(&p, &route);
    else if (addr_family(p.to) == AF_INET6)
        r = query6(p, &route);
    else
        r = -EAFNOSUPPORT;
    if (r < 0)
        return r;
    if (p.source)
        route.source = *p.source;
    *ret = route;
    return 0;
}

int machine_neighbour(const struct addr *to, int *ret_link)
{
    struct answer matched;

    if (addr_family(to) != AF_INET && addr_family(to) != AF_INET6)
        return -EAFNOSUPPORT;
    /* The scope of a link-local address names the link. */
    int scope = addr_family(to) == AF_INET6 ? (int)to->in6.sin6_scope_id : 0;
    int r = route_ask(&(struct machine_packet){.to = to, .link = scope}, RTM_F_FIB_MATCH, &matched);
    if (r < 0)
        return r == -EHOSTUNREACH ? -ENETUNREACH : r;
    if (matched.type == RTN_LOCAL) {
        *ret_link = 0;
        return 0;
    }
    if (matched.type != RTN_UNICAST || matched.prefix == 0 || matched.several || matched.route.link == 0 ||
        addr_family(&matched.route.gateway) != AF_UNSPEC)
        return -ENETUNREACH;
    *ret_link = matched.route.link;
    return 0;
}
