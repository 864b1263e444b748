/* What this process still moves after another one has taken its place counts for the quotas that the other
 * one keeps. It is told by the control socket, to whichever process serves there. */
#ifndef STEERWAY_TAKEOVER_LATE_BYTES_H
#define STEERWAY_TAKEOVER_LATE_BYTES_H

#include "control/control_path.h"
#include "keep/ledger.h"

#include <ev.h>

/** Embedded by its owner, who must not move it; zero-initialised is off. */
struct late_bytes {
    struct ev_loop *loop; /* NULL: off */
    struct ledger *ledger;
    char path[CONTROL_PATH_MAX];
    ev_timer tick;
    int fd; /* of a report that is not answered yet; -1: none */
    ev_io answered;
    double sent[UPLINK_MAX]; /* bytes in that report, by id - 1 */
};

/** Begin to tell. @param path  the control socket */
void late_bytes_start(struct late_bytes *b, struct ev_loop *loop, struct ledger *ledger, const char *path);
/** Tell the rest, which waits for the answer for a second at most. Harmless when it is off. */
void late_bytes_finish(struct late_bytes *b);

#endif
