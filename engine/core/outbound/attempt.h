/* One attempt to reach a destination by one uplink, or directly: resolve, then dial, or listen for it to
 * connect. It holds the uplink's lease. The search (search.h) chooses the uplink, and judges a failure. */
#ifndef STEERWAY_OUTBOUND_ATTEMPT_H
#define STEERWAY_OUTBOUND_ATTEMPT_H

#include "base/fault.h"
#include "dns/resolver.h"
#include "net/dialer.h"
#include "outbound/await.h"
#include "outbound/outbounds.h"
#include "parent/parent.h"
#include "proto/target.h"
#include "uplink/uplink_lease.h"

struct attempt;

/** Callbacks to the owner, which may start, cancel or free the attempt in `done`. */
struct attempt_events {
    /** The address shows that the destination is local. The lease is released, and the attempt continues
     * directly. */
    void (*local)(struct attempt *a);
    /** All addresses are of families that do not answer by this uplink. The attempt continues. */
    void (*doubtful)(struct attempt *a);
    /** The client may not reach the destination (reach.h), and FAULT_DENIED follows; or it asks for a name,
     * and the uplink has no server to ask. @param why  for the log */
    void (*refused)(struct attempt *a, const char *why);
    /** It listens at this address, and waits for the peer (attempt_request.awaits). The attempt may be
     * cancelled within. */
    void (*listening)(struct attempt *a, const struct addr *at);
    /** Another peer has connected, or one that the client may not reach, and was reset. */
    void (*turned_away)(struct attempt *a, const struct addr *peer, const char *why);
    /** The end, called once, maybe within attempt_start. fd is connected and the callee's, or -1 with a
     * fault. The lease is still held: move it, or release it by attempt_cancel. */
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
    bool awaits;  /* the target is a peer that is to connect */
    int family;   /* of that peer; AF_UNSPEC: any */
    bool lost;    /* its uplink is gone, so the result says nothing about the uplink's health */
    bool unfit;   /* all addresses so far are of a family that does not answer by the uplink */
    bool unasked; /* as in the request */
    bool denied;  /* the client may not reach some address of it */
    bool held;    /* no address so far may be reached; those of the other family are pending */
    double since_s, timeout_s, left_s;
    enum resolver_news news; /* of the uplink's name servers */
    struct resolver_query query;
    struct dial dial;
    struct parent *parent; /* dialogue in progress with the uplink's parent proxy */
    struct target *asked;  /* a name server that it is asked for in place of the target; NULL: none */
    struct addr server;    /* of a question: the server that is asked; AF_UNSPEC: none */
    struct await *await;   /* it listens; NULL: not yet, or not at all */
};

struct attempt_request {
    struct outbounds *shared;
    const struct target *target; /* must outlive the attempt, like client and user */
    const struct addr *client;
    const char *user;        /* NULL for none */
    struct uplink *uplink;   /* NULL: directly */
    bool unasked;            /* the client asks for nothing: its connection could come back without end */
    const struct buf *early; /* data for the destination that may go with the SYN; NULL for none */
    double timeout_s;        /* for name, dial and a parent proxy's dialogue together, by the uplink */
    double left_s;           /* the same, if it becomes direct */
    bool question;           /* ask a name server in place of the target (outbound/question.h) */
    bool awaits;             /* listen for the target to connect; an unspecified address stands for anybody */
    int family;              /* then: of the address to listen on; AF_UNSPEC: any */
};

void attempt_start(struct attempt *a, const struct attempt_request *request,
                   const struct attempt_events *events);

/** The address that it listens at, and the link that it is bound to or 0. @return false when it does not
 * listen */
bool attempt_listens_at(const struct attempt *a, struct addr *ret, int *ret_link);

/** Whether the name is resolved through the uplink: it is a name, and not one of the local network. */
bool attempt_asks_uplink(const struct attempt *a);

/** End it as if the dial or the name query had timed out. Does nothing while the local network's name
 * servers are asked. */
void attempt_give_up(struct attempt *a);

/** Its uplink has lost its link or addresses: end the attempt. The uplink's health does not change. */
void attempt_lose_uplink(struct attempt *a);

/** Stop without calling done, and release the lease. Harmless when not running. */
void attempt_cancel(struct attempt *a);

#endif
