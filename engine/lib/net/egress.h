/* By which way a socket leaves this machine: device, source address, neighbours only. Filled by the uplink
 * layer, obeyed by the dialer and the resolver. All empty: the kernel's own routing. */
#ifndef STEERWAY_NET_EGRESS_H
#define STEERWAY_NET_EGRESS_H

#include "addr/addr.h"

#include <net/if.h>
#include <string.h>

/** Which of several IPv6 addresses the kernel takes where it may choose (RFC 6724 5, rule 7; RFC 8981). */
enum egress_ipv6 {
    EGRESS_IPV6_SYSTEM, /* as use_tempaddr of the interface says */
    EGRESS_IPV6_TEMPORARY,
    EGRESS_IPV6_STABLE,
};

/** For which destinations the kernel chooses the source address (source.h). */
enum egress_floats {
    EGRESS_BOUND,             /* for none */
    EGRESS_FLOATS_IN_PRIVATE, /* private ones */
    EGRESS_FLOATS,            /* all */
};

/** By its word: "system", "temporary" or "stable". @return whether it is one */
bool egress_ipv6_parse(const char *word, enum egress_ipv6 *ret);

struct egress {
    char device[IFNAMSIZ]; /* "" for none */
    struct addr source4;   /* AF_UNSPEC: no source given for that family */
    struct addr source6;
    enum egress_floats floats4, floats6;
    enum egress_ipv6 ipv6;
    uint32_t mark;   /* of its packets, for the machine's routing rules (SO_MARK); 0 for none */
    bool any4, any6; /* whether sockets of that family may be opened at all; both false: nothing can leave */
    bool on_link;    /* to this machine and its neighbours only, never by a gateway or a default route */
};

/** An egress that leaves everything to the kernel, its gateways included: for ranges that the user wants to
 *  go direct. */
extern const struct egress EGRESS_DIRECT;
/** An egress to what is local: this machine and the networks that it is connected to. */
extern const struct egress EGRESS_ON_LINK;

static inline bool egress_allows(const struct egress *e, int family)
{
    return family == AF_INET ? e->any4 : family == AF_INET6 && e->any6;
}

/** Whether one of the addresses is of a family that it allows. */
static inline bool egress_allows_any(const struct egress *e, const struct addr *addrs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (egress_allows(e, addr_family(&addrs[i])))
            return true;
    return false;
}

/** Whether packets by both come from the same addresses. */
static inline bool egress_same_sources(const struct egress *a, const struct egress *b)
{
    return a->any4 == b->any4 && a->any6 == b->any6 && addr_same_ip(&a->source4, &b->source4) &&
           addr_same_ip(&a->source6, &b->source6);
}

/** Whether both leave in the same way. */
static inline bool egress_same(const struct egress *a, const struct egress *b)
{
    return egress_same_sources(a, b) && strncmp(a->device, b->device, IFNAMSIZ) == 0 && a->mark == b->mark &&
           a->on_link == b->on_link && a->floats4 == b->floats4 && a->floats6 == b->floats6 &&
           a->ipv6 == b->ipv6;
}

/** Open a non-blocking, close-on-exec socket for that destination, bound as e says. Never returns a socket
 * that is not bound as asked: a failing bind closes it (fail closed).
 *  @param type  SOCK_STREAM or SOCK_DGRAM
 *  @return descriptor, or negative errno: -EAFNOSUPPORT when e does not allow its family, and those of
 *          socket(), setsockopt(SO_BINDTODEVICE) and bind(), the latter two reported as -EADDRNOTAVAIL or
 *          -ENODEV */
MUST_CHECK int egress_socket(const struct egress *e, const struct addr *to, int type);

/** Bind a socket that is open already, for those who are handed one; the same errors. On failure nothing may
 *  be sent with it. */
MUST_CHECK int egress_bind(const struct egress *e, int fd, const struct addr *to, int type);

/** Between egress_socket and connect: hold a socket that is on_link to the link on which its destination is a
 *  neighbour, so that nothing is sent by another one, now or when that link goes down later. Does nothing for
 *  other egresses.
 *  @return 0, -ENETUNREACH when the destination is no neighbour, or another negative errno; then nothing may
 *          be sent with the socket */
MUST_CHECK int egress_aim(const struct egress *e, int fd, const struct addr *to);

/** Whether this process may mark packets: that needs CAP_NET_ADMIN, or CAP_NET_RAW since Linux 5.17. */
bool egress_may_mark(void);

/** By which way a socket does leave: its own address, and the link that it is bound to, or 0 (always before
 *  Linux 5.1, which cannot be asked). @return whether it is known */
bool egress_source_of(int fd, struct addr *ret, int *ret_link);

#endif
