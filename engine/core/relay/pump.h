/* How the octets of one direction pass from its source to its sink: copied while they are few, and within the
 * kernel (splice) once so many come that a read fills the buffer. What the sink does not take waits, and then
 * nothing more is read. */
#ifndef STEERWAY_RELAY_PUMP_H
#define STEERWAY_RELAY_PUMP_H

#include "base/compiler.h"
#include "relay/pipes.h"

#include <stdbool.h>
#include <stdint.h>

enum { PUMP_BUFFER_MAX = 64 * 1024 };

/** What all directions of one loop share. Zero-initialised is ready. */
struct pump_room {
    struct pipes pipes;
    char buffer[PUMP_BUFFER_MAX]; /* of whoever reads at the moment */
};

/* Octets that were copied, and not yet accepted. */
struct backlog {
    size_t start, len;
    char data[];
};

/** One direction. Zero-initialised is fresh. Either octets wait in the backlog, or in the pipe, never in
 * both. */
struct pump {
    struct backlog *waiting; /* NULL for none */
    struct pipe *pipe;       /* likewise, in the kernel; NULL for none */
    bool bulk;               /* splice next */
    bool no_splice;          /* a socket that cannot */
    uint8_t calm;            /* splices in a row that brought little */
};

enum pump_end {
    PUMP_AGAIN, /* moved something, and there may be more */
    PUMP_EMPTY, /* nothing more is there at present */
    PUMP_FULL,  /* the sink does not take all: something waits */
    PUMP_ENDED, /* the source's FIN */
    PUMP_SOURCE_BROKEN,
    PUMP_SINK_BROKEN, /* errno says how */
    PUMP_NO_MEMORY,
};

/** No limit to what is read. */
#define PUMP_ALL UINT64_MAX

/** Read from source, which the loop has found readable, with nothing waiting from before, and pass on what
 *  goes: as often as one turn of the loop allows, which is until four reads or 128 KiB. A bulk transfer must
 *  not keep the loop from its neighbours. Only recv tells the end of a stream: splice takes an urgent mark
 * for one. Urgent bytes stay in the stream if the socket has SO_OOBINLINE.
 *  @param limit     octets that are read at most, 1 or more: what lies behind them stays in the source
 *  @param ret_read  octets that came
 *  @return how the last read went, also where limit is reached */
MUST_CHECK enum pump_end pump_turn(struct pump *p, struct pump_room *room, int source, int sink,
                                   uint64_t limit, size_t *ret_read);

/** Pass on of what waits. @return octets that the sink took, or -1 when it is broken: errno says how */
MUST_CHECK int64_t pump_flush(struct pump *p, struct pump_room *room, int sink);

/** Let octets wait before any that are read: nothing may wait yet. @return 0, -ENOMEM */
MUST_CHECK int pump_keep(struct pump *p, const char *data, size_t len);

/** Octets that wait. */
size_t pump_waiting(const struct pump *p);

/** It goes to another room, another thread's maybe, and takes along what waits. */
void pump_leave(struct pump *p, struct pump_room *room);
void pump_join(struct pump *p, struct pump_room *room);

/** Throw away what waits, and free what is held. */
void pump_done(struct pump *p, struct pump_room *room);

#endif
