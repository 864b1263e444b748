/* Many datagrams in one system call: recvmmsg with GRO, sendmmsg with GSO (Linux 4.18 and 5.0). One of each
 * for a loop, whose ports and mappings use them in turn. */
#ifndef STEERWAY_DATAGRAM_BATCH_H
#define STEERWAY_DATAGRAM_BATCH_H

#include "addr/addr.h"
#include "base/compiler.h"
#include "base/slice.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    BATCH_MAX = 32,           /* messages of one call */
    BATCH_SEGMENTS_MAX = 64,  /* datagrams of one message: UDP_MAX_SEGMENTS of Linux before 6.9 */
    BATCH_HEADER_MAX = 22,    /* bytes in front of a payload */
    BATCH_PIECES_MAX = 1024,  /* headers and payloads of one call */
    BATCH_MESSAGE_MAX = 65535 /* bytes; what a datagram or a train of them holds */
};

/** A socket for datagrams, and what it has taught us. */
struct batch_socket {
    int fd;           /* -1: closed */
    bool no_gso;      /* the kernel or the device refused a train of datagrams */
    bool keeps_whole; /* set by batch_keep_whole */
};

/** Datagrams that came in one call. The memory is made at the first use. */
struct batch_in {
    struct mmsghdr *messages; /* BATCH_MAX; NULL: not made yet */
    struct iovec *pieces;
    struct addr *sources;
    char *control, *bytes;
};

/** Zero-initialised is ready. */
void batch_in_done(struct batch_in *b);

/** Receive what has come.
 *  @return the number of messages, 0 for none, or negative errno: -ENOMEM, or the socket's pending error */
MUST_CHECK int batch_receive(struct batch_in *b, int fd);

/** A received message: one datagram, or a train of datagrams of one size (the last may be shorter). */
struct batch_message {
    const struct addr *source;
    struct slice bytes;
    size_t segment;        /* size of each datagram of the train; >= 1 */
    const struct addr *to; /* the datagram's original destination, where the socket reports it; else NULL */
};
/** The i-th message of the last call. @return false: its sender's address is of no known family */
bool batch_message(const struct batch_in *b, int i, struct batch_message *ret);
/** The number of datagrams of a message. */
static inline uint64_t batch_message_count(const struct batch_message *m)
{
    return m->bytes.len == 0 ? 1 : (m->bytes.len + m->segment - 1) / m->segment;
}

/** How datagrams that were added have left, or why not. */
struct batch_sent {
    uint64_t sent;         /* datagrams */
    uint64_t no_room;      /* the kernel's queue was full */
    uint64_t too_big;      /* larger than the path takes in one piece */
    uint64_t failed;       /* refused otherwise */
    uint64_t in_fragments; /* sent, but in fragments: too large for any Ethernet */
};

/** Datagrams to be sent by one socket. */
struct batch_out {
    struct batch_socket *socket; /* NULL: nothing was added */
    struct mmsghdr *messages;    /* NULL: not made yet */
    struct iovec *pieces;
    char *control, *headers;
    struct addr *dests;
    const struct addr *last; /* the destination of the message that may still grow */
    size_t n, n_pieces;
    size_t segment; /* of that message */
    size_t n_segments;
    bool full;               /* its last datagram was shorter */
    struct batch_sent *sent; /* where results are added */
};

void batch_out_done(struct batch_out *b);

/** Add a datagram. What was added for another socket is sent first, as is a full batch. Without memory the
 * datagram is counted as failed.
 *  @param to       copied; datagrams with the same pointer one after another may go as a train
 *  @param header   copied; at most BATCH_HEADER_MAX bytes
 *  @param payload  must stay until batch_flush */
void batch_add(struct batch_out *b, struct batch_socket *socket, const struct addr *to, struct slice header,
               struct slice payload);
/** The same with a header of any length, which must stay until batch_flush as well. */
void batch_add_behind(struct batch_out *b, struct batch_socket *socket, const struct addr *to,
                      struct slice header, struct slice payload);
/** Send all that was added. */
void batch_flush(struct batch_out *b);

/** Forbid fragments, so that a sender that probes for the size of its path sees the loss (RFC 8899): a client
 * on the way to its destination, and a server on the way back. Only what is too large for an Ethernet of 1500
 * bytes goes in fragments: it is not a probe. @return 0 or negative errno */
int batch_keep_whole(struct batch_socket *socket, int family);
/** Ask for GRO and larger buffers, as far as the kernel grants them. */
void batch_tune(int fd);

#endif
