/* The fronts: the protocols by which clients ask for a connection. To add one, write a file that fills in
 * a struct front, in a room above this one, and name it in the table of serve/app.c. No other file tells
 * fronts apart. */
#ifndef STEERWAY_INBOUND_FRONT_H
#define STEERWAY_INBOUND_FRONT_H

#include "inbound/session.h"

#define FRONT_ANY_BYTE (-1)
#define FRONT_NO_BYTE (-2)

/* A front's functions for SESSION_EXCHANGE, and for s->exchange, which it keeps between requests. All
 * except wants_input, look_after and dest_fd may change the session's state, and close it. */
struct front_exchange {
    /** Whether the exchange can take more input of the client. */
    bool (*wants_input)(const struct session *s);
    /** Input has come, and s->in is empty: take it from the socket.
     *  @return false: read it into s->in instead */
    bool (*take_input)(struct session *s);
    /** The client has taken some of the bytes that waited for it. */
    void (*writable)(struct session *s);
    /** Seconds until the next look. */
    double (*look_after)(const struct session *s);
    /** The time of that look has come. */
    void (*deadline)(struct session *s);

    /** Its socket to the destination; -1 for none. This and the following functions are called with any
     * s->exchange, in each state of the session. */
    int (*dest_fd)(const struct session *s);
    /** The connection to the destination is dead: end it. */
    void (*cut)(struct session *s);
    /** The session is closed: close the exchange as well. */
    void (*stop)(struct session *s);
    /** Free s->exchange. */
    void (*free)(struct session *s);
};

struct front {
    const char *name;
    int first_byte; /* first byte of its clients, 0..255; FRONT_ANY_BYTE: any byte of no other
                       front; FRONT_NO_BYTE: it is the front of listeners */
    bool rests;     /* a client may be silent for long between two requests */
    /** For a front that serves a listener (struct proxy_use), for others NULL: a client is there. It has sent
     * nothing yet, and maybe waits for the destination to speak first. */
    void (*begin)(struct session *s);
    /** For a front that only looks at the client's first bytes, for others NULL: seconds of silence after
     * which it goes on without more of them. */
    double (*look_s)(const struct session *s);
    /** The client was silent for so long, or has sent its FIN. */
    void (*look_over)(struct session *s);
    /** Read on in s->in while SESSION_READING or SESSION_EXCHANGE, also after the client's FIN. It returns
     * when it needs more bytes, or after it has changed the session's state. */
    void (*advance)(struct session *s);
    /** A peer may connect to this address: tell the client. NULL: the front never calls session_await. */
    void (*listening)(struct session *s, const struct addr *at);
    /** The outbound connection is there (s->dest_fd), or failed: answer the client.
     *  @param refusal  the policy's reason for a refusal (reply_refusal); else empty */
    void (*connected)(struct session *s, enum fault fault, const char *refusal);
    /** The client took too long to send its request. */
    void (*timed_out)(struct session *s);
    /** SESSION_SLOWED is over: send the delayed answer, or make the delayed check. NULL: clients are never
     * slowed. */
    void (*hold_over)(struct session *s);
    /** NULL: the front has no exchanges. */
    const struct front_exchange *exchange;
};

/** The front for a client's first byte.
 *  @param fronts  ends with NULL; the front that accepts any first byte comes last */
const struct front *front_of(const struct front *const *fronts, unsigned char first_byte);

#endif
