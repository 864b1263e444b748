#include "machine/rtnl_route.h"

#include <string.h>

static struct addr addr_on(const uint8_t *ip, size_t len, int link)
{
    struct addr a = {.in6 = {.sin6_family = AF_UNSPEC}};

    if (addr_from_ip(&a, ip, len, 0) == 0 && addr_family(&a) == AF_INET6 &&
        IN6_IS_ADDR_LINKLOCAL(&a.in6.sin6_addr))
        a.in6.sin6_scope_id = (uint32_t)link;
    return a;
}

struct addr rtnl_route_addr(const struct nlattr *attr, int link)
{
    if (!attr)
        return addr_on(NULL, 0, link);
    return addr_on(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), link);
}

static struct addr gateway_of(const struct nlattr *const table[], int link)
{
    const struct nlattr *attr = table[RTA_VIA];

    if (!attr || mnl_attr_get_payload_len(attr) <= sizeof(struct rtvia))
        return rtnl_route_addr(table[RTA_GATEWAY], link);
    const struct rtvia *via = mnl_attr_get_payload(attr);
    return addr_on(via->rtvia_addr, mnl_attr_get_payload_len(attr) - sizeof *via, link);
}

struct rtnl_route rtnl_route_of(const struct nlmsghdr *nlh)
{
    const struct nlattr *table[RTA_MAX + 1];
    const struct rtmsg *info = mnl_nlmsg_get_payload(nlh);

    rtnl_message_table(nlh, sizeof *info, table, RTA_MAX);
    int link = (int)rtnl_u32(table[RTA_OIF]);
    return (struct rtnl_route){
        .hop = {.link = link, .gateway = gateway_of(table, link)},
        .source = rtnl_route_addr(table[RTA_PREFSRC], link),
        /* The header has only room for tables up to 255. */
        .table = table[RTA_TABLE] ? rtnl_u32(table[RTA_TABLE]) : info->rtm_table,
        .metric = rtnl_u32(table[RTA_PRIORITY]),
        .multipath = table[RTA_MULTIPATH],
    };
}

bool rtnl_route_next_hop(const struct nlattr *multipath, size_t *at, struct rtnl_route_hop *ret)
{
    const struct nlattr *table[RTA_MAX + 1];
    const char *data = mnl_attr_get_payload(multipath);
    size_t len = mnl_attr_get_payload_len(multipath);
    struct rtnexthop hop;

    if (*at >= len || len - *at < sizeof hop)
        return false;
    memcpy(&hop, data + *at, sizeof hop);
    if (hop.rtnh_len < sizeof hop || hop.rtnh_len > len - *at)
        return false;
    rtnl_table(data + *at + sizeof hop, hop.rtnh_len - sizeof hop, table, RTA_MAX);
    *ret = (struct rtnl_route_hop){.link = hop.rtnh_ifindex, .gateway = gateway_of(table, hop.rtnh_ifindex)};
    *at += (size_t)RTNH_ALIGN(hop.rtnh_len);
    return true;
}
