/* Brings the uplinks up to date with a config that was read again. Only what has changed in the config
 * changes here: an uplink that the user has added, removed or weighted meanwhile stays so, unless its lines
 * in the config have changed. */
#ifndef STEERWAY_FOLLOW_UPLINK_RELOAD_H
#define STEERWAY_FOLLOW_UPLINK_RELOAD_H

#include "config/config.h"
#include "uplink/uplink_view.h"

struct machine;
struct machine_follow;
struct uplink;

/** What a reload has done, so that it can be undone. Zero-initialised is empty. */
struct uplink_reload {
    struct uplink *added[UPLINK_MAX], *removed[UPLINK_MAX]; /* held */
    size_t n_added, n_removed;
    struct {
        struct uplink *uplink; /* held */
        double weight, tier, rate;
        struct quota_plan quota;
    } before[UPLINK_MAX];
    size_t n_before;
};

/** Add, remove and change uplinks, and put them in the config's order.
 *  @param before  the config as it was read last
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); then nothing has changed */
MUST_CHECK int uplink_reload_apply(struct uplink_reload *r, struct machine_follow *f,
                                   const struct config *before, const struct config *now,
                                   const struct machine *m, char *err);
/** Take it back: removed uplinks serve again. */
void uplink_reload_undo(struct uplink_reload *r, struct machine_follow *f);
/** It stays: log it, and tell the policy of uplinks that are new or gone. */
void uplink_reload_keep(struct uplink_reload *r, struct machine_follow *f);

#endif
