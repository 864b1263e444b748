/* Follows the machine while the proxy runs: links that come, go or lose their carrier, addresses and
 * routes that change. It updates the uplinks, tells policy and log, and ends connections from an address
 * that is gone. If the config names no uplinks, new usable links become uplinks; they stay in the set, and
 * are down while they are away. */
#ifndef STEERWAY_FOLLOW_MACHINE_FOLLOW_H
#define STEERWAY_FOLLOW_MACHINE_FOLLOW_H

#include "config/config.h"
#include "follow/surroundings.h"
#include "inbound/proxy.h"
#include "keep/ledger.h"
#include "machine/machine_watch.h"
#include "uplink/discover_ignored.h"

/** Embedded by its owner, who must not move it; zero-initialised is "not following". */
struct machine_follow {
    struct machine_watch watch;
    const struct config *config;
    struct proxy *proxy;
    struct surroundings *surroundings;
    struct ledger
        *ledger; /* the owner's, set before the start; NULL: uplinks that come later start from zero */
    /** Called after each look at the machine, when everything here is up to date. Set before the start, or
     * NULL.
     *  @param settled  some time after a change, when routes have followed */
    void (*looked)(void *arg, const struct machine *m, bool settled);
    void *arg;
    struct discover_ignored ignored;
    bool told_full;                  /* more links have come than fit */
    ev_timer routes;                 /* some time after a change: check for routes */
    ev_timer recheck;                /* finds changes without an event, such as routes */
    struct addr_places places;       /* the machine's addresses at the last look */
    bool told_routeless[UPLINK_MAX]; /* by id - 1 */
};

/** @return 0 or negative errno: then there are no events, and changes are found by regular looks */
MUST_CHECK int machine_follow_start(struct machine_follow *f, const struct config *config,
                                    struct proxy *proxy, struct surroundings *surroundings);
/** Warn now of uplinks whose packets have no route. May be called before the start. */
void machine_follow_warn_of_routes(struct machine_follow *f, const struct uplink_set *uplinks,
                                   const struct machine *m);
/** Look at the machine now: something that depends on it has changed. */
void machine_follow_look(struct machine_follow *f);
/** Add an uplink while the proxy runs, with its resolver, check, quota and learned capacity. Neither log nor
 * policy is told. @return 0, or negative errno of uplink_set_add; then the set is unchanged */
MUST_CHECK int machine_follow_add(struct machine_follow *f, const struct uplink_spec *spec,
                                  const struct machine *m, struct uplink **ret);
/** Remove an uplink: attempts by it try another one, open connections go on, and its quota and capacity are
 * kept for one of its name. Neither log nor policy is told. */
void machine_follow_remove(struct machine_follow *f, struct uplink *u);

/** Take a removal back, unless its name is taken by now. Its connections were not touched. */
void machine_follow_restore(struct machine_follow *f, struct uplink *u);

/** Harmless when it is not following. */
void machine_follow_stop(struct machine_follow *f);

#endif
