/* Which of this machine's links can serve as uplinks, and why others cannot. */
#ifndef STEERWAY_UPLINK_DISCOVER_H
#define STEERWAY_UPLINK_DISCOVER_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

struct addr;
struct discover_ignored;
struct machine;
struct machine_link;
struct uplink;
struct uplink_set;
struct uplink_spec;

/** Why a link is not used by default; NULL if it is. "loopback", "down", "no carrier", "bridge" (without a
 * default route), "member of a bridge or bond", "container" (a veth without a default route), "virtual", "no
 * address", or "no default route" (of a family in which it has an address). Virtual are dummy, ifb, tunnels
 * and VPNs, whose packets leave by another link. A veth with a default route is a container's network card,
 * seen from inside, and is used. ppp, vlan, bond, macvlan, macsec, wwan and unknown kinds are lines. */
const char *discover_objection(const struct machine *m, const struct machine_link *link);

/** Add every link without an objection. @return the number that were added, or negative errno */
MUST_CHECK int discover_add_all(struct uplink_set *set, const struct machine *m);

/** Find a link that can serve as an uplink and whose name is neither in the set nor ignored. The kernel is
 * asked for default routes, so m may have been read without routes. @return false for none */
bool discover_new(const struct uplink_set *set, const struct discover_ignored *ignored,
                  const struct machine *m, struct uplink_spec *ret);

/** Warn if packets of this uplink have no route to the internet. The kernel is asked for a route by its
 * device, from its address, to a public address of each family that it serves. While IPv4 serves, a unique
 * local IPv6 address (RFC 4193) needs no route. Nor does an address of a dummy or loopback link, but a
 * loopback address gets a warning.
 *  @param out  gets two sentences for each family: the problem, and the command against it
 *  @return whether there is a warning */
bool discover_route_warning(const struct uplink *u, const struct machine *m, char *out, size_t out_size);

/** The router of this uplink's packets to the internet, in one family.
 *  @return 0, -ENETUNREACH for none, or another negative errno */
MUST_CHECK int discover_gateway(const struct uplink *u, const struct machine *m, int family,
                                struct addr *ret);

#endif
