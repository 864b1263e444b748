/* Records ended connections as a trace that `steerway simulate` can play: text, one JSON object a line, which
 * docs/control.md describes. */
#ifndef STEERWAY_OUTBOUND_RECORDER_H
#define STEERWAY_OUTBOUND_RECORDER_H

#include "base/compiler.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Embedded by its owner; zero-initialised is off. */
struct recorder {
    struct ev_loop *loop;
    FILE *file; /* NULL: off */
    char *path;
    double began_s;
    uint64_t lines;
    ev_timer flush;
};

/** What is written of a connection. Text is borrowed for the call; user and uplink may be NULL. */
struct recorded {
    double started_s; /* monotonic: when it asked for an uplink */
    const char *client, *host, *proto, *user, *uplink;
    uint16_t port;
    uint64_t tx, rx;   /* octets to and from the destination */
    double duration_s; /* since then */
};

/** Begin; ends a recording that is under way. The file is made with mode 0600; it must not exist.
 *  @return 0, -EEXIST for a file that exists, even an empty one, or another negative errno; then nothing has
 *  changed */
MUST_CHECK int recorder_start(struct recorder *r, struct ev_loop *loop, const char *path);
/** Write what is left and close. Harmless when it is off. */
void recorder_stop(struct recorder *r);

static inline bool recorder_is_on(const struct recorder *r)
{
    return r->file != NULL;
}

/** Only while it is on. What cannot be written ends the recording with a line in the log, and nothing else.
 */
void recorder_note(struct recorder *r, const struct recorded *c);

#endif
