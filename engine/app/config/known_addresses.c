#include "config/known_addresses.h"

#include "base/clock.h"
#include "dns/dns_hosts.h"
#include "dns/dns_name.h"

static size_t find(const char *host, struct addr *ret, size_t max)
{
    static const char *const loopback[] = {"127.0.0.1", "::1"};
    const struct slice name = slice_of(host, dns_name_length(host)); /* without a trailing dot */
    struct dns_hosts hosts;
    size_t n = 0;

    if (addr_parse_ip(&ret[0], slice_str(host), 0) == 0)
        return 1;
    if (dns_name_is_localhost(name)) {
        for (size_t i = 0; i < ARRAY_LEN(loopback) && n < max; i++)
            n += addr_parse_ip(&ret[n], slice_str(loopback[i]), 0) == 0;
        return n;
    }
    dns_hosts_init(&hosts, NULL);
    n = dns_hosts_find(&hosts, name, clock_now_s(), ret, max);
    dns_hosts_done(&hosts);
    return n;
}

size_t known_addresses(const char *host, uint16_t port, struct addr *ret, size_t max)
{
    size_t n = find(host, ret, max);

    for (size_t i = 0; i < n; i++)
        addr_set_port(&ret[i], port);
    return n;
}
