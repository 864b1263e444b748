/* Lists of DNS servers, and where this machine keeps them. */
#ifndef STEERWAY_DNS_DNS_SERVERS_H
#define STEERWAY_DNS_DNS_SERVERS_H

#include "addr/addr.h"

enum { DNS_SERVERS_MAX = 8, DNS_SERVERS_TEXT_MAX = DNS_SERVERS_MAX * (ADDR_TEXT_MAX + 1) };

/** In the order in which they are asked. */
struct dns_servers {
    struct addr items[DNS_SERVERS_MAX]; /* with port */
    size_t n;
};

bool dns_servers_same(const struct dns_servers *a, const struct dns_servers *b);

/** @return whether it has it now; false when it is full */
bool dns_servers_add(struct dns_servers *s, const struct addr *server);

/** From "ip[:port]"; the port is 53 unless given. @return 0, -EINVAL */
MUST_CHECK int dns_servers_parse_one(struct addr *ret, struct slice text);

/** From "ip[:port][,…]". @return 0, -EINVAL, -E2BIG for more than DNS_SERVERS_MAX */
MUST_CHECK int dns_servers_parse(struct dns_servers *ret, const char *text);

/** "192.0.2.1, [2001:db8::1]:5353": the port where it is not 53. @return out */
const char *dns_servers_format(const struct dns_servers *s, char out[DNS_SERVERS_TEXT_MAX]);

/** The servers in /etc/resolv.conf, in its order; none where it names none. A link-local server keeps its
 * link
 *  ("fe80::1%eth0"); a line that names a link which does not exist is passed over.
 *  @param root  of the file system, "" but for tests */
void dns_servers_of_system(struct dns_servers *ret, const char *root);

/** Those that systemd-networkd or systemd-resolved have for a link: by DHCP, router advertisements, or the
 *  network manager. None where neither runs.
 *  @param root  of the file system, "" but for tests */
void dns_servers_of_link(struct dns_servers *ret, int link_index, const char *root);

#endif
