/* Checks of the uplinks, for each family: rarely for an idle uplink, often for one that does not answer. */
#ifndef STEERWAY_HEALTH_CHECKS_H
#define STEERWAY_HEALTH_CHECKS_H

#include "health/probe.h"
#include "parent/loops.h"

struct uplink;
struct uplink_set;

enum { CHECKS_TARGETS_MAX = 4 };

/** Asked in order: the next one when one fails. */
struct checks_targets {
    struct probe_target items[CHECKS_TARGETS_MAX];
    size_t n;
};

/** From "target,target" (probe.h), or "none". @return 0, -EINVAL, -E2BIG */
MUST_CHECK int checks_targets_parse(struct checks_targets *ret, const char *text);

/** The targets of an uplink: its own; none if it is metered (by tag or quota); else the common ones.
 *  @return 0, or as checks_targets_parse */
MUST_CHECK int checks_targets_for(struct checks_targets *ret, const struct uplink *u,
                                  const struct checks_targets *common);

struct checks;

struct checks_options {
    struct ev_loop *loop;             /* must outlive the checks, like uplinks and loops */
    const struct uplink_set *uplinks; /* with their resolvers */
    struct loops *loops;
    const char *targets; /* for uplinks without their own that are not metered */
    double interval_s;   /* between checks of an idle uplink, > 0 */
    /** Called when a check has ended, which may have changed an uplink's health. */
    void (*ended)(void *arg);
    void *arg;
};

/** Start the checks. A metered uplink (by tag or quota) is checked only if its own config has targets.
 *  @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int checks_new(struct checks **ret, const struct checks_options *options);
/** NULL is allowed. */
void checks_free(struct checks *c);

/** Check it no longer. NULL is allowed. */
void checks_remove(struct checks *c, const struct uplink *u);
/** Check another uplink too. NULL is allowed. @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int checks_add(struct checks *c, struct uplink *u);

/** Check the uplink soon, because it is new or behaves strangely. Nothing changes if a check is due within
 * a few seconds, or if no target has an address of that family. NULL is allowed.
 *  @param family  AF_UNSPEC: both */
void checks_hurry(struct checks *c, const struct uplink *u, int family);

#endif
