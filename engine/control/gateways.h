/* Uplinks with a router of their own (`gateway` in the config file): two routers behind one interface. Their
 * packets are marked, and routed by a table that is kept here as long as the proxy runs. */
#ifndef STEERWAY_CONTROL_GATEWAYS_H
#define STEERWAY_CONTROL_GATEWAYS_H

#include "uplink/uplink.h"

/** Set what the uplinks want, as the machine is at present; links that went down lose their routes. An uplink
 * whose router cannot be had is down, for its packets would go by another. Call before the uplinks are
 * refreshed. */
void gateways_refresh(struct uplink_set *uplinks, const struct machine *m);

/** Take back what was set. */
void gateways_close(struct uplink_set *uplinks);

#endif
