/* Names to addresses, asynchronously, by c-ares on the event loop. The egress of each query is taken along,
 * so that resolving through the chosen uplink has its place; today every query leaves by the kernel's
 * routing, and the egress tells which address families are of use. */
#ifndef STEERWAY_NET_RESOLVER_H
#define STEERWAY_NET_RESOLVER_H

#include "base/fault.h"
#include "base/list.h"
#include "net/dialer.h"
#include "net/egress.h"

#include <ev.h>

struct resolver;
struct resolver_query;

/** Called once, never from within resolver_start. addrs (in RFC 8305 4 order: families take turns, IPv6
 *  first) carry the port asked for and live until the callee returns; n >= 1 on FAULT_NONE. Faults:
 *  FAULT_NAME (does not exist, or has no address at all), FAULT_DNS (server failure or silence),
 *  FAULT_UNREACHABLE (has addresses, but none of a family that the egress allows), FAULT_RESOURCES.
 *  The query may be freed or started again from within. */
typedef void resolver_done_fn(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n);

/** Embedded by its owner; zero-initialised is "not running". Fields are the resolver's own. */
struct resolver_query {
    struct resolver *resolver; /* NULL when not running */
    struct list node;          /* in the resolver's list of queries */
    resolver_done_fn *done;
    struct resolver_job *job; /* what c-ares works on or has found; NULL when there is nothing to wait for */
    enum fault fault;         /* to report when the timer fires */
    ev_timer timer;           /* the deadline, and the way out for what is settled at once */
};

struct resolver_options {
    const char *servers; /* "ip[:port][,…]", or NULL for the system's (resolv.conf) */
    double timeout_s;    /* for a whole query, all tries; > 0 */
};

/** @return 0, -ENOMEM, -EINVAL for bad servers */
MUST_CHECK int resolver_new(struct resolver **ret, struct ev_loop *loop,
                            const struct resolver_options *options);
/** Cancels what is running without calling back. */
void resolver_free(struct resolver *r);

/** Resolve name (NUL-terminated, at most 253 octets). "localhost" and names below it are loopback without
 *  asking anybody (RFC 6761 6.3); /etc/hosts counts. */
void resolver_start(struct resolver *r, struct resolver_query *q, const char *name, uint16_t port,
                    const struct egress *egress, resolver_done_fn *done);

/** Stop without calling done; harmless when not running. */
void resolver_cancel(struct resolver_query *q);

#endif
