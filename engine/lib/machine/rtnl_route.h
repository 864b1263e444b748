/* Addresses and routes in rtnetlink messages. Only for this room. */
#ifndef STEERWAY_MACHINE_RTNL_ROUTE_H
#define STEERWAY_MACHINE_RTNL_ROUTE_H

#include "addr/addr.h"
#include "netlink/rtnl.h"

/** Read an address. A link-local one gets the link as its scope. @return AF_UNSPEC for anything else, and for
 * attr NULL */
struct addr rtnl_route_addr(const struct nlattr *attr, int link);

/** One next hop: RTA_OIF and RTA_GATEWAY, or RTA_VIA if an IPv4 route has an IPv6 gateway (RFC 8950). */
struct rtnl_route_hop {
    int link;
    struct addr gateway;
};

struct rtnl_route {
    struct rtnl_route_hop hop;
    struct addr source; /* RTA_PREFSRC */
    uint32_t table, metric;
    const struct nlattr *multipath; /* if not NULL, it has the hops */
};

/** @param nlh  an RTM_NEWROUTE with at least a struct rtmsg */
struct rtnl_route rtnl_route_of(const struct nlmsghdr *nlh);
/** Iterate over RTA_MULTIPATH; *at is 0 at first. @return false after the last */
bool rtnl_route_next_hop(const struct nlattr *multipath, size_t *at, struct rtnl_route_hop *ret);

#endif
