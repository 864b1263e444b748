/* Records ended connections as a trace for `steerway simulate`: one JSON object a line, described in
 * docs/control.md. */
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

/** What is recorded of a connection. Texts are borrowed for the call; user and uplink may be NULL. */
struct recorded {
    double started_s; /* monotonic: when the uplink was asked for */
    const char *client, *host, *proto, *user, *uplink;
    uint16_t port;
    uint64_t tx, rx;   /* bytes to and from the destination */
    double duration_s; /* since started_s */
};

/** Start a recording, which ends an earlier one. The file is created with mode 0600 and must not exist.
 *  @return 0, -EEXIST for a file that exists, even an empty one, or another negative errno; then nothing
 * has changed */
MUST_CHECK int recorder_start(struct recorder *r, struct ev_loop *loop, const char *path);
/** Continue the recording of another process, which has opened the file; takes fd.
 *  @param began_s  when it began, monotonic @return 0, or negative errno */
MUST_CHECK int recorder_continue(struct recorder *r, struct ev_loop *loop, const char *path, int fd,
                                 double began_s);
/** Write the rest and close. Harmless when it is off. */
void recorder_stop(struct recorder *r);

static inline bool recorder_is_on(const struct recorder *r)
{
    return r->file != NULL;
}

/** Call it only while recording. A failed write ends the recording with a log line. */
void recorder_note(struct recorder *r, const struct recorded *c);

#endif
