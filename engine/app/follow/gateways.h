/* Uplinks with their own router (`gateway` in the config file), such as two routers behind one interface.
 * Their packets are marked, and routed by a table that exists while the proxy runs. */
#ifndef STEERWAY_FOLLOW_GATEWAYS_H
#define STEERWAY_FOLLOW_GATEWAYS_H

#include "base/compiler.h"

struct machine;
struct uplink;
struct uplink_set;

/** A share of the marks and tables for such uplinks, since several proxies may run on one machine. */
struct gateways {
    int fd; /* holds the share; -1 when none is needed */
    unsigned share;
};

/** Take a free share, and give each uplink with a gateway its mark, unless one is configured. Call it
 * before the uplinks are refreshed. @return 0, -EADDRINUSE when all shares are taken, or negative errno */
MUST_CHECK int gateways_open(struct gateways *g, struct uplink_set *uplinks);

/** The same for an uplink that comes later. */
MUST_CHECK int gateways_add(struct gateways *g, struct uplink *u);

/** Remove what was set for one uplink. */
void gateways_remove(const struct gateways *g, const struct uplink *u);

/** Set the routes for the machine's present state; links that went down lose their routes. An uplink whose
 * router cannot be used is down, since its packets would use another router. Call it before the uplinks
 * are refreshed. */
void gateways_refresh(const struct gateways *g, struct uplink_set *uplinks, const struct machine *m);

/** Assume that the routes are set, where this process may set them. Changes nothing on the machine. */
void gateways_suppose(struct uplink_set *uplinks);

/** Remove what was set, and release the share. Harmless when not open (fd -1). */
void gateways_close(struct gateways *g, struct uplink_set *uplinks);

#endif
