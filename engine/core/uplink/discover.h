/* Which of this machine's links can serve as uplinks, and why the others cannot. */
#ifndef STEERWAY_UPLINK_DISCOVER_H
#define STEERWAY_UPLINK_DISCOVER_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct addr;
struct machine;
struct machine_link;
struct uplink;
struct uplink_set;
struct uplink_spec;

/** Why a link would not be used by default; NULL when it would: "loopback", "down", "no carrier", "bridge"
 *  (without a default route),
 *  "member of a bridge or bond", "container" (a veth without a default route), "virtual" (dummy, ifb, tunnels
 * and VPNs, whose packets leave by another link), "no address", "no default route" (of a family that it has
 * an address of). A veth with a default route of its own is a container's network card seen from within, and
 * is used. ppp, vlan, bond, macvlan, macsec, wwan and kinds unheard of are real lines. */
const char *discover_objection(const struct machine *m, const struct machine_link *link);

/** Add every link without an objection. @return how many were added, or negative errno */
MUST_CHECK int discover_add_all(struct uplink_set *set, const struct machine *m);

/** A link that has come to serve as an uplink, and is not in the set by its name. Which links have default
 * routes is asked of the kernel, so m need not have been read with routes. @return false for none */
bool discover_new(const struct uplink_set *set, const struct machine *m, struct uplink_spec *ret);

/** A warning when packets of this uplink would find no way out: asks the kernel for a route by its device,
 *  from its address, to a public address of each family it serves. Writes two sentences for each family
 * concerned to out (what would happen, what to do) and returns true, or returns false. A unique local IPv6
 * address (RFC 4193) without a route beyond it is no promise as long as IPv4 serves; an address of a loopback
 * or dummy link belongs to no line. */
bool discover_route_warning(const struct uplink *u, const struct machine *m, char *out, size_t out_size);

/** The router by which this uplink's packets of a family go to the internet.
 *  @return 0, -ENETUNREACH for none, or another negative errno */
MUST_CHECK int discover_gateway(const struct uplink *u, const struct machine *m, int family,
                                struct addr *ret);

#endif
