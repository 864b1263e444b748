/* A connection's claim on an uplink, by which its bytes are counted. */
#ifndef STEERWAY_UPLINK_UPLINK_LEASE_H
#define STEERWAY_UPLINK_UPLINK_LEASE_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct counters;
struct uplink;

/** An uplink counts each lease once in `active`, from acquire to release. It counts a lease in `busy` for two
 * seconds after acquire and after each move of bytes. Zero-initialised is empty. */
struct uplink_lease {
    struct uplink *uplink;     /* NULL: empty */
    struct list node;          /* in the uplink's list of busy leases */
    uint32_t moved;            /* the pulse's tick when bytes moved last */
    int family;                /* of the connection's socket; AF_UNSPEC until it is connected */
    bool busy;                 /* in that list */
    struct counters *counters; /* of a connection that the relay carries; NULL for none */
    uint64_t tx_seen, rx_seen; /* bytes of counters that are counted already */
    uint64_t left_seen;        /* likewise of counters_left */
};

/** The lease must be empty. */
void uplink_acquire(struct uplink_lease *lease, struct uplink *u);
/** Harmless when empty. */
void uplink_release(struct uplink_lease *lease);
/** Hand the claim on: *to must be empty before, and *from is empty afterwards. */
void uplink_lease_move(struct uplink_lease *to, struct uplink_lease *from);

/** Count bytes that the main thread moved. Harmless for an empty lease. */
void uplink_note_bytes(struct uplink_lease *lease, uint64_t tx, uint64_t rx);

/** Count the bytes of counters from now on, at each tick while the lease is busy. When it is not busy any
 * more, `counters->resting` is set. Then the thread that moves the next byte must have uplink_lease_collect
 * called on the main thread. Harmless for an empty lease.
 *  @param rx_counted  bytes of counters->rx that uplink_note_bytes has counted already */
void uplink_lease_follow(struct uplink_lease *lease, struct counters *counters, uint64_t rx_counted);
/** Count the bytes of its counters since they were read last. Harmless when none are followed. */
void uplink_lease_collect(struct uplink_lease *lease);
/** The counters are final: count the rest, and forget them. Harmless when none are followed. */
void uplink_lease_settle(struct uplink_lease *lease);

/** For the tick: it is not busy any more. Its counters are not read again until they wake it. */
void uplink_lease_rest(struct uplink_lease *lease);

#endif
