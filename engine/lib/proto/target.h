/* A destination: a name or an address, and a port. */
#ifndef STEERWAY_PROTO_TARGET_H
#define STEERWAY_PROTO_TARGET_H

#include "proto/parse.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* RFC 1035 2.3.4: at most 253 bytes of text; SOCKS5 could carry 255. */
enum { TARGET_HOST_MAX = 253 };

enum target_kind { TARGET_NAME, TARGET_IPV4, TARGET_IPV6 };

struct target {
    enum target_kind kind;
    uint16_t port;  /* 1..65535; 0 only where SOCKS allows it (BIND, UDP ASSOCIATE) */
    uint8_t ip[16]; /* network order; TARGET_IPV4 uses 4 bytes */
    /* NUL-terminated, in lower case, without brackets or trailing dot. Last, so that a caller with many
     * targets can keep only the used part (target_size). */
    char host[TARGET_HOST_MAX + 1];
};

/** The bytes in use, up to the NUL of the host. */
static inline size_t target_size(const struct target *t)
{
    return offsetof(struct target, host) + strlen(t->host) + 1;
}

/** Whether it is 0.0.0.0 or ::, which a request for BIND names when it expects anybody. */
static inline bool target_is_unspecified(const struct target *t)
{
    static const uint8_t zero[16];

    return t->kind != TARGET_NAME && memcmp(t->ip, zero, t->kind == TARGET_IPV4 ? 4 : 16) == 0;
}

/** Parse a host: dotted IPv4, IPv6 with or without brackets, or a name. An IPv4-mapped IPv6 address becomes
 * TARGET_IPV4. A name has letters, digits, '-', '_' and '.', and labels of 1..63 bytes. One trailing dot is
 * dropped, and letters become lower case. A name whose last label is a number ("1.2.3", "127.1",
 * "0x7f000001") is refused, as resolvers disagree on its meaning.
 *  @return PARSE_OK or PARSE_BAD (also for port 0) */
MUST_CHECK enum parse target_set(struct target *ret, struct slice host, uint16_t port);

/** Whether more bytes could complete a host: for a parser that sees its beginning only. */
bool target_may_begin(struct slice text);

/** The same from a raw address of 4 or 16 bytes. */
MUST_CHECK enum parse target_set_ip(struct target *ret, const uint8_t *ip, size_t len, uint16_t port);

/** Parse "host:port" or "[v6]:port". Without a port, default_port is used; if that is 0, a port is required.
 * The slice is complete, so the result is never PARSE_NEED_MORE. @see RFC 3986 3.2 */
MUST_CHECK enum parse target_parse(struct target *ret, struct slice authority, uint16_t default_port);

#endif
