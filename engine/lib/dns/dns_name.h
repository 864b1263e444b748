/* What can be told of a name in the DNS without asking anybody. */
#ifndef STEERWAY_DNS_DNS_NAME_H
#define STEERWAY_DNS_DNS_NAME_H

#include "base/slice.h"

#include <stdint.h>

/** Length of the name without a final dot, or 0 for what cannot be one: labels of 1 to 63 octets, 253 in all
 *  (RFC 1035 2.3.4). Blanks, control octets and backslashes are refused too: resolvers take the latter for an
 *  escape. */
size_t dns_name_length(const char *name);

/** "localhost" and what is below it (RFC 6761 6.3). */
bool dns_name_is_localhost(struct slice name);

/** Whether only the resolver of this network may know it: a single label, or below a domain that the public
 *  DNS has not (RFC 6762 3 and appendix G, RFC 8375; ICANN has reserved "internal"). */
bool dns_name_is_local(struct slice name);

/** Whether the system knows it better than DNS servers do: a single label, which is for search domains and
 * other modules, or below "local", which is for multicast DNS (RFC 6762 3). */
bool dns_name_is_systems(struct slice name);

/** For tables of names; the case of letters does not matter. Seeded anew in each process, so that nobody can
 * send names that share a bucket. */
uint64_t dns_name_hash(struct slice name);

#endif
