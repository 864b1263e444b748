/* The way to a destination by an parent proxy: to that first, then the talk with it (proto/parent_talk.h)
 * until the destination is reached. */
#ifndef STEERWAY_PARENT_PARENT_H
#define STEERWAY_PARENT_PARENT_H

#include "dns/resolver.h"
#include "net/dialer.h"
#include "parent/loops.h"
#include "proto/parent_talk.h"
#include "uplink/parent_spec.h"

struct parent;

/** Called once, never from within parent_start. On FAULT_NONE fd is the way to the destination, of which
 * nothing has been read, and the callee's; else -1. With reached, faults are those of parent_talk_take,
 * FAULT_TIMEOUT, and FAULT_PARENT for one that ends the connection; without it they tell of the way to the
 * parent proxy, FAULT_NAME of a parent proxy without an address of the egress' families. The parent proxy may
 * be freed or started again from within. */
typedef void parent_done_fn(struct parent *u, enum fault fault, int fd);

struct parent_request {
    const struct parent_spec *spec; /* outlives the parent proxy, as target does */
    const struct target *target;    /* SOCKS4a: no IPv6 address */
    const struct egress *egress;    /* by which the parent proxy is reached; copied */
    struct resolver *resolver;      /* of its name */
    struct loops *loops;            /* outlives the parent proxy; NULL: there is no proxy to come back to */
    const char *uplink;             /* its name; outlives the parent proxy */
    double timeout_s;               /* for all: its name, the dial, the talk; > 0 */
};

/** Embedded by its owner; zero-initialised is "not running". */
struct parent {
    struct ev_loop *loop;
    parent_done_fn *done;
    void *owner; /* the caller's */
    struct parent_request request;
    struct egress egress;
    struct list under_way; /* among the proxy's */
    struct addr local;     /* of ours; once reached */
    bool running;
    bool held; /* this proxy listens at all its addresses so far, and those of the other family are awaited */
    bool reached;   /* the parent proxy itself */
    double until_s; /* monotonic: no longer than that */
    double since_s; /* monotonic: when its dial began */
    double took_s;  /* when it is done: from then on */
    struct resolver_query query;
    struct dial dial;
    ev_io io;
    ev_timer deadline;
    struct parent_talk talk;
};

void parent_start(struct parent *u, struct ev_loop *loop, const struct parent_request *request,
                  parent_done_fn *done);

/** Stop without calling done, and close the connection; harmless when not running. */
void parent_cancel(struct parent *u);

#endif
