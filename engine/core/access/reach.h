/* What a client may reach. The rule is about the address that is dialled, after names were resolved, by
 * whatever way it goes (uplink, bypass, parent proxy, second try, race), and about each spelling of it: an
 * IPv4 address that an IPv6 address stands for, and the unspecified addresses, by which Linux means loopback.
 *
 * - Nobody reaches what --deny lists for him.
 * - A client of another machine reaches no address of this machine: what listens there may trust whoever
 * comes from this machine. --allow-own-addresses lets it, but never to loopback.
 *
 * A name that an parent proxy resolves has no address here: of it, only rules for every address are known.
 */
#ifndef STEERWAY_ACCESS_REACH_H
#define STEERWAY_ACCESS_REACH_H

#include "access/deny.h"
#include "machine/own_addresses.h"

struct reach {
    const struct deny *deny;
    const struct own_addresses *own; /* may change while it runs */
    bool allow_own;
};

enum { REACH_WHY_MAX = 200 };

/** @param user  NULL for none
 *  @param why   filled where it may not: for the log  */
bool reach_allows(const struct reach *r, const struct addr *client, const char *user, const struct addr *to,
                  char why[REACH_WHY_MAX]);

/** The same for a name that somebody else resolves. */
bool reach_allows_name(const struct reach *r, const struct addr *client, const char *user, uint16_t port,
                       char why[REACH_WHY_MAX]);

#endif
