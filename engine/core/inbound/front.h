/* The fronts: the ways in which a client asks for a connection. To add one, write a file that fills in a
 * struct front, and name it in the table of front.c. Nobody else tells fronts apart. */
#ifndef STEERWAY_INBOUND_FRONT_H
#define STEERWAY_INBOUND_FRONT_H

#include "inbound/session.h"

#define FRONT_ANY_BYTE (-1)

/* What a front does in SESSION_EXCHANGE, and with what it keeps in s->exchange from one request to the next.
 * All but wants_input and look_after may change the session's state, and close it. */
struct front_exchange {
    /** Whether more input of the client has a place to go. */
    bool (*wants_input)(const struct session *s);
    /** Input has come, and s->in is empty: take it where it lies, in the socket.
     *  @return false: it is to be read into s->in */
    bool (*take_input)(struct session *s);
    /** The client has taken of what waited for it. */
    void (*writable)(struct session *s);
    /** When to look at it next, in seconds. */
    double (*look_after)(const struct session *s);
    /** That time has come. */
    void (*deadline)(struct session *s);

    /** Its socket to the destination; -1 for none. The following take each s->exchange that is there, in each
     * of the session's states. */
    int (*dest_fd)(const struct session *s);
    /** Nothing can arrive over that any more. */
    void (*cut)(struct session *s);
    /** The session is closed: close that as well. */
    void (*stop)(struct session *s);
    /** Free s->exchange. */
    void (*free)(struct session *s);
};

struct front {
    const char *name;
    int first_byte; /* by which its clients begin, 0..255; FRONT_ANY_BYTE: by any that is not another's */
    bool rests;     /* between two requests a client may be silent for long */
    /** Read on in s->in while SESSION_READING or SESSION_EXCHANGE, also after the client's end. It returns
     * when it needs more bytes, or after it has changed the session's state. */
    void (*advance)(struct session *s);
    /** The outbound connection stands (s->dest_fd) or failed: tell the client and go on.
     *  @param refusal  a text for a person (reply_refusal) where the policy has refused; else empty */
    void (*connected)(struct session *s, enum fault fault, const char *refusal);
    /** The client was too slow to say what it wants. */
    void (*timed_out)(struct session *s);
    /** SESSION_SLOWED is over: give the answer that was held back, or check what was not checked. NULL:
     * clients are never slowed. */
    void (*hold_over)(struct session *s);
    /** NULL: SESSION_EXCHANGE is never entered. */
    const struct front_exchange *exchange;
};

extern const struct front FRONT_SOCKS4, FRONT_SOCKS5, FRONT_HTTP;

/** The front of a client that begins with this byte. */
const struct front *front_of(unsigned char first_byte);

#endif
