/* The header of the PROXY protocol, versions 1 and 2, by which a balancer tells the address of its client.
 * It stands before the client's first byte. @see HAProxy's doc/proxy-protocol.txt, sections 2.1 and 2.2 */
#ifndef STEERWAY_PROTO_PROXY_HEADER_H
#define STEERWAY_PROTO_PROXY_HEADER_H

#include "proto/parse.h"

/* The longest line of version 1, with its CRLF. A header of version 2 could have 64 KiB; ours is bounded by
 * what HAProxy itself takes, its usual buffer. */
enum { PROXY_HEADER_LINE_MAX = 107, PROXY_HEADER_MAX = 16 + 0x3fff };

struct proxy_header {
    /* The client's address, in network order. ip_len is 4 or 16, or 0 when the header names no client: then
     * the connection's own address is the client's. */
    uint8_t ip[16];
    size_t ip_len;
    uint16_t port;
    size_t consumed;
};

/** Parse a header. It names no client with LOCAL (a check by the balancer), UNKNOWN, and families or
 * transports other than TCP over IPv4 and IPv6. PARSE_BAD at the earliest wrong byte, except that an address
 * of version 1 is judged at its end; also for more than PROXY_HEADER_LINE_MAX or PROXY_HEADER_MAX bytes, for
 * a TLV that exceeds the header, and for a wrong checksum (CRC-32C). Other TLVs are skipped. */
MUST_CHECK enum parse proxy_header_parse(struct proxy_header *ret, const char *data, size_t len);

#endif
