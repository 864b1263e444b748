/* Addresses and routes in the kernel's rtnetlink messages. For the machine's files alone. */
#ifndef STEERWAY_MACHINE_RTNL_ROUTE_H
#define STEERWAY_MACHINE_RTNL_ROUTE_H

#include "addr/addr.h"
#include "netlink/rtnl.h"

/** A link-local address gets the link as its scope; AF_UNSPEC for anything but an address. */
struct addr rtnl_route_addr(const struct nlattr *attr, int link);

/** One way out: RTA_OIF and RTA_GATEWAY, or RTA_VIA where an IPv4 route has an IPv6 gateway (RFC 8950). */
struct rtnl_route_hop {
    int link;
    struct addr gateway;
};

struct rtnl_route {
    struct rtnl_route_hop hop;
    struct addr source; /* RTA_PREFSRC */
    uint32_t table, metric;
    const struct nlattr *multipath; /* if not NULL, the hops are in there */
};

/** @param nlh  an RTM_NEWROUTE that holds a struct rtmsg at least */
struct rtnl_route rtnl_route_of(const struct nlmsghdr *nlh);
/** Step through RTA_MULTIPATH; *at is 0 at first. @return false when there are no more */
bool rtnl_route_next_hop(const struct nlattr *multipath, size_t *at, struct rtnl_route_hop *ret);

#endif
