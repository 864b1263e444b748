/* Combines the config with the machine's state at the start: uplinks, and networks that go direct. */
#ifndef STEERWAY_CONFIG_STARTUP_H
#define STEERWAY_CONFIG_STARTUP_H

#include "config/config.h"

/** Fill the set with the config's uplinks, or with every usable link of the machine. When there are none,
 * the error lists each link and why it cannot serve.
 *  @return 0, -ENOENT when the config names none and none is usable, or another negative errno; then one
 * line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int startup_uplinks(const struct config *c, const struct machine *m, struct uplink_set *set,
                               char *err);

/** Find mistakes of the config's uplinks: a parent proxy that is this proxy itself, forwards in a circle, a
 * prefix's length for a weight. @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int startup_check(const struct config *c, const struct machine *m, char *err);

/** The networks that bypass the policy by default: loopback, link-local and directly connected networks.
 * Empty when the config sets its own.
 *  @param ret  release with cidr_set_done; untouched on failure
 *  @return 0 or -ENOMEM */
MUST_CHECK int startup_local(const struct config *c, const struct machine *m, struct cidr_set *ret);

/** Update an earlier result of startup_local. Without memory the old one stays.
 *  @return whether it has changed */
bool startup_refresh_local(const struct config *c, const struct machine *m, struct cidr_set *local);

#endif
