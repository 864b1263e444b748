/* Which DNS servers each uplink asks: those that the config names for it, or for all; else those that the
 * system has learned for its link; else those in resolv.conf that it can reach; else its router, and behind
 * it what resolv.conf names on loopback.
 *
 * An uplink cannot reach a server of a family that it lacks, a link-local server of another link, or a router
 * in another link's network. A server on loopback, such as the stub of systemd-resolved, is not bound to an
 * uplink and asks by ways of its own. So it is the last to be asked, unless the config names it. */
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
    struct dns_system *system;  /* of the machine's own way */
    struct resolver *direct;    /* by the kernel's own routing */
    struct dns_servers set;     /* by the config, for all; none where it says nothing */
    bool told_none[UPLINK_MAX]; /* by id - 1 */
};

/** Give each uplink a resolver. @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int name_servers_open(struct name_servers *n, struct ev_loop *loop, const struct config *config,
                                 struct uplink_set *uplinks);

/** The same for an uplink that comes later, whose servers are looked up at once. @return 0, -ENOMEM */
MUST_CHECK int name_servers_add(struct name_servers *n, struct uplink *u, const struct machine *m);

/** Look anew, and tell the log what is another than before. */
void name_servers_refresh(struct name_servers *n, const struct machine *m);

/** The uplinks have no resolvers from then on. Harmless when not open. */
void name_servers_close(struct name_servers *n);

#endif
