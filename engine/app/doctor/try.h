/* Tests each uplink with packets: names, the internet, and the public address. */
#ifndef STEERWAY_DOCTOR_TRY_H
#define STEERWAY_DOCTOR_TRY_H

#include "doctor/diagnosis.h"
#include "health/checks.h"
#include "uplink/uplink_view.h"

struct uplink_set;

struct try_options {
    const struct checks_targets *targets; /* for uplinks without their own; none: nothing is tried */
    const struct probe_target
        *public_address; /* a URL that answers with the caller's address; NULL: not asked */
    double timeout_s;    /* for each request, > 0 */
};

struct try_outcome {
    bool unreached;           /* no target on the internet answers */
    char seen[ADDR_TEXT_MAX]; /* the public address; "" for unknown */
    bool large_lost;          /* a small request was answered, and one larger than a packet was not */
};

/** Try all usable uplinks in parallel, bound like their connections, and add findings. Each uplink uses
 * the targets of its checks. Takes at most three times timeout_s.
 *  @param set  with resolvers that have their servers
 *  @param ret  by uplink id - 1; entries of uplinks that were not tried stay as they are
 *  @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int try_uplinks(struct diagnosis *r, const struct uplink_set *set, struct ev_loop *loop,
                           const struct try_options *options, struct try_outcome ret[UPLINK_MAX]);

#endif
