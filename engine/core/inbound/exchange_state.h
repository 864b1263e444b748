/* The inside of an exchange, shared by its five files, each of which calls only those behind it: exchange.c
 * is told what happens, and begins requests; exchange_pump.c reads heads and framing; exchange_body.c moves
 * the bodies that need no reading; exchange_end.c ends requests; exchange_dest.c keeps the states and the
 * connection to the destination. No other file includes this.
 *
 *   request      NONE -> COMING -> WHOLE -> NONE       both begin and end together
 *   response     NONE -> AWAITED -> HEAD -> BODY -> WHOLE -> NONE
 *   destination  NONE -> BUSY -> RESTING -> BUSY …     dropped (NONE) from each of its states
 *                          \-> BROKEN, RESET -> NONE
 *
 * A request without a body is WHOLE at once, and so is a response when its head is. A request may end early,
 * in each of its states: then the client is told, or cut off. The tables in exchange_dest.c have every step.
 */
#ifndef STEERWAY_INBOUND_EXCHANGE_STATE_H
#define STEERWAY_INBOUND_EXCHANGE_STATE_H

#include "inbound/exchange.h"
#include "net/ack_wait.h"

enum exchange_request_state {
    REQUEST_NONE,   /* none is under way */
    REQUEST_COMING, /* its head is there, its body not yet as a whole */
    REQUEST_WHOLE,  /* the client has sent all of it; some may still wait for the destination */
};

/* In the order in which a response goes through them. */
enum exchange_response_state {
    RESPONSE_NONE,    /* none is due */
    RESPONSE_AWAITED, /* not a byte has come */
    RESPONSE_HEAD,    /* its final head is not whole yet */
    RESPONSE_BODY,    /* its head has gone to the client */
    RESPONSE_WHOLE,   /* the destination has sent all of it; some may still wait for the client */
};

enum exchange_dest_state {
    DEST_NONE,    /* not connected */
    DEST_BUSY,    /* the request under way goes over it */
    DEST_RESTING, /* between two requests: what it says now nobody has asked for */
    DEST_BROKEN,  /* it takes no more, but may have said why */
    DEST_RESET,   /* it takes no more, and what it has said is not the whole */
};

struct exchange {
    struct session *session;

    /* the destination connection; its account is session->outbound */
    enum exchange_dest_state dest_state;
    int fd; /* -1 for none */
    ev_io read, write;
    struct buf to_dest, from_dest;
    struct pump up;       /* of a body whose length is known; session->down is its like */
    unsigned served;      /* requests before the one under way */
    unsigned rests_since; /* the loop's turn in which the last one ended */
    uint64_t objections;  /* see outbound_serves */

    /* the request under way */
    enum exchange_request_state request_state;
    char method[16]; /* cut; only HEAD and CONNECT matter */
    int client_minor;
    bool client_keeps; /* the client wants its connection kept */
    bool upgrade;
    struct buf replay; /* the head, while it may be sent again on a fresh connection: sent over one that has
                          served before, and nothing has come */
    struct target target;
    struct http_body request_body;

    /* its response */
    enum exchange_response_state response_state;
    struct http_response response;
    size_t head_seen; /* bytes of from_dest in which its head does not end */
    double last_activity_s;
    struct ack_wait dest_wait;
};

/* exchange_dest.c */
/** The doors between the states: each asserts that the table allows the step. A request that begins makes the
 * response AWAITED, and one that ends makes it NONE. */
void exchange_enter_request(struct exchange *x, enum exchange_request_state next);
void exchange_enter_response(struct exchange *x, enum exchange_response_state next);
void exchange_enter_dest(struct exchange *x, enum exchange_dest_state next);
/** What the tables say: whether next may follow. */
bool exchange_request_may(enum exchange_request_state now, enum exchange_request_state next);
bool exchange_response_may(enum exchange_response_state now, enum exchange_response_state next);
bool exchange_dest_may(enum exchange_dest_state now, enum exchange_dest_state next);

/** Whether the head of the response has gone to the client, so that another answer cannot. */
static inline bool exchange_head_went(const struct exchange *x)
{
    return x->response_state >= RESPONSE_BODY;
}

/** Whether the client would take an orderly end of its connection for the end of the content. */
bool exchange_end_would_mislead(const struct exchange *x);
void exchange_watch_dest(struct exchange *x);
/** The session is closed: close the destination connection. Its account stays the session's to finish. */
void exchange_stop(struct exchange *x);
/** Keep the connection for a further request. */
void exchange_rest_dest(struct exchange *x);
/** Whether nothing has come over the resting connection: what a server says unasked would pass for its next
 * answer. The loop has looked already, unless the next request follows in the same turn. */
bool exchange_dest_is_quiet(const struct exchange *x);
/** Send what waits for the destination, then more; what it does not take waits. Once it is broken nothing is
 * sent nor kept. @return false when the session was closed: out of memory */
bool exchange_send(struct exchange *x, struct slice more);
/** The destination takes no more, for this errno: reading it tells why. */
void exchange_note_broken(struct exchange *x, int err);
/** Bytes that wait for the destination. */
size_t exchange_waiting(const struct exchange *x);

/* exchange_end.c */
/** Finish the request if the response is complete and has gone on. @return whether it has been */
bool exchange_settle(struct exchange *x);
/** The response is complete. */
void exchange_finish(struct exchange *x);
/** Cut the client off: it has seen part of a response that will not be whole. */
void exchange_abort(struct exchange *x, const char *outcome);
/** Tell the client what happened: nothing of a response has gone to it. */
void exchange_answer(struct exchange *x, int status, const char *error, const char *text);
/** The destination broke the rules or left: answer 502, or abort once the response's head has gone out. */
void exchange_dest_failed(struct exchange *x, const char *error, const char *text);
/** The destination closed (orderly: with FIN). */
void exchange_dest_ended(struct exchange *x, bool orderly);
/** A connection that had rested was closed by its server just as we used it again, or its line is dead: ask
 * on a fresh one. @return false: this request is not to be sent twice */
bool exchange_try_again(struct exchange *x);

/* exchange_body.c */
/** Whether the client's input is a body that needs no reading. */
bool exchange_moves_request(const struct exchange *x);
/** Move what is there of it. @return whether exchange_pump_request must follow: the body is whole, or one
 * side has left */
MUST_CHECK bool exchange_move_request(struct exchange *x);
/** Whether what comes next from the destination is a body that needs no reading. */
bool exchange_moves_response(const struct exchange *x);
/** Move what is there of it. */
void exchange_move_response(struct exchange *x);
/** Pass on what waits in x->up. */
void exchange_flush_up(struct exchange *x);

/* exchange_pump.c */
void exchange_pump_request(struct exchange *x);
void exchange_pump_response(struct exchange *x);

#endif
