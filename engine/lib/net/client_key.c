#include "net/client_key.h"

#include <string.h>

enum { IPV6_NETWORK = 8 /* octets */ };

/* Whether the first half of an IPv6 address names no network: link-local clients share it, as mapped ones do.
 */
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

    key.octets[0] = (uint8_t)len;
    if (len > IPV6_NETWORK && names_no_network(ip)) {
        key.octets[0]++; /* no other address has this key */
        ip += IPV6_NETWORK;
    }
    memcpy(key.octets + 1, ip, len < IPV6_NETWORK ? len : IPV6_NETWORK);
    return key;
}
