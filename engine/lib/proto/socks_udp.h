/* The header in front of each datagram between a SOCKS5 client and its UDP association (RFC 1928 section 7).
 * It is read for each datagram, so an address is neither written as text nor kept in a struct target. */
#ifndef STEERWAY_PROTO_SOCKS_UDP_H
#define STEERWAY_PROTO_SOCKS_UDP_H

#include "proto/parse.h"
#include "proto/target.h"

enum { SOCKS_UDP_HEADER_MAX = 22 }; /* with an IPv6 address */

struct socks_udp {
    uint8_t frag;      /* 0, or else a part of a longer message: the caller drops it */
    uint8_t ip_len;    /* 4 or 16, or 0 for a name */
    uint16_t port;     /* 1..65535 */
    uint8_t ip[16];    /* ip_len bytes in network order, the rest undefined; never an IPv4-mapped address */
    struct slice name; /* as the client wrote it, in the datagram; empty for an address */
    size_t consumed;   /* the payload begins there; it may be empty */
};

/** Read the header of one datagram. The two reserved bytes may have any value, as the one of a SOCKS5 request
 * may. An IPv4-mapped IPv6 address and a name that is an address in text become that address. A name is valid
 * by the rules of target_set, which also writes it in lower case.
 *  @return PARSE_OK or PARSE_BAD: a datagram never gets longer. PARSE_BAD also for port 0 */
MUST_CHECK enum parse socks_udp_parse(struct socks_udp *ret, const void *datagram, size_t len);

/** The destination as a target, for the first datagram to it. Succeeds for what socks_udp_parse returned. */
MUST_CHECK enum parse socks_udp_target(struct target *ret, const struct socks_udp *udp);

/** Write the header of a datagram to a name.
 *  @param name  at most SOCKS_UDP_NAME_MAX bytes
 *  @return bytes written: 7, and those of the name */
enum { SOCKS_UDP_NAME_MAX = 255, SOCKS_UDP_NAMED_MAX = SOCKS_UDP_NAME_MAX + 7 };
size_t socks_udp_write_name(char out[SOCKS_UDP_NAMED_MAX], struct slice name, uint16_t port);

/** Write the header of a datagram to or from an address.
 *  @param ip  ip_len bytes, 4 or 16, in network order
 *  @return bytes written: 10 or 22 */
size_t socks_udp_write(char out[SOCKS_UDP_HEADER_MAX], const uint8_t *ip, size_t ip_len, uint16_t port);

#endif
