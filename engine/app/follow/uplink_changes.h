/* Changes of uplinks that the user makes while the proxy runs. Each is logged. They last until the proxy is
 * restarted, or reads its config again. */
#ifndef STEERWAY_FOLLOW_UPLINK_CHANGES_H
#define STEERWAY_FOLLOW_UPLINK_CHANGES_H

#include "base/compiler.h"

#include <stdbool.h>

struct machine_follow;
struct quota_plan;
struct uplink;
struct uplink_spec;

/** Add an uplink. A policy sees it among the candidates at once, and in ctx.uplinks after its next load.
 *  @return 0, -EEXIST for a name that is taken, -ENOSPC for too many, or another negative errno */
MUST_CHECK int uplink_changes_add(struct machine_follow *f, const struct uplink_spec *spec,
                                  struct uplink **ret);

/** Remove one: new connections use others, and open ones go on. A link that was found without the user is not
 * found again. */
void uplink_changes_remove(struct machine_follow *f, struct uplink *u);

void uplink_changes_weight(struct uplink *u, double weight);
void uplink_changes_tier(struct uplink *u, double tier);
/** Connections that had a cap at their start follow it. @param rate  bytes a second; 0: none */
void uplink_changes_rate(struct uplink *u, double rate);
/** The count of a quota's present period goes on. */
void uplink_changes_quota(struct machine_follow *f, struct uplink *u, const struct quota_plan *plan);
void uplink_changes_drain(struct machine_follow *f, struct uplink *u, bool on);

#endif
