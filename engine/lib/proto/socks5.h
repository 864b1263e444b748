/* SOCKS5 (RFC 1928) and its username/password sub-negotiation (RFC 1929). */
#ifndef STEERWAY_PROTO_SOCKS5_H
#define STEERWAY_PROTO_SOCKS5_H

#include "proto/parse.h"
#include "proto/target.h"

#include <stdbool.h>

enum { SOCKS5_VERSION = 5, SOCKS5_AUTH_VERSION = 1 };
enum { SOCKS5_NO_AUTH = 0x00, SOCKS5_USER_PASS = 0x02, SOCKS5_NO_METHOD = 0xff };
enum { SOCKS5_CONNECT = 1, SOCKS5_BIND = 2, SOCKS5_UDP_ASSOCIATE = 3 };
enum socks5_reply_code {
    SOCKS5_SUCCEEDED = 0,
    SOCKS5_GENERAL_FAILURE = 1,
    SOCKS5_NOT_ALLOWED = 2,
    SOCKS5_NETWORK_UNREACHABLE = 3,
    SOCKS5_HOST_UNREACHABLE = 4,
    SOCKS5_REFUSED = 5,
    SOCKS5_TTL_EXPIRED = 6,
    SOCKS5_COMMAND_UNSUPPORTED = 7,
    SOCKS5_ADDRESS_UNSUPPORTED = 8,
};
enum { SOCKS5_REPLY_MAX = 22 };

struct socks5_greeting {
    bool no_auth, user_pass; /* methods the client offers */
    size_t consumed;
};

/** PARSE_BAD for a version other than 5 or no methods at all. @see RFC 1928 s.3 */
MUST_CHECK enum parse socks5_parse_greeting(struct socks5_greeting *ret, const char *data, size_t len);

struct socks5_auth {
    struct slice user,
        pass; /* 255 octets at most each; either may be empty (some send that where nobody asks) */
    size_t consumed;
};

/** @see RFC 1929 s.2 */
MUST_CHECK enum parse socks5_parse_auth(struct socks5_auth *ret, const char *data, size_t len);

struct socks5_request {
    uint8_t command;                  /* any; the caller answers SOCKS5_COMMAND_UNSUPPORTED */
    enum socks5_reply_code objection; /* SOCKS5_SUCCEEDED, or why the request cannot be served although it is
                                         well framed: SOCKS5_ADDRESS_UNSUPPORTED, SOCKS5_GENERAL_FAILURE (bad
                                         name, port 0 for CONNECT). target is then not filled */
    bool named;                       /* the client sent a name */
    struct target target; /* for BIND and UDP_ASSOCIATE port 0 and a zero address are let through */
    size_t consumed;
};

/** PARSE_BAD for a version other than 5. An unknown address type is PARSE_OK with an objection, so that the
 *  client hears of it; consumed then covers what was read. The reserved octet is ignored. @see RFC 1928 s.4
 */
MUST_CHECK enum parse socks5_parse_request(struct socks5_request *ret, const char *data, size_t len);

/** Write a reply. @param ip  4 or 16 octets in network order, ip_len 0 for 0.0.0.0
 *  @return octets written, SOCKS5_REPLY_MAX at most @see RFC 1928 s.6 */
size_t socks5_reply(char out[SOCKS5_REPLY_MAX], enum socks5_reply_code code, const uint8_t *ip, size_t ip_len,
                    uint16_t port);

#endif
