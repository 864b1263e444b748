/* IP addresses as text, for code that runs for each connection. libc's inet_ntop uses sprintf: about 1,700
 * instructions for an IPv4 address, several times that for IPv6. */
#ifndef STEERWAY_BASE_IP_TEXT_H
#define STEERWAY_BASE_IP_TEXT_H

#include <stddef.h>
#include <stdint.h>

/** INET6_ADDRSTRLEN: the longest text with its NUL. */
enum { IP_TEXT_MAX = 46 };

/** The same text as inet_ntop: "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1".
 *  @param ip   in network order
 *  @param len  its bytes: 4 or 16
 *  @param out  filled and NUL-terminated
 *  @return the length of the text  @see RFC 5952 */
size_t ip_text(const uint8_t *ip, size_t len, char out[static IP_TEXT_MAX]);

#endif
