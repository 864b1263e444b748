/* What a run takes from the config and from the machine as it is. */
#ifndef STEERWAY_CONFIG_STARTUP_H
#define STEERWAY_CONFIG_STARTUP_H

#include "config/config.h"

/** Fill the set with the uplinks of the config, or with every usable link of the machine. With none of either
 *  the error lists each link with what is against it.
 *  @return 0, -ENOENT when the config names none and none is usable, or another negative errno; then one line
 * in err (CONFIG_ERROR_MAX) */
MUST_CHECK int startup_uplinks(const struct config *c, const struct machine *m, struct uplink_set *set,
                               char *err);

/** What bypasses the policy unless the config says so: loopback, link-local and the networks that the machine
 *  is connected to at present. Empty when the config says.
 *  @param ret  the caller's to cidr_set_done; untouched on failure
 *  @return 0 or -ENOMEM */
MUST_CHECK int startup_local(const struct config *c, const struct machine *m, struct cidr_set *ret);

/** Bring an earlier result of startup_local up to date. Short of memory, the old one stands.
 *  @return whether it has changed */
bool startup_refresh_local(const struct config *c, const struct machine *m, struct cidr_set *local);

#endif
