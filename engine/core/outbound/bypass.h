/* What goes direct, past the policy and its uplinks, and why. This is the one place that decides it: the
 * search asks it of a destination, an attempt of each address that a name turns out to have, and `why` when
 * it explains. */
#ifndef STEERWAY_OUTBOUND_BYPASS_H
#define STEERWAY_OUTBOUND_BYPASS_H

#include "outbound/outbounds.h"
#include "proto/target.h"

enum bypass {
    BYPASS_NOT,       /* an uplink serves it; a name may yet turn out to go direct */
    BYPASS_LISTED,    /* in a range of --bypass: by the machine's own routing, gateways included */
    BYPASS_LOCAL,     /* this machine or its neighbours, and nobody behind a gateway */
    BYPASS_LOCALHOST, /* a name of this machine itself, whose address is one of the former two */
};

/** The address that a destination has without asking anybody. @return false for other names */
bool bypass_known_address(const struct target *t, struct addr *ret);

/** @return BYPASS_NOT, BYPASS_LISTED or BYPASS_LOCAL */
enum bypass bypass_of_address(const struct outbound_settings *settings, const struct addr *to);

/** As far as the destination itself can tell. */
enum bypass bypass_of(const struct outbound_settings *settings, const struct target *t);

/** For people, such as "it is in a range of --bypass". */
const char *bypass_text(enum bypass b);

/** The reason that the account of each has. */
extern const char BYPASS_REASON[];

#endif
