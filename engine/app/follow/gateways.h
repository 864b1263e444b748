/* Uplinks with a router of their own (`gateway` in the config file): two routers behind one interface. Their
 * packets are marked, and routed by a table that is kept here as long as the proxy runs. */
#ifndef STEERWAY_FOLLOW_GATEWAYS_H
#define STEERWAY_FOLLOW_GATEWAYS_H

#include "base/compiler.h"

struct machine;
struct uplink_set;

/** A share of the marks and tables that such uplinks use: several programs may run on one machine. */
struct gateways {
    int fd; /* holds the share; -1 where none is needed */
    unsigned share;
};

/** Take a share that nobody has, and give each uplink with a gateway its mark, unless its own is configured.
 *  Call before the uplinks are refreshed. @return 0, -EADDRINUSE when all are taken, or negative errno */
MUST_CHECK int gateways_open(struct gateways *g, struct uplink_set *uplinks);

/** Set what the uplinks want, as the machine is at present; links that went down lose their routes. An uplink
 * whose router cannot be had is down, for its packets would go by another. Call before the uplinks are
 * refreshed. */
void gateways_refresh(const struct gateways *g, struct uplink_set *uplinks, const struct machine *m);

/** Take them as set where this process may set them, for a look that changes nothing on the machine. */
void gateways_suppose(struct uplink_set *uplinks);

/** Take back what was set, and give up the share. Harmless when nothing is open (fd -1). */
void gateways_close(struct gateways *g, struct uplink_set *uplinks);

#endif
