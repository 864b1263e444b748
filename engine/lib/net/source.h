/* Which source address an uplink uses. This is the only place that decides it: dials, checks, name servers
 * and the doctor use the egress that is filled from here.
 *
 * An uplink that is an interface uses the address that its route names. That is the route's `src`, else the
 * address in the next hop's network, else the best by RFC 6724. The kernel decides this best, so it is asked
 * with a socket that is bound to the device only. A link may have other routes beside its default route,
 * which may name other addresses. So sockets of a link with several addresses are bound to the device only,
 * and the kernel chooses for each destination. The same holds if the machine has addresses that belong to no
 * link, which a route can name.
 *
 * Sockets of a link with one address are bound to it. When it is gone, they fail at once and send nothing.
 * They are not bound for private destinations. A route to these often names the address of another link, such
 * as a tunnel between two sites.
 *
 * In two cases the kernel's choice is not used, and all sockets are bound to ours:
 * - The kernel finds no route, because the machine's rules select by source (`ip rule from ADDRESS`,
 *   source-specific routes). Then it is the first of the link's addresses that has a route.
 * - The link's own addresses are all deprecated or of link scope, so the kernel borrows one of another link,
 *   which has another provider. Then it is the link's best address.
 *
 * An uplink that is an address is bound to that address and its link; nothing is chosen. */
#ifndef STEERWAY_NET_SOURCE_H
#define STEERWAY_NET_SOURCE_H

#include "machine/machine.h"
#include "net/egress.h"

struct source {
    struct addr addr; /* towards the internet; AF_UNSPEC: the link has none of this family */
    enum egress_floats floats;
};

/** Choose the source of an interface. @param mark  of its packets; 0 for none  @param ipv6  which IPv6
 * addresses are wanted */
struct source source_choose(const struct machine *m, const struct machine_link *link, int family,
                            uint32_t mark, enum egress_ipv6 ipv6);

/** Whether packets that are bound to the link have a route to the internet: a default route that the
 * machine's rules select. It is tried with the link's addresses, and the one that the route names. */
bool source_leads_out(const struct machine *m, const struct machine_link *link, int family);

#endif
