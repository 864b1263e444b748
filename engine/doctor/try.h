/* What only packets tell: whether names, the internet and a stranger's view of the address come by each
 * uplink. */
#ifndef STEERWAY_DOCTOR_TRY_H
#define STEERWAY_DOCTOR_TRY_H

#include "doctor/diagnosis.h"
#include "session/checks.h"
#include "uplink/uplink.h"

struct try_options {
    const struct checks_targets *targets;      /* of the internet; none: not tried */
    const struct probe_target *public_address; /* answers with the address that it sees; NULL: not asked */
    double timeout_s;                          /* of each, > 0 */
};

/** Try all uplinks that can serve side by side, bound as their connections are, and write what came of it.
 * Takes twice timeout_s at most. @param set  with resolvers, aimed
 * @param ret_unreached  set for those, by place, by which nothing on the internet answers @return 0, -ENOMEM
 */
MUST_CHECK int try_uplinks(struct diagnosis *r, const struct uplink_set *set, struct ev_loop *loop,
                           const struct try_options *options, bool ret_unreached[UPLINK_MAX]);

#endif
