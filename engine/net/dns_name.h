/* What can be told of a name in the DNS without asking anybody. */
#ifndef STEERWAY_NET_DNS_NAME_H
#define STEERWAY_NET_DNS_NAME_H

#include "base/slice.h"

/** Length of the name without a final dot, or 0 for what cannot be one: labels of 1 to 63 octets, 253 in all
 *  (RFC 1035 2.3.4). Blanks, control octets and backslashes are refused too: resolvers take the latter for an
 *  escape. */
size_t dns_name_length(const char *name);

/** "localhost" and what is below it (RFC 6761 6.3). */
bool dns_name_is_localhost(struct slice name);

/** Whether only the resolver of this network may know it: a single label, or below a domain that the public
 *  DNS has not (RFC 6762 3 and appendix G, RFC 8375; ICANN has reserved "internal"). */
bool dns_name_is_local(struct slice name);

#endif
