/* What the kernel knows about neighbours on a link (ARP, RFC 826; neighbour discovery, RFC 4861). */
#ifndef STEERWAY_MACHINE_NEIGHBOUR_H
#define STEERWAY_MACHINE_NEIGHBOUR_H

#include "addr/addr.h"

enum neighbour_state {
    NEIGHBOUR_UNKNOWN, /* no recent entry */
    NEIGHBOUR_SILENT,  /* asked, and no answer so far */
    NEIGHBOUR_KNOWN,
};

enum { NEIGHBOUR_MAC_TEXT_MAX = 32 };

struct neighbour {
    enum neighbour_state state;
    char mac[NEIGHBOUR_MAC_TEXT_MAX]; /* "00:16:3e:00:00:01"; "" unless known, or if the link has no MAC
                                         addresses */
};

/** The state of an address on a link (an index). UNKNOWN also if the kernel does not answer. */
struct neighbour neighbour_of(const struct addr *a, int link);

/** A neighbour that announced itself as an IPv6 router. @return false for none */
bool neighbour_router6(int link, struct addr *ret);

#endif
