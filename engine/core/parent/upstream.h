/* The way to a destination by an upstream proxy: to that first, then the talk with it (proto/upstream_talk.h)
 * until the destination is reached. */
#ifndef STEERWAY_PARENT_UPSTREAM_H
#define STEERWAY_PARENT_UPSTREAM_H

#include "dns/resolver.h"
#include "net/dialer.h"
#include "parent/loops.h"
#include "proto/upstream_talk.h"
#include "uplink/upstream_spec.h"

struct upstream;

/** Called once, never from within upstream_start. On FAULT_NONE fd is the way to the destination, of which
 * nothing has been read, and the callee's; else -1. With reached, faults are those of upstream_talk_take,
 * FAULT_TIMEOUT, and FAULT_UPSTREAM for one that ends the connection; without it they tell of the way to the
 * upstream, FAULT_NAME of an upstream without an address of the egress' families. The upstream may be freed
 * or started again from within. */
typedef void upstream_done_fn(struct upstream *u, enum fault fault, int fd);

struct upstream_request {
    const struct upstream_spec *spec; /* outlives the upstream, as target does */
    const struct target *target;      /* SOCKS4a: no IPv6 address */
    const struct egress *egress;      /* by which the upstream is reached; copied */
    struct resolver *resolver;        /* of its name */
    struct loops *loops;              /* outlives the upstream; NULL: there is no proxy to come back to */
    const char *uplink;               /* its name; outlives the upstream */
    double timeout_s;                 /* for all: its name, the dial, the talk; > 0 */
};

/** Embedded by its owner; zero-initialised is "not running". */
struct upstream {
    struct ev_loop *loop;
    upstream_done_fn *done;
    void *owner; /* the caller's */
    struct upstream_request request;
    struct egress egress;
    struct list under_way; /* among the proxy's */
    struct addr local;     /* of ours; once reached */
    bool running;
    bool held; /* this proxy listens at all its addresses so far, and those of the other family are awaited */
    bool reached;   /* the upstream itself */
    double until_s; /* monotonic: no longer than that */
    double since_s; /* monotonic: when its dial began */
    double took_s;  /* when it is done: from then on */
    struct resolver_query query;
    struct dial dial;
    ev_io io;
    ev_timer deadline;
    struct upstream_talk talk;
};

void upstream_start(struct upstream *u, struct ev_loop *loop, const struct upstream_request *request,
                    upstream_done_fn *done);

/** Stop without calling done, and close the connection; harmless when not running. */
void upstream_cancel(struct upstream *u);

#endif
