/* Which addresses this machine has on which links, and which of them a change removes. */
#ifndef STEERWAY_MACHINE_ADDR_PLACES_H
#define STEERWAY_MACHINE_ADDR_PLACES_H

#include "machine/machine.h"

struct addr_place {
    struct addr addr;
    int link; /* the link's index */
};

/** Zero-initialised: empty. */
struct addr_places {
    struct addr_place *items; /* sorted */
    size_t n;
};

struct addr_change {
    const struct addr_places *before, *now;
};

/** The addresses of m, without tentative ones. @return 0, -ENOMEM */
MUST_CHECK int addr_places_init(struct addr_places *ret, const struct machine *m);
void addr_places_done(struct addr_places *p);

/** Whether any address was removed from a link. */
bool addr_change_loses_any(const struct addr_change *c);
/** Whether a socket with this address can receive nothing any more. Either the address was on a link and is
 * now on none, or the socket's link has lost it. An address that was on no link is not lost. A route alone
 * can make an address local, and an unnumbered link borrows another link's address.
 *  @param link  the socket's, by index; 0: not bound to a link */
bool addr_change_loses(const struct addr_change *c, const struct addr *a, int link);

#endif
