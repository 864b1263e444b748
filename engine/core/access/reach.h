/* The addresses that a client may reach. The rule applies to each address before it is dialled: after
 * names are resolved, and for an uplink, bypass, parent proxy, retry or race. It applies to every spelling
 * of the address: an IPv4 address inside an IPv6 address, and the unspecified addresses, which Linux
 * treats as loopback.
 *
 * - A client may not reach what --deny lists for it.
 * - A client on another machine may not reach this machine's own addresses, since local services may trust
 * local connections. --allow-own-addresses allows them, except loopback.
 *
 * A name that a parent proxy resolves has no address here: only rules for every address apply to it. */
#ifndef STEERWAY_ACCESS_REACH_H
#define STEERWAY_ACCESS_REACH_H

#include "access/deny.h"
#include "machine/own_addresses.h"

struct reach {
    const struct deny *deny;
    const struct own_addresses *own; /* may change while the proxy runs */
    bool allow_own;
};

enum { REACH_WHY_MAX = 200 };

/** @param user  NULL for none
 *  @param why   filled with the reason when it is false, for the log */
bool reach_allows(const struct reach *r, const struct addr *client, const char *user, const struct addr *to,
                  char why[REACH_WHY_MAX]);

/** The same for a name that a parent proxy resolves. */
bool reach_allows_name(const struct reach *r, const struct addr *client, const char *user, uint16_t port,
                       char why[REACH_WHY_MAX]);

#endif
