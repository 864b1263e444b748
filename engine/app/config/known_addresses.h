/* Addresses of a host that are known without DNS, since no start waits for name servers. */
#ifndef STEERWAY_CONFIG_KNOWN_ADDRESSES_H
#define STEERWAY_CONFIG_KNOWN_ADDRESSES_H

#include "addr/addr.h"

/** Those of an IP address in text, of localhost, and of a name in the hosts file; with that port.
 *  @return their number, max at most */
size_t known_addresses(const char *host, uint16_t port, struct addr *ret, size_t max);

#endif
