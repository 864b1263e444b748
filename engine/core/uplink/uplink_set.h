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

/** Owns its uplinks, which do not move. One that was removed lives on behind the others while connections use
 * it, or others hold it (uplink_hold). Ids are stable, and those of freed uplinks are given again. The set
 * must not move once it has an uplink. */
struct uplink_set {
    struct uplink *items[UPLINK_MAX]; /* in the order that the user gave; then those that were removed */
    size_t n;                         /* without those that were removed */
    size_t n_all;
    struct uplink *by_id[UPLINK_MAX]; /* by id - 1, also those that were removed; NULL for none */
    uint32_t changes;                 /* goes up with each uplink that is added or removed */
    /** Called before a removed uplink is freed, so that others free what they keep for it; may be NULL. */
    void (*freeing)(void *arg, struct uplink *u);
    void *freeing_arg;
    enum egress_ipv6 ipv6; /* of uplinks that are added later and do not say */
    struct uplink_pulse pulse;
};

/** Add an uplink as spec says (texts are copied) and fill it from the machine's present state.
 *  @return 0, -EEXIST for a name that is taken, -ENOSPC when UPLINK_MAX are there or still in use,
 *  -ENOMEM */
MUST_CHECK int uplink_set_add(struct uplink_set *set, const struct uplink_spec *spec,
                              const struct machine *m);
/** Append an uplink that is filled already, with a free id. Only a set of such uplinks is not given to
 * uplink_set_done, which would free them. */
void uplink_set_put(struct uplink_set *set, struct uplink *u);
/** Undo the latest uplink_set_add, before a pointer to that uplink is kept anywhere. */
void uplink_set_drop_last(struct uplink_set *set);

/** Take one of the items out: it gets no new connections, its open ones go on, and its name is free. It is
 * freed by a later uplink_set_add or uplink_set_remove, when nothing uses it any more. */
void uplink_set_remove(struct uplink_set *set, struct uplink *u);
/** Put a removed one back behind the other items, if its name is still free.
 *  @return whether it is an item again */
bool uplink_set_restore(struct uplink_set *set, struct uplink *u);
/** Move one of the items to that position among them. */
void uplink_set_place(struct uplink_set *set, struct uplink *u, size_t position);

/** @return NULL for an unknown id or name; by name, only items that were not removed */
struct uplink *uplink_set_by_id(const struct uplink_set *set, int32_t id);
struct uplink *uplink_set_by_name(const struct uplink_set *set, const char *name);
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
