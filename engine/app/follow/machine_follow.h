/* Follows the machine while it runs: links that come, go or lose their carrier, addresses and routes that
 * change. Uplinks are brought up to date, the policy and the log are told, and what came from an address that
 * is gone is cut off. Where the config names no uplinks, links that come to serve are taken up as uplinks;
 * they stay, and are down while they are away. */
#ifndef STEERWAY_FOLLOW_MACHINE_FOLLOW_H
#define STEERWAY_FOLLOW_MACHINE_FOLLOW_H

#include "config/config.h"
#include "follow/surroundings.h"
#include "inbound/proxy.h"
#include "keep/ledger.h"
#include "machine/machine_watch.h"

/** Embedded by its owner, who must not move it; zero-initialised is "not following". */
struct machine_follow {
    struct machine_watch watch;
    const struct config *config;
    struct proxy *proxy;
    struct surroundings *surroundings;
    struct ledger *ledger;     /* the owner's, set before the start; NULL: what comes later begins anew */
    bool told_full;            /* more links have come than there is room for */
    ev_timer routes;           /* a while after a change: whether packets find a way out */
    ev_timer recheck;          /* changes that no event tells of, such as routes */
    struct addr_places places; /* the addresses that the machine had at the last look */
    bool told_routeless[UPLINK_MAX]; /* by id - 1 */
};

/** @return 0 or negative errno: no events are heard then, and changes are found by looking now and then */
MUST_CHECK int machine_follow_start(struct machine_follow *f, const struct config *config,
                                    struct proxy *proxy, struct surroundings *surroundings);
/** Warn now of uplinks whose packets find no way out. May be called before the start. */
void machine_follow_warn_of_routes(struct machine_follow *f, const struct uplink_set *uplinks,
                                   const struct machine *m);
/** Harmless when it is not following. */
void machine_follow_stop(struct machine_follow *f);

#endif
