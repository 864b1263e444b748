/* What the kernel remembers of the neighbours on a link: who was asked for (ARP, RFC 826; neighbour
 * discovery, RFC 4861), and who has answered. */
#ifndef STEERWAY_MACHINE_NEIGHBOUR_H
#define STEERWAY_MACHINE_NEIGHBOUR_H

#include "addr/addr.h"

enum neighbour_state {
    NEIGHBOUR_UNKNOWN, /* not asked for lately */
    NEIGHBOUR_SILENT,  /* asked for in vain, or not answered yet */
    NEIGHBOUR_KNOWN,
};

enum { NEIGHBOUR_MAC_TEXT_MAX = 32 };

struct neighbour {
    enum neighbour_state state;
    char mac[NEIGHBOUR_MAC_TEXT_MAX]; /* "00:16:3e:00:00:01"; "" unless known, or where the link has none */
};

/** @return what is known of an address on a link; unknown, too, where the kernel does not tell */
struct neighbour neighbour_of(const struct addr *a, int link);

/** A neighbour that has said that it is an IPv6 router. @return false for none */
bool neighbour_router6(int link, struct addr *ret);

#endif
