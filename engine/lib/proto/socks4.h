/* SOCKS4 and SOCKS4a: requests and replies. */
#ifndef STEERWAY_PROTO_SOCKS4_H
#define STEERWAY_PROTO_SOCKS4_H

#include "proto/parse.h"
#include "proto/target.h"

#include <stdbool.h>

enum { SOCKS4_VERSION = 4, SOCKS4_CONNECT = 1, SOCKS4_BIND = 2 };
enum { SOCKS4_USER_MAX = 255 };
enum { SOCKS4_REPLY_LEN = 8 };
enum { SOCKS4_GRANTED = 90, SOCKS4_REJECTED = 91, SOCKS4_BAD_USER = 93 };

struct socks4_request {
    uint8_t command; /* SOCKS4_CONNECT or SOCKS4_BIND; others are PARSE_BAD */
    bool named;      /* SOCKS4a: the client sent a name */
    struct slice user;
    struct target target;
    size_t consumed; /* bytes of the request; the rest belongs to the destination */
};

/** Parse a request from its first byte (the version). PARSE_BAD for another version or command, a user ID
 * longer than SOCKS4_USER_MAX, or an empty or malformed name. Port 0 and destination 0.0.0.0 are PARSE_BAD
 * except with SOCKS4_BIND.
 *  @see "SOCKS: A protocol for TCP proxy across firewalls" and its 4A extension */
MUST_CHECK enum parse socks4_parse(struct socks4_request *ret, const char *data, size_t len);

/** Write a reply. @param ip  four bytes in network order, or NULL for zeros */
void socks4_reply(char out[SOCKS4_REPLY_LEN], uint8_t code, const uint8_t *ip, uint16_t port);

#endif
