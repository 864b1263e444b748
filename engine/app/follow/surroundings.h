/* What the proxy derives from the machine, brought up to date in one order: gateways, uplinks, name servers,
 * own addresses, local networks.
 *
 * An uplink with a gateway is up only once the gateway is set, and its name servers depend on its addresses.
 * So whoever needs one of these refreshes them all. */
#ifndef STEERWAY_FOLLOW_SURROUNDINGS_H
#define STEERWAY_FOLLOW_SURROUNDINGS_H

#include "config/config.h"
#include "follow/gateways.h"
#include "follow/name_servers.h"
#include "machine/own_addresses.h"

/** Embedded by its owner, who must not move it; zero-initialised is "not open". */
struct surroundings {
    const struct config *config;
    struct uplink_set *uplinks;
    struct gateways gateways;
    struct name_servers names;
    struct own_addresses own; /* all addresses that the kernel delivers to this machine */
    struct cidr_set local;    /* what goes direct, of the machine's own networks */
};

/** Set routes for gateways, give each uplink a resolver, and refresh all of it for the first time. What is
 *  given must outlive it, but for the machine's state. @return 0, or negative errno with one line in err
 *  (CONFIG_ERROR_MAX); call surroundings_close either way */
MUST_CHECK int surroundings_open(struct surroundings *s, struct ev_loop *loop, const struct config *config,
                                 struct uplink_set *uplinks, const struct machine *m, char *err);

/** Bring all of it up to date, and tell the log what has changed for names and local networks. Short of
 *  memory, the last known own addresses and networks stand. */
void surroundings_refresh(struct surroundings *s, const struct machine *m);

/** Add an uplink that comes later, as up to date as the others. @return 0, or negative errno with the set as
 *  before */
MUST_CHECK int surroundings_add(struct surroundings *s, const struct uplink_spec *spec,
                                const struct machine *m);
/** Take back the last one that was added, of which nobody has heard yet. */
void surroundings_drop_last(struct surroundings *s);

/** The uplinks as an open would find them, for a look that changes nothing on the machine: gateways count as
 *  set where this process may set them. */
void surroundings_suppose(struct uplink_set *uplinks, const struct machine *m);

/** Take back what was set. The uplinks have no resolvers from then on. Harmless when not open. */
void surroundings_close(struct surroundings *s);

#endif
