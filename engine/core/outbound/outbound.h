/* An outbound connection: from the client's request, through the policy's choice, resolving and dialling,
 * to the final account in the log. A failed uplink is followed by another one. */
#ifndef STEERWAY_OUTBOUND_OUTBOUND_H
#define STEERWAY_OUTBOUND_OUTBOUND_H

#include "base/buf.h"
#include "base/fault.h"
#include "outbound/outbounds.h"
#include "proto/target.h"
#include "uplink/uplink_lease.h"

struct outbound;
struct search;

/** Called once, never within outbound_new. fd is connected and the callee's, or -1 with a fault. */
typedef void outbound_done_fn(struct outbound *o, enum fault fault, int fd);

/** Called once, before done, and never within outbound_new: the peer that the client named may connect to
 * this address. The callee may end o. */
typedef void outbound_listening_fn(struct outbound *o, const struct addr *at);

struct outbound_request {
    const struct target *target;
    /* The host's name where the target is only its address; NULL: the target says all. A policy may have it
     * resolved. */
    const char *name;
    enum policy_proto proto;
    bool captured;             /* on its way; of POLICY_TRANSPARENT this is known without */
    const struct addr *client; /* must outlive the outbound */
    const char *user;          /* NULL for none */
    const char *listener;      /* text; must outlive the outbound */
    struct buf *early;         /* data for the destination; must outlive the search. NULL for none */
    /* SOCKS BIND: do not connect, but wait for the target to do so; an unspecified address stands for
     * anybody. NULL: connect */
    outbound_listening_fn *listening;
};

/** Whether a second uplink was raced against a slow first one (option `hedge`), and the result. */
enum outbound_race {
    OUTBOUND_NO_RACE,
    OUTBOUND_RACE_OPEN, /* neither has connected, so far */
    OUTBOUND_RACE_WON,  /* the second connected first */
    OUTBOUND_RACE_LOST, /* the first connected first */
};

struct outbound {
    struct list node; /* in the live of `shared` */
    struct outbounds *shared;
    outbound_done_fn *done;
    outbound_listening_fn *listening; /* NULL: it connects */
    void *owner;                      /* the caller's: a session; of datagrams, their mapping */

    uint64_t id;
    enum policy_proto proto;
    const struct addr *client;
    char *user;
    struct target *named; /* the host by its name, where target is only its address; else NULL */
    const char *listener;

    struct buf *early;         /* while searching; data sent with the SYN is removed from its front */
    struct search *search;     /* while searching; else NULL */
    struct uplink_lease lease; /* once connected; empty when direct */
    struct uplink *tried; /* held: the latest uplink, or the connected one, for the account; NULL for none */
    bool captured;        /* on its way, without being asked for */
    bool direct;          /* bypassed the policy */
    bool refused;         /* refused by the policy, with a reason for the client */
    bool listens;         /* the peer may connect now */
    bool connected;
    bool costs_little;   /* datagrams: a try of a suspect uplink (uplink/health.h) */
    bool on_trial;       /* datagrams: its uplink was a suspect when it was chosen */
    bool by_race;        /* the connected attempt was the second of a race */
    int attempts;        /* number of attempts so far */
    int attempt;         /* number of the attempt that connected, from 1 */
    uint32_t generation; /* generation of the policy that chose the uplink */
    enum outbound_race race;
    /* For the account: the peer that has connected (then for done, too), or the name server that is asked in
     * place of the target. AF_UNSPEC: none */
    struct addr peer;
    enum fault fault;
    char *reason;                                /* for the account; NULL for none */
    double started_s, connected_s, first_byte_s; /* monotonic; 0: not yet */
    uint64_t tx,
        rx; /* bytes to and from the destination; without those that a tunnel has in its counters now */
    const struct counters *counters; /* of those who carry it; NULL: nobody */
    struct target target;            /* its host is copied behind it in the same memory */
};

/** Start; copies the request. @return 0, -ENOMEM */
MUST_CHECK int outbound_new(struct outbound **ret, struct outbounds *shared,
                            const struct outbound_request *request, outbound_done_fn *done, void *owner);

/** Whether it is a captured question for a name (outbound/question.h). */
bool outbound_is_question(const struct outbound *o);

/** The family that an uplink must have for it; AF_UNSPEC: any. A question may go to a server of the other
 * one. */
int outbound_family(const struct outbound *o);

/** Its uplink for people: "direct", "none", or the name of the one that carries it or was tried last. */
const char *outbound_uplink_name(const struct outbound *o);

/** The host as policies and logs see it: its name if it is known, else its address. */
const char *outbound_host(const struct outbound *o);

/** Begin an account without a search: for datagrams (outbound_pick.h). @return 0, -ENOMEM */
MUST_CHECK int outbound_open(struct outbound **ret, struct outbounds *shared,
                             const struct outbound_request *request);
/** Free it without a line in the log: it was never used. NULL is allowed. */
void outbound_discard(struct outbound *o);

/** Set the uplink for the account. */
void outbound_by(struct outbound *o, struct uplink *u);
/** Set the reason for the account. */
void outbound_because(struct outbound *o, const char *reason);

/** Fill a connection for the policy. @param client  room for a text that ret points to */
void outbound_describe(const struct outbound_request *r, uint64_t id, struct policy_attempt at,
                       struct policy_conn *ret, char client[ADDR_TEXT_MAX]);
/** The same for an existing outbound connection. */
void outbound_conn(const struct outbound *o, struct policy_attempt at, struct policy_conn *ret,
                   char client[ADDR_TEXT_MAX]);

/** The uplink that carries it, or on whose address its peer is awaited. NULL: direct, or it is neither. */
const struct uplink *outbound_uplink(const struct outbound *o);
/** The address where its peer is awaited, and the link that this is bound to or 0. @return false when it does
 * not listen */
bool outbound_listens_at(const struct outbound *o, struct addr *ret, int *ret_link);

/** From now on, others carry the connection and count its bytes.
 *  @param rx_counted  bytes in counters that outbound_note has counted already */
void outbound_follow(struct outbound *o, struct counters *counters, uint64_t rx_counted);
/** Bytes move again after a rest. */
void outbound_wake(struct outbound *o);
/** The counters are final.
 *  @param first_rx_s  time of the first byte, monotonic; 0 for none */
void outbound_settle(struct outbound *o, const struct counters *counters, double first_rx_s);

/** TCP's measured round trip; 0: unknown. */
void outbound_note_rtt(struct outbound *o, double rtt_s);

/** The destination's side of the open connection broke. */
void outbound_note_reset(struct outbound *o);

/** The destination's side of the open connection does not acknowledge any more. */
void outbound_note_unacked(struct outbound *o);

/** Count bytes of an open connection. */
void outbound_note(struct outbound *o, uint64_t tx, uint64_t rx);

/** The one end: stop a search, settle the uplink's counters, call the policy's hooks, write the log line.
 *  @param outcome  one word for how the connection ended; NULL: it was never made. Frees o; NULL is
 * allowed. */
void outbound_finish(struct outbound *o, const char *outcome);

/** Whether this open connection may carry another request. It must lead to target, and belong to the same
 * user and policy generation. Its uplink must still hold (outbound/candidates.h), without new objections.
 *  @param user        NULL for none
 *  @param objections  result of outbound_objections at its last use; updated */
bool outbound_serves(const struct outbound *o, const struct target *target, const char *user,
                     uint64_t *objections);
/** Why a new connection might avoid this uplink, in bits (outbound/candidates.h). */
uint64_t outbound_objections(const struct outbound *o);

#endif
