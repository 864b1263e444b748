/* The inside of an exchange, shared by its five files, each of which calls only those behind it: exchange.c
 * is told what happens, and begins requests; exchange_pump.c reads heads and framing; exchange_body.c moves
 * the bodies that need no reading; exchange_end.c ends requests; exchange_dest.c keeps the states and the
 * connection to the destination. Only they and their tests include this.
 *
 *   request      NONE -> COMING -> WHOLE -> NONE       both begin and end together
 *   response     NONE -> AWAITED -> HEAD -> BODY -> WHOLE -> NONE
 *   destination  NONE -> BUSY -> RESTING -> BUSY …     dropped (NONE) from each of its states
 *                          \-> BROKEN, RESET -> NONE
 *
 * A request without a body is WHOLE at once, and so is a response when its head is. A request may end early,
 * in each of its states: then the client is told, or cut off. The tables in exchange_dest.c have every step.
 */
#ifndef STEERWAY_HTTP_EXCHANGE_STATE_H
#define STEERWAY_HTTP_EXCHANGE_STATE_H

#include "http/exchange.h"
#include "inbound/gate.h"
#include "net/ack_wait.h"

enum exchange_request_state {
    REQUEST_NONE,   /* no request */
    REQUEST_COMING, /* its head is complete, its body is not */
    REQUEST_WHOLE,  /* the client has sent all of it; some bytes may still wait for the destination */
};

/* In the order of a response's progress. */
enum exchange_response_state {
    RESPONSE_NONE,    /* none is expected */
    RESPONSE_AWAITED, /* no byte has come */
    RESPONSE_HEAD,    /* its final head is incomplete */
    RESPONSE_BODY,    /* its head was sent to the client */
    RESPONSE_WHOLE,   /* the destination has sent all of it; some bytes may still wait for the client */
};

enum exchange_dest_state {
    DEST_NONE,    /* not connected */
    DEST_BUSY,    /* used by the current request */
    DEST_RESTING, /* between two requests: bytes that come now are unasked */
    DEST_BROKEN,  /* it takes no more bytes, but may have sent the reason */
    DEST_RESET,   /* it takes no more bytes, and its answer is incomplete */
};

struct exchange {
    struct session *session;

    /* the destination connection; its account is session->outbound */
    enum exchange_dest_state dest_state;
    int fd; /* -1 for none */
    ev_io read, write;
    struct buf to_dest, from_dest;
    struct pump up;       /* for a body of known length; session->down is its counterpart */
    unsigned served;      /* requests before the current one */
    unsigned rests_since; /* the loop's turn in which the last request ended */
    uint64_t objections;  /* see outbound_serves */

    /* the request under way */
    enum exchange_request_state request_state;
    char method[16]; /* cut to fit; only HEAD and CONNECT matter */
    int client_minor;
    bool client_keeps; /* the client wants its connection kept */
    bool upgrade;
    struct buf replay; /* The head, while it may be sent again on a new connection: it was sent on a kept one,
                          and nothing has come. */
    struct target target;
    struct http_body request_body;

    /* its response */
    enum exchange_response_state response_state;
    struct http_response response;
    size_t head_seen; /* bytes of from_dest that do not contain the end of its head */
    double last_activity_s;
    struct ack_wait dest_wait;
    struct pace *pace; /* while connected; NULL: no rate caps */
};

/* exchange_dest.c */
/** Change a state; asserts that the table allows the step. A request that begins makes the response
 * AWAITED, and one that ends makes it NONE. */
void exchange_enter_request(struct exchange *x, enum exchange_request_state next);
void exchange_enter_response(struct exchange *x, enum exchange_response_state next);
void exchange_enter_dest(struct exchange *x, enum exchange_dest_state next);
/** Whether the table allows `next` after `now`. */
bool exchange_request_may(enum exchange_request_state now, enum exchange_request_state next);
bool exchange_response_may(enum exchange_response_state now, enum exchange_response_state next);
bool exchange_dest_may(enum exchange_dest_state now, enum exchange_dest_state next);

/** Whether the head of the response was sent to the client, so that no other answer can be. */
static inline bool exchange_head_went(const struct exchange *x)
{
    return x->response_state >= RESPONSE_BODY;
}

/** Whether the client would mistake a FIN for the end of the content. */
bool exchange_end_would_mislead(const struct exchange *x);
void exchange_watch_dest(struct exchange *x);
/** Count bytes to and from the destination, for the account and the rate caps. */
void exchange_note(struct exchange *x, uint64_t tx, uint64_t rx);
/** Take up the connection's rate caps. */
void exchange_cap(struct exchange *x);
/** Bytes for the next read of a body, up to most. */
uint64_t exchange_most(const struct exchange *x, uint64_t most);
/** The session is closed: close the destination connection. The session finishes its account. */
void exchange_stop(struct exchange *x);
/** Keep the connection for another request. */
void exchange_rest_dest(struct exchange *x);
/** Whether nothing has come on the kept connection: unasked bytes would be taken for the next answer. The
 * loop has checked already, unless the next request follows in the same turn. */
bool exchange_dest_is_quiet(const struct exchange *x);
/** Send the bytes that wait for the destination, then more; the rest waits. Once it is broken, nothing is
 * sent or kept. @return false when the session was closed: out of memory */
bool exchange_send(struct exchange *x, struct slice more);
/** The destination takes no more bytes, with this errno; reading it shows the reason. */
void exchange_note_broken(struct exchange *x, int err);
/** Bytes that wait for the destination. */
size_t exchange_waiting(const struct exchange *x);

/* exchange_end.c */
/** Finish the request if the response is complete and was sent. @return whether it was */
bool exchange_settle(struct exchange *x);
/** Cut the client off: it has received part of a response that cannot be completed. */
void exchange_abort(struct exchange *x, const char *outcome);
/** Send the client an error; nothing of a response was sent to it. */
void exchange_answer(struct exchange *x, int status, const char *error, const char *text);
/** The destination broke the rules or left: answer 502, or abort if the response's head was sent. */
void exchange_dest_failed(struct exchange *x, const char *error, const char *text);
/** The destination closed (orderly: with FIN). */
void exchange_dest_ended(struct exchange *x, bool orderly);
/** The server closed a kept connection just when it was used again, or its line has failed: send the
 * request on a new connection. @return false: this request must not be repeated */
bool exchange_try_again(struct exchange *x);

/* exchange_body.c */
/** Whether the client's input is a body that needs no parsing. */
bool exchange_moves_request(const struct exchange *x);
/** Move its available bytes. @return whether exchange_pump_request must follow: the body is complete, or
 * one side has left */
MUST_CHECK bool exchange_move_request(struct exchange *x);
/** Whether the destination's next bytes are a body that needs no parsing. */
bool exchange_moves_response(const struct exchange *x);
/** Move its available bytes. */
void exchange_move_response(struct exchange *x);
/** Send the bytes that wait in x->up. */
void exchange_flush_up(struct exchange *x);

/* exchange_pump.c */
void exchange_pump_request(struct exchange *x);
void exchange_pump_response(struct exchange *x);

#endif
