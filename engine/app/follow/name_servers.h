/* The DNS servers of each uplink, from the first of these sources that has any. The config's for the
 * uplink or for all; the system's for its link; those in resolv.conf that it can reach; its router,
 * followed by servers on loopback in resolv.conf.
 *
 * An uplink cannot reach a server of a family that it lacks. Nor can it reach a link-local server, or a
 * router, of another link. A server on loopback, such as the stub of systemd-resolved, is not bound to an
 * uplink and uses its own routes. So it is asked last, unless the config names it. */
#ifndef STEERWAY_FOLLOW_NAME_SERVERS_H
#define STEERWAY_FOLLOW_NAME_SERVERS_H

#include "config/config.h"
#include "dns/dns_servers.h"
#include "dns/resolver.h"
#include "uplink/uplink_view.h"

#include <ev.h>

struct uplink;
struct uplink_set;

/** Embedded by its owner; zero-initialised is "not open". */
struct name_servers {
    const struct config *config;
    struct uplink_set *uplinks;
    struct ev_loop *loop;
    struct resolver_commons commons;
    struct dns_system *system;  /* the machine's own resolver functions */
    struct resolver *direct;    /* for direct connections, by the kernel's routing */
    struct dns_servers set;     /* by the config, for all uplinks; may be empty */
    bool told_none[UPLINK_MAX]; /* by id - 1 */
};

/** Give each uplink a resolver. @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int name_servers_open(struct name_servers *n, struct ev_loop *loop, const struct config *config,
                                 struct uplink_set *uplinks);

/** The same for an uplink that comes later; its servers are looked up at once. @return 0, -ENOMEM */
MUST_CHECK int name_servers_add(struct name_servers *n, struct uplink *u, const struct machine *m);

/** Free the resolver of an uplink that is about to be freed. */
void name_servers_remove(struct uplink *u);

/** The config has changed: take its servers, and its time for answers. */
void name_servers_settle(struct name_servers *n);

/** Look up the servers again, and log changes. */
void name_servers_refresh(struct name_servers *n, const struct machine *m);

/** Remove the uplinks' resolvers. Harmless when not open. */
void name_servers_close(struct name_servers *n);

#endif
