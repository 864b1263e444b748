/* How a socket leaves this machine: device, source address, neighbours only. The uplink room fills it; the
 * dialer and the resolver obey it. All empty: the kernel routes. */
#ifndef STEERWAY_NET_EGRESS_H
#define STEERWAY_NET_EGRESS_H

#include "addr/addr.h"

#include <net/if.h>
#include <string.h>

/** Which of several IPv6 addresses the kernel prefers as the source (RFC 6724 5, rule 7; RFC 8981). */
enum egress_ipv6 {
    EGRESS_IPV6_SYSTEM, /* as the interface's use_tempaddr says */
    EGRESS_IPV6_TEMPORARY,
    EGRESS_IPV6_STABLE,
};

/** For which destinations the kernel chooses the source address (source.h). */
enum egress_floats {
    EGRESS_BOUND,             /* for none */
    EGRESS_FLOATS_IN_PRIVATE, /* private ones */
    EGRESS_FLOATS,            /* all */
};

/** Parse "system", "temporary" or "stable". @return false for any other word */
bool egress_ipv6_parse(const char *word, enum egress_ipv6 *ret);

struct egress {
    char device[IFNAMSIZ]; /* "" for none */
    struct addr source4;   /* AF_UNSPEC: no source is bound for that family */
    struct addr source6;
    enum egress_floats floats4, floats6;
    enum egress_ipv6 ipv6;
    uint32_t mark;   /* of its packets, for routing rules (SO_MARK); 0 for none; egress_mark_own adds a bit */
    bool any4, any6; /* whether the family may be used at all; both false: nothing can leave */
    bool on_link;    /* only to this machine and its neighbours, never by a gateway or a default route */
};

/** Everything as the kernel routes it, gateways included: for ranges that the user sends direct. */
extern const struct egress EGRESS_DIRECT;
/** Only to this machine and the networks that it is connected to. */
extern const struct egress EGRESS_ON_LINK;

static inline bool egress_allows(const struct egress *e, int family)
{
    return family == AF_INET ? e->any4 : family == AF_INET6 && e->any6;
}

/** Whether the egress allows the family of at least one address. */
static inline bool egress_allows_any(const struct egress *e, const struct addr *addrs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (egress_allows(e, addr_family(&addrs[i])))
            return true;
    return false;
}

/** Whether packets have the same source addresses with both. */
static inline bool egress_same_sources(const struct egress *a, const struct egress *b)
{
    return a->any4 == b->any4 && a->any6 == b->any6 && addr_same_ip(&a->source4, &b->source4) &&
           addr_same_ip(&a->source6, &b->source6);
}

/** Whether both are equal in all fields. */
static inline bool egress_same(const struct egress *a, const struct egress *b)
{
    return egress_same_sources(a, b) && strncmp(a->device, b->device, IFNAMSIZ) == 0 && a->mark == b->mark &&
           a->on_link == b->on_link && a->floats4 == b->floats4 && a->floats6 == b->floats6 &&
           a->ipv6 == b->ipv6;
}

/** Open a non-blocking, close-on-exec socket for that destination, bound as e says. Fail closed: a socket
 * that cannot be bound so is closed.
 *  @param type  SOCK_STREAM or SOCK_DGRAM
 *  @return descriptor, or negative errno: -EAFNOSUPPORT if e does not allow the family; that of socket();
 *  -ENODEV if the device does not exist; -EADDRNOTAVAIL for other failures of binding or marking */
MUST_CHECK int egress_socket(const struct egress *e, const struct addr *to, int type);

/** Bind a socket that is open already; errors as for egress_socket. After a failure the caller must not send
 * with it. */
MUST_CHECK int egress_bind(const struct egress *e, int fd, const struct addr *to, int type);

/** Between egress_socket and connect: bind an on_link socket to the link on which its destination is a
 * neighbour. So nothing leaves by another link, now or after that link goes down. Does nothing for other
 * egresses.
 *  @return 0, -ENETUNREACH if the destination is not a neighbour, or another negative errno; after a failure
 *  the caller must not send with it */
MUST_CHECK int egress_aim(const struct egress *e, int fd, const struct addr *to);

/** Add one bit to the mark of every socket that this process opens from now on. Rules that capture this
 * machine's traffic leave out packets with it. Call it before the first socket and the first thread.
 *  @param bit  0 for none */
void egress_mark_own(uint32_t bit);
/** That bit; 0 for none. */
uint32_t egress_own_mark(void);
/** The whole mark of an egress's packets: its own mark, and that bit. */
uint32_t egress_mark(uint32_t mark);

/** The source address that connections to this destination have, as addresses and routes are now. Nothing is
 * sent.
 *  @param ret  without a port
 *  @return 0, or negative errno: as for egress_socket and egress_aim, or -ENETUNREACH without a route */
MUST_CHECK int egress_find_source(const struct egress *e, const struct addr *to, struct addr *ret);

/** Whether this process may mark packets, for which it needs CAP_NET_ADMIN, or CAP_NET_RAW since Linux 5.17.
 */
bool egress_may_mark(void);

/** A socket's own address, and the index of the link that it is bound to. The index is 0 for none, and always
 * 0 before Linux 5.1, which does not report it. @return whether the address is known */
bool egress_source_of(int fd, struct addr *ret, int *ret_link);

#endif
