/* This machine's own addresses: all that the kernel delivers to the machine itself. Those are more than the
 * addresses of its links, as a route of type "local" can cover whole networks. */
#ifndef STEERWAY_MACHINE_OWN_ADDRESSES_H
#define STEERWAY_MACHINE_OWN_ADDRESSES_H

#include "machine/machine.h"

/** Zero-initialised: empty. */
struct own_addresses {
    struct cidr *lone; /* single addresses, sorted; a cluster node has thousands */
    size_t n_lone;
    struct cidr_set ranges;
};

/** The addresses of m, including tentative ones, and the kernel's present table "local". Linux before 4.20
 * reports that table only among all routes; there it is left out. @return 0, -ENOMEM */
MUST_CHECK int own_addresses_init(struct own_addresses *ret, const struct machine *m);

/** The scope of a link-local address is ignored. */
bool own_addresses_have(const struct own_addresses *o, const struct addr *a);

void own_addresses_done(struct own_addresses *o);

#endif
