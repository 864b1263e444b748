/* A household of real links, in its own namespace. */
#ifndef STEERWAY_TESTS_NET_LINES_H
#define STEERWAY_TESTS_NET_LINES_H

#include "support/netns.h"

/* Two lines, fibre and lte, with an address and a neighbour each; lan has only an address. */
static const char LINES[] = "link set lo up\n"
                            "link add fibre type veth peer name fibre-peer\n"
                            "link add lte type veth peer name lte-peer\n"
                            "link add lan type veth peer name lan-peer\n"
                            "link set fibre up\nlink set fibre-peer up\n"
                            "link set lte up\nlink set lte-peer up\n"
                            "link set lan up\nlink set lan-peer up\n"
                            "addr add 10.0.1.2/24 dev fibre\n"
                            "addr add 10.0.2.2/24 dev lte\n"
                            "addr add 10.0.3.2/24 dev lan\n";
static const char LINES6[] = "addr add 2001:db8:1::2/64 dev fibre nodad\n"
                             "addr add 2001:db8:2::2/64 dev lte nodad\n"
                             "addr add 2001:db8:3::2/64 dev lan nodad\n";

static inline void lines_enter(const char *routes)
{
    static const char *const names[] = {"fibre", "lte", "lan"};
    netns_enter();
    netns_ip(LINES);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct machine m;
        netns_read(&m, names[i], true);
        machine_done(&m);
    }
    netns_ip(routes);
}

static inline void lines_read(struct machine *ret, const char *routes)
{
    lines_enter(routes);
    assert_int_equal(machine_read(ret), 0);
}

/* Whether the kernel takes the machine's IPv6 addresses for its own. Link-local ones take a second (RFC 4862
 * 5.4). */
static inline bool lines_are_own6(const struct machine *m, const void *unused)
{
    (void)unused;
    for (size_t i = 0; i < m->n_addrs; i++) {
        const struct addr *own = &m->addrs[i].addr;
        int link = -1;
        if (addr_family(own) != AF_INET6 || IN6_IS_ADDR_LINKLOCAL(&own->in6.sin6_addr))
            continue;
        if (machine_neighbour(own, &link) < 0 || link != 0)
            return false;
    }
    return true;
}

/* Read the machine once its IPv6 addresses are its own: the kernel adds their local routes later than `ip`
 * returns. */
static inline void lines_await6(struct machine *ret)
{
    netns_read_until(ret, RTMGRP_IPV6_ROUTE, lines_are_own6, NULL);
}

/* With IPv6. @return false without IPv6; then these routes are left out */
static inline bool lines_read6(struct machine *ret, const char *routes)
{
    lines_enter("");
    if (!netns_have_ipv6()) {
        assert_int_equal(machine_read(ret), 0);
        return false;
    }
    netns_ip(LINES6);
    netns_ip(routes);
    lines_await6(ret);
    return true;
}

#endif
