/* One direction of bytes, from its source to its sink. Few bytes are copied. Once a read fills the buffer,
 * they are spliced within the kernel. Bytes that the sink does not take wait, and nothing more is read
 * meanwhile. */
#ifndef STEERWAY_RELAY_PUMP_H
#define STEERWAY_RELAY_PUMP_H

#include "base/compiler.h"
#include "relay/pipes.h"

#include <stdbool.h>
#include <stdint.h>

enum { PUMP_BUFFER_MAX = 64 * 1024 };

/** Shared by all directions of one loop. Zero-initialised is ready. */
struct pump_room {
    struct pipes pipes;
    char buffer[PUMP_BUFFER_MAX]; /* holds bytes during one read */
};

/* Bytes that were copied, and that the sink has not taken yet. */
struct backlog {
    size_t start, len;
    char data[];
};

/** One direction. Zero-initialised is ready. Waiting bytes are either in the backlog or in the pipe, never
 * in both. */
struct pump {
    struct backlog *waiting; /* NULL for none */
    struct pipe *pipe;       /* waiting bytes in the kernel; NULL for none */
    bool bulk;               /* splice next */
    bool no_splice;          /* the socket does not support splice */
    uint8_t calm;            /* splices in a row that moved few bytes */
};

enum pump_end {
    PUMP_AGAIN, /* bytes were moved, and there may be more */
    PUMP_EMPTY, /* nothing to read now */
    PUMP_FULL,  /* the sink does not take all: bytes wait */
    PUMP_ENDED, /* the source has sent FIN */
    PUMP_SOURCE_BROKEN,
    PUMP_SINK_BROKEN, /* errno has the error */
    PUMP_NO_MEMORY,
};

/** No limit on the bytes to read. */
#define PUMP_ALL UINT64_MAX

/** Read from a source that the loop reported readable, and write to the sink. No bytes may be waiting. It
 * stops after four reads or 128 KiB, so that a bulk transfer does not block other sockets. Only recv
 * detects the end of a stream: splice mistakes an urgent mark for it. Urgent bytes stay in the stream if
 * the socket has SO_OOBINLINE.
 *  @param limit     bytes to read at most, 1 or more; the rest stays in the source
 *  @param ret_read  bytes read
 *  @return the result of the last read, also when limit is reached */
MUST_CHECK enum pump_end pump_turn(struct pump *p, struct pump_room *room, int source, int sink,
                                   uint64_t limit, size_t *ret_read);

/** Write waiting bytes. @return bytes that the sink took, or negative errno when it is broken */
MUST_CHECK int64_t pump_flush(struct pump *p, struct pump_room *room, int sink);

/** Queue bytes before the first read; no bytes may be waiting. @return 0, -ENOMEM */
MUST_CHECK int pump_keep(struct pump *p, const char *data, size_t len);

/** Bytes that wait. */
size_t pump_waiting(const struct pump *p);

/** Prepare to move to another room, perhaps of another thread. Waiting bytes come along. */
void pump_leave(struct pump *p, struct pump_room *room);
void pump_join(struct pump *p, struct pump_room *room);

/** Drop waiting bytes, and free everything. */
void pump_done(struct pump *p, struct pump_room *room);

#endif
