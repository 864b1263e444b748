/* Destinations that go direct, without policy and uplinks, and the reason. Only this file decides it. The
 * search asks it for a destination, an attempt for each address of a name, and `why` for its explanation. */
#ifndef STEERWAY_OUTBOUND_BYPASS_H
#define STEERWAY_OUTBOUND_BYPASS_H

#include "outbound/outbounds.h"
#include "proto/target.h"

enum bypass {
    BYPASS_NOT,       /* an uplink serves it; for a name, its addresses may still say otherwise */
    BYPASS_LISTED,    /* in a range of --bypass: by the machine's own routing, also through gateways */
    BYPASS_LOCAL,     /* this machine or a neighbour, not behind a gateway */
    BYPASS_LOCALHOST, /* a name of this machine, whose address is one of the above */
};

/** The address of a destination when no query is needed. @return false for other names */
bool bypass_known_address(const struct target *t, struct addr *ret);

/** @return BYPASS_NOT, BYPASS_LISTED or BYPASS_LOCAL */
enum bypass bypass_of_address(const struct outbound_settings *settings, const struct addr *to);

/** The decision by the destination alone, before its name is resolved. */
enum bypass bypass_of(const struct outbound_settings *settings, const struct target *t);

/** A text for people, such as "it is in a range of --bypass". */
const char *bypass_text(enum bypass b);

/** The reason in the account of a direct connection. */
extern const char BYPASS_REASON[];

#endif
