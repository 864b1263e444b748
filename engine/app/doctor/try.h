/* What only packets tell: whether names, the internet and a stranger's view of the address come by each
 * uplink. */
#ifndef STEERWAY_DOCTOR_TRY_H
#define STEERWAY_DOCTOR_TRY_H

#include "doctor/diagnosis.h"
#include "health/checks.h"
#include "uplink/uplink.h"

struct try_options {
    const struct checks_targets *targets;      /* of uplinks without their own; none: not tried */
    const struct probe_target *public_address; /* answers with the address that it sees; NULL: not asked */
    double timeout_s;                          /* of each, > 0 */
};

struct try_outcome {
    bool unreached;           /* nothing on the internet answers by it */
    char seen[ADDR_TEXT_MAX]; /* the address that the internet sees; "" for unknown */
    bool large_lost;          /* a small request was answered, and one that fills a packet was not */
};

/** Try all uplinks that can serve side by side, bound as their connections are, and write what came of it.
 * Each is asked for what it would be checked by. Takes three times timeout_s at most.
 * @param set  with resolvers, aimed
 * @param ret  by place; of those that were not tried untouched @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int try_uplinks(struct diagnosis *r, const struct uplink_set *set, struct ev_loop *loop,
                           const struct try_options *options, struct try_outcome ret[UPLINK_MAX]);

#endif
