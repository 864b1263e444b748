/* The inside of an exchange, shared by its four files: exchange.c begins and ends requests, exchange_pump.c
 * reads heads and framing, exchange_body.c moves the bodies that need no reading, exchange_dest.c keeps
 * the connection to the server. Nobody else includes this. */
#ifndef STEERWAY_INBOUND_EXCHANGE_STATE_H
#define STEERWAY_INBOUND_EXCHANGE_STATE_H

#include "inbound/exchange.h"
#include "net/ack_wait.h"

struct exchange {
    struct session *session;

    /* the destination connection; its account is session->outbound */
    int fd; /* -1 for none */
    ev_io read, write;
    struct buf to_dest, from_dest;
    struct pump up, down; /* of bodies whose length is known, or that end with the connection */
    bool reused;          /* it has served a request before */
    unsigned rests_since; /* the loop's turn in which that one ended */
    uint64_t objections;  /* see outbound_serves */
    bool broken;          /* it takes no more, but may have said why */
    bool was_reset;       /* and what it said before is not the whole */

    /* the request under way */
    bool active;
    char method[16]; /* cut; only HEAD and CONNECT matter */
    int client_minor;
    bool client_keeps; /* the client wants its connection kept */
    bool upgrade;
    struct buf replay; /* the head, as long as it may be sent again on a fresh connection */
    struct target target;
    struct http_body request_body;
    bool request_done;

    /* its response */
    struct http_response response;
    size_t head_seen; /* octets of from_dest in which its head does not end */
    bool answered;    /* an octet of the response has come */
    bool head_done, response_done;
    double last_activity_s;
    struct ack_wait dest_wait;
};

/* exchange_dest.c */
/** Whether the client would take an orderly end of its connection for the end of the content. */
bool exchange_end_would_mislead(const struct exchange *x);
/** The session's exchange, made when there is none yet. NULL: out of memory. */
struct exchange *exchange_of(struct session *s);
void exchange_watch_dest(struct exchange *x);
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
/** Octets that wait for the destination. */
size_t exchange_waiting(const struct exchange *x);

/* exchange_pump.c */
void exchange_pump_request(struct exchange *x);
void exchange_pump_response(struct exchange *x);

/* exchange_body.c */
/** Whether what comes next from the destination is a body that needs no reading. */
bool exchange_moves_response(const struct exchange *x);
/** Move what is there of it. */
void exchange_move_response(struct exchange *x);
/** Pass on what waits in a pump. @return whether nothing waits any more; else the sink is slow, or broken,
 * and then the session may be closed */
bool exchange_flush_up(struct exchange *x);
bool exchange_flush_down(struct exchange *x);

/* exchange.c */
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

#endif
