/* The addresses that are this machine's own: whatever the kernel delivers to the machine itself. That is more
 * than the addresses of its links: a route of type "local" can make whole networks so. */
#ifndef STEERWAY_MACHINE_OWN_ADDRESSES_H
#define STEERWAY_MACHINE_OWN_ADDRESSES_H

#include "machine/machine.h"

/** Zero-initialised is empty. */
struct own_addresses {
    struct cidr *lone; /* single addresses, sorted: a node of a cluster has thousands */
    size_t n_lone;
    struct cidr_set ranges;
};

/** Those of m, tentative ones too, and those of the kernel's table "local" at present. Before Linux 4.20,
 * which tells that table only among all routes, those of m alone. @return 0, -ENOMEM */
MUST_CHECK int own_addresses_init(struct own_addresses *ret, const struct machine *m);

/** A link-local address is looked for without its link. */
bool own_addresses_have(const struct own_addresses *o, const struct addr *a);

void own_addresses_done(struct own_addresses *o);

#endif
