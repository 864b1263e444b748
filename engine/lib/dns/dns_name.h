/* What a name says by itself, without asking a server. */
#ifndef STEERWAY_DNS_DNS_NAME_H
#define STEERWAY_DNS_DNS_NAME_H

#include "base/slice.h"

#include <stdint.h>

/** The length without a final dot, or 0 for an invalid name. Labels have 1 to 63 bytes, a name has at most
 * 253 (RFC 1035 2.3.4). Blanks, control characters and backslashes are refused too, as resolvers read a
 * backslash as an escape. */
size_t dns_name_length(const char *name);

/** "localhost" and names below it (RFC 6761 6.3). */
bool dns_name_is_localhost(struct slice name);

/** Whether only this network's resolver may know it. Such are single labels, and names below a domain that
 * the public DNS does not have (RFC 6762 3 and appendix G, RFC 8375). ICANN has reserved "internal". */
bool dns_name_is_local(struct slice name);

/** Whether the system resolves it better than DNS servers. Such are single labels, for search domains and
 * other modules, and names below "local", for multicast DNS (RFC 6762 3). */
bool dns_name_is_systems(struct slice name);

/** A hash for tables of names, case-insensitive. The seed is random for each process, so that strangers
 * cannot choose names that share a bucket. */
uint64_t dns_name_hash(struct slice name);

#endif
