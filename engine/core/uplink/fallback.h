/* The built-in choice where no policy decides: the fewest live connections per weight. Equal uplinks take
 * turns by smooth weighted round robin. */
#ifndef STEERWAY_UPLINK_FALLBACK_H
#define STEERWAY_UPLINK_FALLBACK_H

#include "uplink/uplink_view.h"

#include <stddef.h>

struct uplink;

struct fallback {
    double credit[UPLINK_MAX]; /* by uplink id - 1 */
};

/** @param candidates  n >= 1, all usable @return one of them */
struct uplink *fallback_pick(struct fallback *f, struct uplink *const *candidates, size_t n);

#endif
