/* Where a client wants to go: a name or an address, and a port. */
#ifndef STEERWAY_PROTO_TARGET_H
#define STEERWAY_PROTO_TARGET_H

#include "proto/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* RFC 1035 2.3.4: 253 octets of text at most; SOCKS5 could carry 255. */
enum { TARGET_HOST_MAX = 253 };

enum target_kind { TARGET_NAME, TARGET_IPV4, TARGET_IPV6 };

struct target {
    enum target_kind kind;
    uint16_t port;  /* 1..65535 */
    uint8_t ip[16]; /* network order; 4 octets of it for TARGET_IPV4 */
    /* Text, NUL-terminated; lower case, no brackets, no trailing dot. Last, so that who keeps many can keep
     * the used part of it only (target_size). */
    char host[TARGET_HOST_MAX + 1];
};

/** Octets of it that say something: those behind its host need not be there. */
static inline size_t target_size(const struct target *t)
{
    return offsetof(struct target, host) + strlen(t->host) + 1;
}

/** Fill ret from a host as text: dotted IPv4, IPv6 without or within brackets, or a name. An IPv4-mapped IPv6
 *  address becomes TARGET_IPV4. A name may hold letters, digits, '-', '_' and '.', labels of 1..63 octets;
 * one trailing dot is dropped; letters are lowered. A name whose last label is a number (so "1.2.3", "127.1"
 * or "0x7f000001") is refused: resolvers disagree on what it means.
 *  @return PARSE_OK or PARSE_BAD (also for port 0) */
MUST_CHECK enum parse target_set(struct target *ret, struct slice host, uint16_t port);

/** Whether more octets could make a host of text: for a parser that sees a host before its end. */
bool target_may_begin(struct slice text);

/** The same as target_set from raw address octets (4 or 16). */
MUST_CHECK enum parse target_set_ip(struct target *ret, const uint8_t *ip, size_t len, uint16_t port);

/** Parse "host:port", "[v6]:port"; without a port default_port is used if it is not 0.
 *  The whole slice is the input, so PARSE_NEED_MORE is never returned. @see RFC 3986 3.2 */
MUST_CHECK enum parse target_parse(struct target *ret, struct slice authority, uint16_t default_port);

#endif
