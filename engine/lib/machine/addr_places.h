/* Which addresses this machine has, and on which links; and what is lost from one look to the next. */
#ifndef STEERWAY_MACHINE_ADDR_PLACES_H
#define STEERWAY_MACHINE_ADDR_PLACES_H

#include "machine/machine.h"

struct addr_place {
    struct addr addr;
    int link; /* its index */
};

/** Zero-initialised is empty. */
struct addr_places {
    struct addr_place *items; /* sorted */
    size_t n;
};

struct addr_change {
    const struct addr_places *before, *now;
};

/** Those that m has; tentative ones are not had yet. @return 0, -ENOMEM */
MUST_CHECK int addr_places_init(struct addr_places *ret, const struct machine *m);
void addr_places_done(struct addr_places *p);

/** Whether an address has left a link. */
bool addr_change_loses_any(const struct addr_change *c);
/** Whether nothing can arrive any more for a socket with this address: it was somewhere and is nowhere now,
 * or has left the link that the socket is bound to. What never was there is not lost: a route alone can make
 * an address local, and an unnumbered link borrows one of another.
 *  @param link  the socket's; 0: not bound to any */
bool addr_change_loses(const struct addr_change *c, const struct addr *a, int link);

#endif
