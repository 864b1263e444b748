#include "net/client_key.h"

#include <string.h>

enum { IPV6_NETWORK = 8 /* bytes */ };

/* Whether the first half of an IPv6 address names no network: all link-local clients share it, and all
 * IPv4-mapped ones. */
static bool names_no_network(const uint8_t *ip)
{
    static const uint8_t zero[IPV6_NETWORK];

    return (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) || memcmp(ip, zero, sizeof zero) == 0;
}

struct client_key client_key_of(const struct addr *client)
{
    struct client_key key = {{0}};
    size_t len;
    const uint8_t *ip = addr_ip(client, &len);

    key.bytes[0] = (uint8_t)len;
    if (len > IPV6_NETWORK && names_no_network(ip)) {
        key.bytes[0]++; /* a length that no other key has */
        ip += IPV6_NETWORK;
    }
    memcpy(key.bytes + 1, ip, len < IPV6_NETWORK ? len : IPV6_NETWORK);
    return key;
}
