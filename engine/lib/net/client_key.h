/* Whom a limit for each client counts as one: an IPv4 address, a network of IPv6 with 64 bits, which one site
 * has to itself, or a single link-local address. */
#ifndef STEERWAY_NET_CLIENT_KEY_H
#define STEERWAY_NET_CLIENT_KEY_H

#include "addr/addr.h"

enum { CLIENT_KEY_LEN = 9 };

struct client_key {
    uint8_t octets[CLIENT_KEY_LEN];
};

struct client_key client_key_of(const struct addr *client);

#endif
