/* Which of this machine's links can serve as uplinks, and why the others cannot. */
#ifndef STEERWAY_UPLINK_DISCOVER_H
#define STEERWAY_UPLINK_DISCOVER_H

#include "uplink/uplink.h"

/** Why a link would not be used by default; NULL when it would: "loopback", "down", "no carrier", "bridge",
 *  "member of a bridge or bond", "container" (a veth without a default route), "virtual" (dummy, ifb, tunnels and
 *  VPNs, whose packets leave by another link), "no address", "no default route". A veth with a default route of
 *  its own is a container's network card seen from within, and is used. ppp, vlan, bond, macvlan and wwan are
 *  real lines. */
const char *discover_objection(const struct machine *m, const struct machine_link *link);

/** Add every link without an objection. @return how many were added, or negative errno */
MUST_CHECK int discover_add_all(struct uplink_set *set, const struct machine *m);

/** A warning when packets of this uplink would not leave as promised: asks the kernel for a route to a public
 *  address of each family it serves. Writes one or two sentences to out and returns true, or returns false. */
bool discover_route_warning(const struct uplink *u, const struct machine *m, char *out, size_t out_size);

#endif
