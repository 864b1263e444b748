/* What the machine shows of an uplink, and of itself, read without sending anything. judge.h says what to
 * think of it. */
#ifndef STEERWAY_DOCTOR_SIGHT_H
#define STEERWAY_DOCTOR_SIGHT_H

#include "machine/neighbour.h"
#include "uplink/uplink.h"

#include <limits.h>
#include <sys/resource.h>

/** One family of one uplink. */
struct sight_family {
    int family;         /* AF_INET or AF_INET6 */
    bool used;          /* the uplink has an address of it */
    struct addr source; /* that; else AF_UNSPEC */
    bool leaves;        /* a packet to the internet, bound and marked as the uplink's are, has a way */
    struct addr router; /* by which that goes; AF_UNSPEC for none */
    struct neighbour router_is;
    uint32_t table;            /* which holds the link's best default route; 0: there is none */
    bool barred;               /* a rule turns packets away, of this uplink or others */
    uint32_t barrier;          /* its priority */
    struct addr router_likely; /* where there is no route: who may be the router; AF_UNSPEC for nobody */
};

/** The kernel's settings; -1 for those that cannot be read. */
struct sight_settings {
    long rp_filter, rp_filter_all;
    long arp_ignore, arp_ignore_all;
    long ipv6_off, ipv6_off_all;
    long accept_ra, forwarding6;
};

struct sight {
    const struct uplink *uplink;
    const struct machine_link *link; /* of the machine that was given; NULL: it is not there */
    const char *near;   /* of an interface that is not there: a link's name that is much like it; or NULL */
    bool line;          /* the address is its link's: not one of loopback, which the whole machine has */
    int mtu;            /* octets; 0 for unknown */
    bool back_by_other; /* the best IPv4 route to the internet from its address leaves by another link */
    uint8_t prefix4;    /* of its address */
    char
        mac[NEIGHBOUR_MAC_TEXT_MAX]; /* of the link; "" for none, or where others on its wire have the same */
    char seen[ADDR_TEXT_MAX];        /* as the internet sees it, where that was asked; "" for unknown */
    const struct machine_link *also; /* of an uplink that is an address: another link that has it; or NULL */
    struct sight_family four, six;
    struct sight_settings settings;
};

/** @param m  outlives ret */
void sight_of_uplink(struct sight *ret, const struct uplink *u, const struct machine *m);

/** This process, as the proxy would be. */
struct sight_self {
    bool root, may_bind, may_administer; /* CAP_NET_BIND_SERVICE, CAP_NET_ADMIN */
    long first_port;                     /* that is for everyone */
    struct rlimit files;
    char program[PATH_MAX]; /* "" for unknown */
};

void sight_of_self(struct sight_self *ret);

#endif
