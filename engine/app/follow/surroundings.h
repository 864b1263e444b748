/* Everything that the proxy derives from the machine, updated in one order: gateways, uplinks, name
 * servers, own addresses, local networks.
 *
 * An uplink with a gateway is up only once the gateway's route is set, and its name servers depend on its
 * addresses. So they are always refreshed together. */
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
    struct cidr_set local;    /* the machine's own networks that go direct */
};

/** Set routes for gateways, give each uplink a resolver, and refresh everything for the first time. The
 * arguments must outlive it, except for m. @return 0, or negative errno with one line in err
 * (CONFIG_ERROR_MAX); call surroundings_close either way */
MUST_CHECK int surroundings_open(struct surroundings *s, struct ev_loop *loop, const struct config *config,
                                 struct uplink_set *uplinks, const struct machine *m, char *err);

/** Update everything, and log changes of name servers and local networks. Without memory, the last known
 * own addresses and networks are kept. */
void surroundings_refresh(struct surroundings *s, const struct machine *m);

/** Add an uplink that comes later, and update it like the others. @return 0, or negative errno with the
 * set unchanged */
MUST_CHECK int surroundings_add(struct surroundings *s, const struct uplink_spec *spec,
                                const struct machine *m);
/** Remove the uplink that was added last, before anything else knows of it. */
void surroundings_drop_last(struct surroundings *s);

/** Update the uplinks as surroundings_open would, without changing the machine. Gateways count as set if
 * this process may set them. */
void surroundings_suppose(struct uplink_set *uplinks, const struct machine *m);

/** The config has changed: take its name servers, and the networks that it lets bypass the policy. */
void surroundings_settle(struct surroundings *s, const struct machine *m);

/** Remove what was set, and the uplinks' resolvers. Harmless when not open. */
void surroundings_close(struct surroundings *s);

#endif
