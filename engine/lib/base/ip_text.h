/* IP addresses as text, for paths on which each connection passes: libc's inet_ntop prints by sprintf, which
 * takes some 1,700 instructions for an IPv4 address and several times that for an IPv6 one. */
#ifndef STEERWAY_BASE_IP_TEXT_H
#define STEERWAY_BASE_IP_TEXT_H

#include <stddef.h>
#include <stdint.h>

/** As INET6_ADDRSTRLEN: the longest text, with its NUL. */
enum { IP_TEXT_MAX = 46 };

/** The text that inet_ntop gives: "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1".
 *  @param ip   in network order
 *  @param len  octets in it: 4, or 16
 *  @param out  filled and NUL-terminated
 *  @return out's length  @see RFC 5952 */
size_t ip_text(const uint8_t *ip, size_t len, char out[static IP_TEXT_MAX]);

#endif
