/* What counts as one client for a limit: an IPv4 address, an IPv6 /64 network, or a single link-local
 * address. A /64 belongs to one site. */
#ifndef STEERWAY_NET_CLIENT_KEY_H
#define STEERWAY_NET_CLIENT_KEY_H

#include "addr/addr.h"

enum { CLIENT_KEY_LEN = 9 };

struct client_key {
    uint8_t bytes[CLIENT_KEY_LEN];
};

struct client_key client_key_of(const struct addr *client);

#endif
