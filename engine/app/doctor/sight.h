/* Reads the machine's state for an uplink and for this process, without sending packets. judge.h judges
 * it. */
#ifndef STEERWAY_DOCTOR_SIGHT_H
#define STEERWAY_DOCTOR_SIGHT_H

#include "machine/neighbour.h"

#include <limits.h>
#include <sys/resource.h>

struct machine;
struct machine_link;
struct uplink;

/** One address family of one uplink. */
struct sight_family {
    int family;         /* AF_INET or AF_INET6 */
    bool used;          /* the uplink has an address of this family */
    struct addr source; /* that address, or AF_UNSPEC */
    bool leaves;        /* a packet to the internet, bound and marked like the uplink's, has a route */
    uint32_t
        bit_apart; /* a packet without this bit of its mark has a route, and one with it has none; or 0 */
    struct addr router; /* that route's gateway; AF_UNSPEC for none */
    struct neighbour router_is;
    uint32_t table;            /* routing table with the link's best default route; 0 for none */
    bool barred;               /* a rule turns packets of this or another uplink away */
    uint32_t barrier;          /* that rule's priority */
    struct addr router_likely; /* without a route: a guess at the router; AF_UNSPEC for none */
};

/** Kernel settings; -1 for a setting that cannot be read. */
struct sight_settings {
    long rp_filter, rp_filter_all;
    long arp_ignore, arp_ignore_all;
    long ipv6_off, ipv6_off_all;
    long accept_ra, forwarding6;
};

struct sight {
    const struct uplink *uplink;
    const struct machine_link *link; /* from the given machine; NULL when the interface does not exist */
    const char *near;                /* for a missing interface: a link with a similar name; or NULL */
    bool line;                       /* the address belongs to its link, not to loopback */
    int mtu;                         /* bytes; 0 for unknown */
    bool back_by_other; /* the best IPv4 route to the internet from its address leaves by another link */
    uint8_t prefix4;    /* prefix length of its address */
    char mac[NEIGHBOUR_MAC_TEXT_MAX]; /* of the link; "" when unknown, or when links on the same wire share it
                                       */
    char seen[ADDR_TEXT_MAX];         /* the public address, if it was asked for; "" for unknown */
    const struct machine_link
        *also; /* for an uplink given by address: another link with that address; or NULL */
    struct sight_family four, six;
    struct sight_settings settings;
};

/** @param m  must outlive ret */
void sight_of_uplink(struct sight *ret, const struct uplink *u, const struct machine *m);

/** The rights and limits that the proxy would have. */
struct sight_self {
    bool root, may_bind, may_administer; /* CAP_NET_BIND_SERVICE, CAP_NET_ADMIN */
    long first_port;                     /* first port that needs no privilege */
    struct rlimit files;
    char program[PATH_MAX]; /* "" for unknown */
};

void sight_of_self(struct sight_self *ret);

#endif
