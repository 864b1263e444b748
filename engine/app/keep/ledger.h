/* What is known of the uplinks that must outlive the run: what their quotas have used up, and what they have
 * been seen to carry. Kept in a file, saved within seconds; and the periods of quotas, begun in time. */
#ifndef STEERWAY_KEEP_LEDGER_H
#define STEERWAY_KEEP_LEDGER_H

#include "inbound/proxy.h"
#include "keep/state_file.h"

#include <jansson.h>

/** Embedded by its owner, who must not move it; zero-initialised is "not open". */
struct ledger {
    struct ev_loop *loop;
    struct uplink_set *uplinks;
    struct proxy *proxy;
    struct state_file file;
    json_t *kept;             /* the file's uplinks, also those that this run has not */
    bool used_up[UPLINK_MAX]; /* by id - 1: as was told last */
    ev_timer save;
    ev_periodic renewal; /* the next end of a period */
};

/** Take up what the file says, and keep it from now on. Without a path, periods are kept and nothing else.
 * What cannot be understood is put aside with a warning.
 *  @param path  NULL for none
 *  @return 0 or negative errno, those of state_file_open; then periods are kept all the same */
MUST_CHECK int ledger_open(struct ledger *l, struct ev_loop *loop, const char *path, struct proxy *proxy);
/** Take up what is kept of an uplink that comes later. */
void ledger_add(struct ledger *l, struct uplink *u);
/** Look at what has been counted: a hard quota that is used up ends what is open. For whoever reads the
 * meters, each time. */
void ledger_look(struct ledger *l);
/** Save and end. Harmless when it is not open. */
void ledger_close(struct ledger *l);

#endif
