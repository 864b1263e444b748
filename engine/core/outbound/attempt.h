/* One attempt to reach a destination by one uplink, or directly: resolve, then dial. It holds the uplink's
 * lease as long as it is under way. Who is tried, and what a failure means, is the search's affair
 * (search.h). */
#ifndef STEERWAY_OUTBOUND_ATTEMPT_H
#define STEERWAY_OUTBOUND_ATTEMPT_H

#include "base/fault.h"
#include "dns/resolver.h"
#include "net/dialer.h"
#include "outbound/outbounds.h"
#include "parent/parent.h"
#include "proto/target.h"
#include "uplink/uplink_lease.h"

struct attempt;

/** What an attempt tells its owner, who may start or cancel it, and free it, from within done. */
struct attempt_events {
    /** The destination is local, as its address shows: no uplink serves it, the lease is given back, and the
     *  attempt goes on directly. */
    void (*local)(struct attempt *a);
    /** Its addresses are all of families that do not answer by its uplink: it goes on, with little hope. */
    void (*doubtful)(struct attempt *a);
    /** The client may not reach it (reach.h): FAULT_DENIED follows. @param why  for the log */
    void (*refused)(struct attempt *a, const char *why);
    /** The end, once, maybe from within attempt_start. fd is connected and the callee's, or -1 with the
     *  reason. The lease is still held: to be moved elsewhere, or given back by attempt_cancel. */
    void (*done)(struct attempt *a, enum fault fault, int fd);
};

/** Embedded by its owner; zero-initialised is "not under way". */
struct attempt {
    struct outbounds *shared;
    const struct target *target;
    const struct addr *client;
    const char *user;
    const struct attempt_events *events;
    struct uplink_lease lease; /* empty when direct */
    const struct buf *early;
    bool running, direct;
    bool lost;  /* its uplink is gone, so that its end tells nothing of that */
    bool unfit; /* all addresses so far are of a family that does not answer by the uplink */
    bool held;  /* none of the addresses so far may be reached, and those of the other family are awaited */
    double since_s, timeout_s, left_s;
    enum resolver_news news; /* of the uplink's name servers */
    struct resolver_query query;
    struct dial dial;
    struct parent *parent; /* by the uplink's own proxy, while that is under way */
};

struct attempt_request {
    struct outbounds *shared;
    const struct target *target; /* outlives the attempt, as client and user do */
    const struct addr *client;
    const char *user;        /* NULL for none */
    struct uplink *uplink;   /* NULL: directly */
    const struct buf *early; /* what waits to be sent there; NULL: nothing of it may go with the SYN */
    double timeout_s; /* by the uplink: for the name, the dial, and a parent proxy's dialogue together */
    double left_s;    /* the same, where it turns out to go direct */
};

void attempt_start(struct attempt *a, const struct attempt_request *request,
                   const struct attempt_events *events);

/** Whether the name is the uplink's to resolve, and not this network's own or none at all. */
bool attempt_asks_uplink(const struct attempt *a);

/** It has had its time: end it as its dial's or its names' timeout would. Does nothing while this network's
 * own name servers are asked. */
void attempt_give_up(struct attempt *a);

/** Its uplink has lost its link or its addresses: end it, as nothing more can come of it. That tells nothing
 * of the uplink's health. */
void attempt_lose_uplink(struct attempt *a);

/** Stop without a word, and give the lease back; harmless when it is not under way. */
void attempt_cancel(struct attempt *a);

#endif
