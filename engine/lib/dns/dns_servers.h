/* Lists of DNS servers, and where this machine keeps them. */
#ifndef STEERWAY_DNS_DNS_SERVERS_H
#define STEERWAY_DNS_DNS_SERVERS_H

#include "addr/addr.h"

enum { DNS_SERVERS_MAX = 8, DNS_SERVERS_TEXT_MAX = DNS_SERVERS_MAX * (ADDR_TEXT_MAX + 1) };

/** In the order of asking. */
struct dns_servers {
    struct addr items[DNS_SERVERS_MAX]; /* with port */
    size_t n;
};

bool dns_servers_same(const struct dns_servers *a, const struct dns_servers *b);

/** Add a server unless it is there. @return false if the list is full */
bool dns_servers_add(struct dns_servers *s, const struct addr *server);

/** Parse "ip[:port]"; the default port is 53. @return 0, -EINVAL */
MUST_CHECK int dns_servers_parse_one(struct addr *ret, struct slice text);

/** Parse "ip[:port][,…]". @return 0, -EINVAL, -E2BIG for more than DNS_SERVERS_MAX */
MUST_CHECK int dns_servers_parse(struct dns_servers *ret, const char *text);

/** "192.0.2.1, [2001:db8::1]:5353": port 53 is omitted. @return out */
const char *dns_servers_format(const struct dns_servers *s, char out[DNS_SERVERS_TEXT_MAX]);

/** The servers in /etc/resolv.conf, in its order; maybe none. A link-local server keeps its link
 * ("fe80::1%eth0"); a line with a link that does not exist is skipped.
 *  @param root  of the file system; "" except in tests */
void dns_servers_of_system(struct dns_servers *ret, const char *root);

/** The servers that systemd-networkd or systemd-resolved know for a link, from DHCP, router advertisements or
 * the network manager. None if neither runs.
 *  @param root  of the file system; "" except in tests */
void dns_servers_of_link(struct dns_servers *ret, int link_index, const char *root);

#endif
