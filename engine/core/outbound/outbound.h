/* An outbound connection: one way from the proxy to one destination, from "who wants to go where" over the
 * policy's choice, resolving and dialing (again, by another uplink, when one fails) to the final account in
 * the log. */
#ifndef STEERWAY_OUTBOUND_OUTBOUND_H
#define STEERWAY_OUTBOUND_OUTBOUND_H

#include "base/buf.h"
#include "base/fault.h"
#include "outbound/outbounds.h"
#include "proto/target.h"
#include "uplink/uplink_lease.h"

struct outbound;
struct search;

/** Called once, never from within outbound_new: fd is connected and the callee's, or -1 with the reason. */
typedef void outbound_done_fn(struct outbound *o, enum fault fault, int fd);

struct outbound_request {
    const struct target *target;
    enum policy_proto proto;
    const struct addr *client; /* outlives the outbound */
    const char *user;          /* NULL for none */
    const char *listener;      /* text; outlives the outbound */
    struct buf *early; /* what waits to be sent to the destination; outlives the search. NULL for nothing */
};

/** Whether a second uplink was raced against a slow first one (the policy's `hedge`), and what came of it.
 */
enum outbound_race {
    OUTBOUND_NO_RACE,
    OUTBOUND_RACE_OPEN, /* neither arrived, or not yet */
    OUTBOUND_RACE_WON,  /* the second arrived first */
    OUTBOUND_RACE_LOST, /* the first did, after all */
};

struct outbound {
    struct outbounds *shared;
    outbound_done_fn *done;
    void *owner; /* the caller's */

    uint64_t id;
    enum policy_proto proto;
    const struct addr *client;
    char *user;
    const char *listener;

    struct buf *early;          /* while searching: what has gone with the SYN is taken from its front */
    struct search *search;      /* while looking for a way; NULL before and after */
    struct uplink_lease lease;  /* once connected; empty when direct */
    const struct uplink *tried; /* the last one, or the one that serves, for the account; NULL for none */
    bool direct;                /* bypassed the policy */
    bool refused;               /* by the policy: reason is what it says to the client */
    bool connected;
    bool by_race;        /* the one that arrived was sent as a race */
    int attempts;        /* uplinks tried so far */
    int attempt;         /* which of them arrived, from 1 */
    uint32_t generation; /* of the policy that chose it */
    enum outbound_race race;
    enum fault fault;
    char *reason;                                /* for the account; NULL for none */
    double started_s, connected_s, first_byte_s; /* monotonic; 0 for not yet */
    uint64_t tx, rx;      /* octets to and from the destination; not those that a tunnel moves at present */
    struct target target; /* the memory ends where its host does */
};

/** Start. Copies the request. @return 0, -ENOMEM */
MUST_CHECK int outbound_new(struct outbound **ret, struct outbounds *shared,
                            const struct outbound_request *request, outbound_done_fn *done, void *owner);

/** Note why it goes the way it goes, for the account. */
void outbound_because(struct outbound *o, const char *reason);

/** What the policy may know of a connection. @param client  room for text that ret points to */
void outbound_describe(const struct outbound_request *r, uint64_t id, struct policy_attempt at,
                       struct policy_conn *ret, char client[ADDR_TEXT_MAX]);
/** The same of one that there is. */
void outbound_conn(const struct outbound *o, struct policy_attempt at, struct policy_conn *ret,
                   char client[ADDR_TEXT_MAX]);

/** Others carry the connection from now on, and count.
 *  @param rx_counted  octets that the counters holds, and that outbound_note has had already */
void outbound_follow(struct outbound *o, struct counters *counters, uint64_t rx_counted);
/** It has moved something after a rest. */
void outbound_wake(struct outbound *o);
/** The counters are final.
 *  @param first_rx_s  when the first octet came, monotonic; 0 for never */
void outbound_settle(struct outbound *o, const struct counters *counters, double first_rx_s);

/** What TCP measured of the connection; 0: nothing. */
void outbound_note_rtt(struct outbound *o, double rtt_s);

/** The destination's side of the open connection broke. */
void outbound_note_reset(struct outbound *o);

/** The destination's side of the open connection acknowledges nothing any more. */
void outbound_note_unacked(struct outbound *o);

/** Count traffic of an open connection. */
void outbound_note(struct outbound *o, uint64_t tx, uint64_t rx);

/** The end, on every path: stops a search, settles the uplink's counters, tells the policy, writes the log
 * line.
 *  @param outcome  one word: how the connection ended; NULL: why it was never made. Frees o; NULL is let
 * through. */
void outbound_finish(struct outbound *o, const char *outcome);

/** Whether this open connection may carry another request: it leads to target, was chosen for the same user
 * by the policy that is loaded, its uplink may be used (outbound/candidates.h), and nothing new speaks
 * against that.
 *  @param user        NULL for none
 *  @param objections  what outbound_objections said when it was last used, and says now */
bool outbound_serves(const struct outbound *o, const struct target *target, const char *user,
                     uint64_t *objections);
/** What a new connection may have against the uplink of this one, in bits (outbound/candidates.h). */
uint64_t outbound_objections(const struct outbound *o);

#endif
