/* The fronts: the ways in which a client asks for a connection. To add one, write a file that fills in a
 * struct front, and name it in the table of front.c. Nobody else tells fronts apart. */
#ifndef STEERWAY_INBOUND_FRONT_H
#define STEERWAY_INBOUND_FRONT_H

#include "inbound/session.h"

#define FRONT_ANY_BYTE (-1)

struct front {
    const char *name;
    int first_byte; /* by which its clients begin, 0..255; FRONT_ANY_BYTE: by any that is not another's */
    bool rests;     /* between two requests a client may be silent for long */
    /** Read on in s->in while SESSION_READING. It returns when it needs more bytes, or after it has changed
     * the session's state. */
    void (*advance)(struct session *s);
    /** The outbound connection stands (s->dest_fd) or failed: tell the client and go on.
     *  @param refusal  a text for a person (reply_refusal) where the policy has refused; else empty */
    void (*connected)(struct session *s, enum fault fault, const char *refusal);
    /** The client was too slow to say what it wants. */
    void (*timed_out)(struct session *s);
    /** SESSION_SLOWED is over: give the answer that was held back, or check what was not checked. NULL:
     * clients are never slowed. */
    void (*hold_over)(struct session *s);
};

extern const struct front FRONT_SOCKS4, FRONT_SOCKS5, FRONT_HTTP;

/** The front of a client that begins with this byte. */
const struct front *front_of(unsigned char first_byte);

#endif
