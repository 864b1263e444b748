/* From which of its addresses an uplink sends. The one place that decides it: dials, checks, name servers and
 * the doctor take the egress that is filled from here.
 *
 * An uplink that is an interface uses the address that its route says: the route's own `src`; else the
 * address in the network of the next hop; else the best by RFC 6724. The kernel knows this better than we
 * could: it is asked by a socket that is bound to the device alone. A link may have other routes beside its
 * default route, and these may say another address. So sockets of a link that has several addresses are bound
 * to the device alone, and the kernel chooses for each destination. The same holds where the machine has
 * addresses that belong to no link, which a route can name.
 *
 * Sockets of a link with one address are bound to it, so that they fail at once, and send nothing, when it is
 * gone. They are not bound to it for private destinations: there a route often names the address of another
 * link (a tunnel between two sites).
 *
 * The kernel's choice does not count in two cases, and all sockets are bound to ours. It finds no route,
 * because the rules of the machine lead there by the source (`ip rule from ADDRESS`, source-specific routes):
 * then it is the first of the link's addresses with which there is one. Or it borrows the address of another
 * link, whose provider is another (all of the link's own are deprecated, or of link scope): then it is the
 * link's best.
 *
 * An uplink that is an address is bound to that address, and to its link; nothing is chosen. */
#ifndef STEERWAY_NET_SOURCE_H
#define STEERWAY_NET_SOURCE_H

#include "machine/machine.h"
#include "net/egress.h"

struct source {
    struct addr addr; /* towards the internet; AF_UNSPEC: the link has none of that family */
    enum egress_floats floats;
};

/** @param mark  of the packets; 0 for none  @param ipv6  which IPv6 addresses are wanted */
struct source source_choose(const struct machine *m, const struct machine_link *link, int family,
                            uint32_t mark, enum egress_ipv6 ipv6);

/** Whether packets that are bound to the link find a way to the internet, by its own addresses or by that
 * which the route names: it has a default route that the machine's rules lead to. */
bool source_leads_out(const struct machine *m, const struct machine_link *link, int family);

#endif
