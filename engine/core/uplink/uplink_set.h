/* The set of all uplinks, and the tick that reads their meters. */
#ifndef STEERWAY_UPLINK_UPLINK_SET_H
#define STEERWAY_UPLINK_UPLINK_SET_H

#include "base/compiler.h"
#include "net/egress.h"
#include "uplink/uplink_view.h"

struct machine;
struct uplink;
struct uplink_spec;

/** The clock of the meters. It runs only while there is something to measure, so an idle proxy does not wake
 * up. */
struct uplink_pulse {
    uint32_t ticks; /* so far */
    bool beats;
    void (*wake)(void *arg); /* start to call uplink_set_tick every UPLINK_TICK_S; NULL: nothing calls it */
    void *arg;
};

/** Owns its uplinks. They do not move and live as long as the set, so a policy may keep them. The set must
 * not move once it has an uplink. */
struct uplink_set {
    struct uplink *items[UPLINK_MAX];
    size_t n;
    enum egress_ipv6 ipv6; /* of uplinks that are added later and do not say */
    struct uplink_pulse pulse;
};

/** Add an uplink as spec says (texts are copied) and fill it from the machine's present state.
 *  @return 0, -EEXIST for a name that is taken, -ENOSPC over UPLINK_MAX, -ENOMEM */
MUST_CHECK int uplink_set_add(struct uplink_set *set, const struct uplink_spec *spec,
                              const struct machine *m);
/** Undo the latest uplink_set_add, before a pointer to that uplink is kept anywhere. */
void uplink_set_drop_last(struct uplink_set *set);
void uplink_set_done(struct uplink_set *set);

/* Short against the second over which rates are smoothed, and long against the loop's turns. */
#define UPLINK_TICK_S 0.25
enum { UPLINK_BUSY_TICKS = 8 }; /* two seconds */

/** Read the meters, and find leases that are not busy any more.
 *  @param s  since the last tick, or since wake was called; > 0
 *  @return whether to go on; if not, wake is called when there is something to measure again */
bool uplink_set_tick(struct uplink_set *set, double s);

/** Count the bytes that have moved since the last tick, for a reader that needs the numbers now. */
void uplink_set_collect(struct uplink_set *set);

#endif
