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
    bool no_auth, user_pass; /* methods that the client offers */
    size_t consumed;
};

/** PARSE_BAD for a version other than 5, or without methods. @see RFC 1928 3 */
MUST_CHECK enum parse socks5_parse_greeting(struct socks5_greeting *ret, const char *data, size_t len);

struct socks5_auth {
    struct slice user,
        pass; /* at most 255 bytes each; both may be empty, as some clients send that without need */
    size_t consumed;
};

/** PARSE_BAD for a version other than 1. @see RFC 1929 2 */
MUST_CHECK enum parse socks5_parse_auth(struct socks5_auth *ret, const char *data, size_t len);

struct socks5_request {
    uint8_t command;                  /* any; the caller answers others with SOCKS5_COMMAND_UNSUPPORTED */
    enum socks5_reply_code objection; /* SOCKS5_SUCCEEDED, or why a well-framed request cannot be served:
                                         SOCKS5_ADDRESS_UNSUPPORTED, or SOCKS5_GENERAL_FAILURE (bad name, port
                                         0 for CONNECT). Then target is not set */
    bool named;                       /* the client sent a name */
    struct target target;             /* BIND and UDP_ASSOCIATE may have port 0 and a zero address */
    size_t consumed;
};

/** PARSE_BAD for a version other than 5. An unknown address type is PARSE_OK with an objection, so that the
 * client gets a reply; consumed then covers the bytes up to the type. The reserved byte is ignored. @see RFC
 * 1928 4 */
MUST_CHECK enum parse socks5_parse_request(struct socks5_request *ret, const char *data, size_t len);

/** Write a reply. @param ip  4 or 16 bytes in network order; ip_len 0 means 0.0.0.0
 *  @return bytes written, at most SOCKS5_REPLY_MAX @see RFC 1928 6 */
size_t socks5_reply(char out[SOCKS5_REPLY_MAX], enum socks5_reply_code code, const uint8_t *ip, size_t ip_len,
                    uint16_t port);

#endif
