/* The sockets by which replies to captured clients leave: each is bound to the address that the client has
 * sent to, which is not of this machine (IP_TRANSPARENT). */
#ifndef STEERWAY_DATAGRAM_REPLIES_H
#define STEERWAY_DATAGRAM_REPLIES_H

#include "base/list.h"
#include "datagram/batch.h"

/* In use at a time; the one that was used longest ago makes room. */
enum { REPLIES_MAX = 512, REPLIES_BUCKETS = 64 };

struct reply_socket {
    struct reply_socket *next; /* in its bucket */
    struct list node;          /* of all, the latest used last */
    struct addr at;
    struct batch_socket socket;
};

/** Zero-initialised: empty. */
struct replies {
    uint32_t mark; /* of all; 0 for none */
    struct reply_socket *buckets[REPLIES_BUCKETS];
    struct list used;
    size_t n;
};

/** The socket that is bound to an address. @param out  sends what is pending before a socket is closed
 *  @return NULL: the kernel refuses it */
struct batch_socket *replies_from(struct replies *r, const struct addr *at, struct batch_out *out);
/** Let replies leave from the port of a socket of ours, too. Call it after bind: so this socket does not
 * share a port that is taken, as by a second proxy. */
void replies_beside(int fd);
void replies_done(struct replies *r);

#endif
