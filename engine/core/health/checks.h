/* Checks of the uplinks: of an idle one now and then, of one that does not answer often, each family by
 * itself. */
#ifndef STEERWAY_HEALTH_CHECKS_H
#define STEERWAY_HEALTH_CHECKS_H

#include "health/probe.h"
#include "parent/loops.h"

struct uplink;
struct uplink_set;

enum { CHECKS_TARGETS_MAX = 4 };

/** Asked in turn: the next when one fails. */
struct checks_targets {
    struct probe_target items[CHECKS_TARGETS_MAX];
    size_t n;
};

/** From "target,target" (probe.h), or "none". @return 0, -EINVAL, -E2BIG */
MUST_CHECK int checks_targets_parse(struct checks_targets *ret, const char *text);

/** Those by which an uplink is checked: its own, none of a metered one (by tag or quota), else the common
 * ones.
 *  @return 0, or as checks_targets_parse */
MUST_CHECK int checks_targets_for(struct checks_targets *ret, const struct uplink *u,
                                  const struct checks_targets *common);

struct checks;

struct checks_options {
    struct ev_loop *loop;             /* it outlives the checks, as uplinks and loops do */
    const struct uplink_set *uplinks; /* with their resolvers */
    struct loops *loops;
    const char *targets; /* of uplinks that have none of their own and cost nothing */
    double interval_s;   /* between two of an idle uplink; > 0 */
    /** Called when one has ended: an uplink's health may have changed. */
    void (*ended)(void *arg);
    void *arg;
};

/** Begin. An uplink that is metered (by tag or quota) is checked only where its own config says so.
 *  @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int checks_new(struct checks **ret, const struct checks_options *options);
/** NULL is let through. */
void checks_free(struct checks *c);

/** Check an uplink that comes later as well. NULL is let through. @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int checks_add(struct checks *c, struct uplink *u);

/** Something is strange, or new, about it: check it soon, unless that is due within a few seconds anyway.
 * NULL is let through. */
void checks_hurry(struct checks *c, const struct uplink *u);

#endif
