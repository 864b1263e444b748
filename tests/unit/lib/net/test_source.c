#include "net/source.h"

#include "support/lines.h"

/* Cases that the kernel decides: real links, in a separate namespace. */

static struct source choose_as(const struct machine *m, int family, uint32_t mark, enum egress_ipv6 ipv6)
{
    return source_choose(m, netns_link(m, "fibre"), family, mark, ipv6);
}

static struct source choose(const struct machine *m, int family)
{
    return choose_as(m, family, 0, EGRESS_IPV6_SYSTEM);
}

static void assert_source(struct source s, const char *expected, enum egress_floats floats)
{
    assert_ip(&s.addr, expected);
    assert_int_equal(s.floats, floats);
}

static int family_of(struct source s)
{
    return addr_family(&s.addr);
}

/* The source that a peer sees for an egress. */
static void assert_leaves_from(struct source s, const char *to, const char *expected)
{
    struct egress e = {.device = "fibre", .any4 = true, .any6 = true};
    struct addr there = ip(to), from;
    int link, family = addr_family(&there);

    *(family == AF_INET ? &e.source4 : &e.source6) = s.addr;
    *(family == AF_INET ? &e.floats4 : &e.floats6) = s.floats;
    addr_set_port(&there, 80);
    int fd = egress_socket(&e, &there, SOCK_DGRAM);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &there.sa, addr_len(&there)), 0);
    assert_true(egress_source_of(fd, &from, &link));
    assert_ip(&from, expected);
    (void)close(fd);
}

static void test_the_network_of_the_next_hop(void **state)
{
    struct machine m;
    lines_read(&m, "addr del 10.0.1.2/24 dev fibre\n"
                   "addr add 192.168.50.2/24 dev fibre\n"
                   "addr add 10.0.1.2/24 dev fibre\n"
                   "route add default via 10.0.1.1 dev fibre\n");
    assert_source(choose(&m, AF_INET), "10.0.1.2", EGRESS_FLOATS);
    assert_leaves_from(choose(&m, AF_INET), "198.51.100.1", "10.0.1.2");
    /* The other network's own address, for destinations in it. */
    assert_leaves_from(choose(&m, AF_INET), "192.168.50.9", "192.168.50.2");
    machine_done(&m);
    (void)state;
}

static void test_the_source_of_the_route(void **state)
{
    struct machine m;
    lines_read(&m, "addr add 10.0.1.3/24 dev fibre\n"
                   "addr add 10.0.1.4/24 dev fibre\n"
                   "route add default via 10.0.1.1 dev fibre src 10.0.1.4\n"
                   "route add 172.20.0.0/16 via 10.0.1.1 dev fibre src 10.0.1.3\n");
    assert_source(choose(&m, AF_INET), "10.0.1.4", EGRESS_FLOATS);
    assert_leaves_from(choose(&m, AF_INET), "203.0.113.1", "10.0.1.4");
    assert_leaves_from(choose(&m, AF_INET), "172.20.0.1", "10.0.1.3");
    machine_done(&m);
    (void)state;
}

/* Some networks block well-known name servers, or route them separately. */
static void test_a_known_address_that_is_routed_apart(void **state)
{
    static const char *const routes[] = {"blackhole 1.1.1.1", "unreachable 1.1.1.1", "prohibit 1.1.1.0/24",
                                         "1.1.1.1 via 192.168.50.1 dev fibre"};

    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        char script[512];
        struct machine m;
        (void)snprintf(script, sizeof script,
                       "addr del 10.0.1.2/24 dev fibre\n"
                       "addr add 192.168.50.2/24 dev fibre\n"
                       "addr add 10.0.1.2/24 dev fibre\n"
                       "route add default via 10.0.1.1 dev fibre\n"
                       "route add %s\n",
                       routes[i]);
        lines_read(&m, script);
        assert_source(choose(&m, AF_INET), "10.0.1.2", EGRESS_FLOATS);
        assert_true(source_leads_out(&m, netns_link(&m, "fibre"), AF_INET));
        machine_done(&m);
    }
    (void)state;
}

/* More than the ranking keeps. */
static void test_many_addresses(void **state)
{
    char script[4096] = "addr del 10.0.1.2/24 dev fibre\n";
    struct machine m;

    for (int i = 0; i < 2 * MACHINE_SOURCES_MAX; i++)
        (void)snprintf(script + strlen(script), sizeof script - strlen(script),
                       "addr add 192.168.%d.2/24 dev fibre\n", i);
    lines_read(&m, strcat(script, "addr add 10.0.1.2/24 dev fibre\n"
                                  "route add default via 10.0.1.1 dev fibre\n"));
    assert_source(choose(&m, AF_INET), "10.0.1.2", EGRESS_FLOATS);
    assert_true(source_leads_out(&m, netns_link(&m, "fibre"), AF_INET));
    machine_done(&m);
    (void)state;
}

/* Of the link's routes to a destination, the longest prefix counts. */
static void test_routes_of_their_own(void **state)
{
    static const struct {
        const char *to, *from;
    } cases[] = {
        {"198.51.100.1", "10.0.1.2"},    {"203.0.113.1", "10.0.1.4"},   {"203.0.113.129", "10.0.1.3"},
        {"203.0.113.200", "10.0.1.2"},   {"192.0.2.1", "192.168.50.2"}, {"192.168.50.9", "192.168.50.2"},
        {"198.18.0.1", "192.168.50.66"},
    };
    struct machine m;
    lines_read(&m, "addr add 10.0.1.3/24 dev fibre\n"
                   "addr add 10.0.1.4/24 dev fibre\n"
                   "addr add 192.168.50.2/24 dev fibre\n"
                   "addr add 192.168.50.66/32 dev fibre\n"
                   "route add default via 10.0.1.1 dev fibre\n"
                   "route add 203.0.113.0/24 via 10.0.1.1 dev fibre src 10.0.1.4\n"
                   "route add 203.0.113.128/25 via 10.0.1.1 dev fibre src 10.0.1.3\n"
                   "route add 203.0.113.200 via 10.0.1.1 dev fibre\n"
                   "route add 192.0.2.0/24 via 192.168.50.1 dev fibre\n"
                   "route add 198.18.0.0/15 dev fibre src 192.168.50.66\n"
                   "route add 198.51.100.1 via 10.0.2.1 dev lte\n"); /* is not asked */
    struct source s = choose(&m, AF_INET);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_leaves_from(s, cases[i].to, cases[i].from);
    /* A new route, and a removed one, count at once. */
    netns_ip("route add 198.51.100.0/24 via 10.0.1.1 dev fibre src 10.0.1.3\n"
             "route del 203.0.113.128/25\n");
    assert_leaves_from(s, "198.51.100.1", "10.0.1.3");
    assert_leaves_from(s, "203.0.113.129", "10.0.1.4");
    machine_done(&m);
    (void)state;
}

static void test_routes_that_name_an_address_of_no_line(void **state)
{
    struct machine m;
    lines_read(&m, "addr add 10.255.0.1/32 dev lo\n"
                   "route add default via 10.0.1.1 dev fibre\n"
                   "route add 203.0.113.0/24 via 10.0.1.1 dev fibre src 10.255.0.1\n");
    assert_source(choose(&m, AF_INET), "10.0.1.2", EGRESS_FLOATS);
    assert_leaves_from(choose(&m, AF_INET), "198.51.100.1", "10.0.1.2");
    assert_leaves_from(choose(&m, AF_INET), "203.0.113.1", "10.255.0.1");
    machine_done(&m);
    (void)state;
}

/* A tunnel between two sites accepts packets from one's network to the other's. */
static void test_routes_that_name_another_links_address(void **state)
{
    struct machine m;
    lines_read(&m, "route add default via 10.0.1.1 dev fibre\n"
                   "route add 172.20.0.0/16 via 10.0.1.1 dev fibre src 10.0.3.2\n");
    assert_source(choose(&m, AF_INET), "10.0.1.2", EGRESS_FLOATS_IN_PRIVATE);
    assert_leaves_from(choose(&m, AF_INET), "198.51.100.1", "10.0.1.2");
    assert_leaves_from(choose(&m, AF_INET), "172.20.0.1", "10.0.3.2");
    assert_leaves_from(choose(&m, AF_INET), "172.21.0.1", "10.0.1.2");
    machine_done(&m);
    (void)state;
}

/* The far end of a point-to-point line is not a network, and the line can have several such addresses. */
static void test_point_to_point(void **state)
{
    struct machine m;
    lines_read(&m, "addr flush dev fibre\n"
                   "addr add 10.9.0.2 peer 10.9.0.1/32 dev fibre\n"
                   "addr add 10.8.0.2 peer 10.8.0.1/32 dev fibre\n"
                   "route add default dev fibre\n"
                   "route add 203.0.113.0/24 via 10.8.0.1 dev fibre\n");
    assert_source(choose(&m, AF_INET), "10.9.0.2", EGRESS_FLOATS);
    assert_leaves_from(choose(&m, AF_INET), "198.51.100.1", "10.9.0.2");
    assert_leaves_from(choose(&m, AF_INET), "203.0.113.1", "10.8.0.2");
    machine_done(&m);
    (void)state;
}

/* A line without its own address uses the machine's, if its route says so; otherwise it borrows none. */
static void test_an_address_of_the_machine(void **state)
{
    struct machine m;
    lines_read(&m, "addr add 10.255.0.1/32 dev lo\n"
                   "addr flush dev fibre scope global\n"
                   "route add default dev fibre src 10.255.0.1\n");
    assert_source(choose(&m, AF_INET), "10.255.0.1", EGRESS_FLOATS);
    machine_done(&m);
    netns_ip("route replace default dev fibre\n");
    assert_int_equal(machine_read(&m), 0);
    assert_int_equal(family_of(choose(&m, AF_INET)), AF_UNSPEC);
    machine_done(&m);
    (void)state;
}

static void test_rules_by_source(void **state)
{
    struct machine m;
    lines_read(&m, "addr add 10.0.1.3/24 dev fibre\n"
                   "route add default via 10.0.2.1 dev lte\n"
                   "rule add from 10.0.1.3 table 101\n"
                   "route add default via 10.0.1.1 dev fibre table 101\n");
    assert_source(choose(&m, AF_INET), "10.0.1.3", EGRESS_BOUND);
    machine_done(&m);
    (void)state;
}

static void test_marked_packets(void **state)
{
    struct machine m;
    lines_read(&m, "addr add 192.168.50.2/24 dev fibre\n"
                   "route add default via 10.0.1.1 dev fibre\n"
                   "rule add fwmark 7 table 107\n"
                   "route add default via 192.168.50.1 dev fibre table 107\n");
    assert_source(choose(&m, AF_INET), "10.0.1.2", EGRESS_FLOATS);
    assert_source(choose_as(&m, AF_INET, 7, EGRESS_IPV6_SYSTEM), "192.168.50.2", EGRESS_FLOATS);
    machine_done(&m);
    (void)state;
}

/* The kernel would use the other link's, since an address of link scope does not suit the internet. */
static void test_link_scope_before_another_links(void **state)
{
    struct machine m;
    lines_read(&m, "addr flush dev fibre\n"
                   "addr add 169.254.7.7/16 dev fibre scope link\n"
                   "route add default via 169.254.7.1 dev fibre\n");
    assert_source(choose(&m, AF_INET), "169.254.7.7", EGRESS_BOUND);
    machine_done(&m);
    (void)state;
}

static void test_without_a_route(void **state)
{
    struct machine m;
    lines_read(&m, "route add default via 10.0.2.1 dev lte\n");
    assert_source(choose(&m, AF_INET), "10.0.1.2", EGRESS_BOUND);
    assert_int_equal(family_of(choose(&m, AF_INET6)), AF_UNSPEC);
    machine_done(&m);
    (void)state;
}

/* --- IPv6 ----------------------------------------------------------------------------------------------- */

static const char ROUTES6[] = "route add default via 2001:db8:1::1 dev fibre\n"
                              "route add default via 2001:db8:2::1 dev lte metric 2000\n";

static void test_unique_local_for_unique_local(void **state)
{
    struct machine m;
    if (!lines_read6(&m, "addr add fd00:1::2/64 dev fibre nodad\n"))
        return;
    netns_ip6(ROUTES6);
    assert_source(choose(&m, AF_INET6), "2001:db8:1::2", EGRESS_FLOATS);
    assert_leaves_from(choose(&m, AF_INET6), "2001:db8:99::1", "2001:db8:1::2");
    assert_leaves_from(choose(&m, AF_INET6), "fd00:99::1", "fd00:1::2");
    machine_done(&m);
    (void)state;
}

/* The kernel would use one of the other link, which is not deprecated but belongs to another provider. */
static void test_deprecated_before_another_links(void **state)
{
    struct machine m;
    if (!lines_read6(&m, "addr change 2001:db8:1::2/64 dev fibre nodad preferred_lft 0\n"))
        return;
    netns_ip6(ROUTES6);
    assert_source(choose(&m, AF_INET6), "2001:db8:1::2", EGRESS_BOUND);
    assert_leaves_from(choose(&m, AF_INET6), "2001:db8:99::1", "2001:db8:1::2");
    netns_ip("addr add 2001:db8:1::3/64 dev fibre nodad\n");
    machine_done(&m);
    assert_int_equal(machine_read(&m), 0);
    assert_source(choose(&m, AF_INET6), "2001:db8:1::3", EGRESS_FLOATS);
    machine_done(&m);
    (void)state;
}

static void test_source_specific_routes(void **state)
{
    struct machine m;
    if (!lines_read6(&m, "addr add 2001:db8:5::2/64 dev fibre nodad\n"))
        return;
    netns_ip6("route add default from 2001:db8:1::/64 via 2001:db8:1::1 dev fibre\n"
              "route add default via 2001:db8:2::1 dev lte\n");
    assert_source(choose(&m, AF_INET6), "2001:db8:1::2", EGRESS_BOUND);
    assert_leaves_from(choose(&m, AF_INET6), "2001:db8:99::1", "2001:db8:1::2");
    machine_done(&m);
    (void)state;
}

static void test_routes_of_their_own6(void **state)
{
    struct machine m;
    if (!lines_read6(&m, "addr add 2001:db8:1::3/64 dev fibre nodad\n"
                         "addr add 2001:db8:1::4/64 dev fibre nodad preferred_lft 0\n"))
        return;
    netns_ip6(ROUTES6);
    netns_ip6("route add 2001:db8:77::/48 via 2001:db8:1::1 dev fibre src 2001:db8:1::2\n"
              "route add 2001:db8:77:1::/64 via 2001:db8:1::1 dev fibre src 2001:db8:1::3\n"
              "route add 2001:db8:78::/48 via 2001:db8:1::1 dev fibre src 2001:db8:1::4\n");
    struct source s = choose(&m, AF_INET6);
    assert_leaves_from(s, "2001:db8:77::1", "2001:db8:1::2");
    assert_leaves_from(s, "2001:db8:77:1::1", "2001:db8:1::3");
    assert_leaves_from(s, "2001:db8:78::1", "2001:db8:1::4");
    machine_done(&m);
    (void)state;
}

static void use_temporary(const char *how)
{
    netns_write("/proc/sys/net/ipv6/conf/fibre/use_tempaddr", how);
    netns_write("/proc/sys/net/ipv6/conf/fibre/accept_dad", "0");
}

static bool has_temporary(const struct machine *m, const void *unused)
{
    bool found = false;
    for (size_t i = 0; i < m->n_addrs; i++)
        found = found || (m->addrs[i].temporary && !m->addrs[i].tentative);
    return found && lines_are_own6(m, unused);
}

/* RFC 8981: the kernel makes a temporary address beside a managed one, a little later. */
static void test_temporary_addresses(void **state)
{
    static const char managed[] = "addr add 2001:db8:1::5/64 dev fibre nodad mngtmpaddr valid_lft 86400 "
                                  "preferred_lft 80000\n";
    static const char rule[] = "route add default via 2001:db8:1::1 dev fibre table 106\n"
                               "rule add pref 1 from all oif fibre unreachable\n"
                               "rule add pref 0 from 2001:db8:1::/64 table 106\n";
    struct machine m;
    char temporary[ADDR_TEXT_MAX] = "";

    if (!lines_read6(&m, "addr del 2001:db8:1::2/64 dev fibre\n"))
        return;
    machine_done(&m);
    use_temporary("2");
    netns_ip(managed);
    netns_ip6(ROUTES6);
    netns_read_until(&m, RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE, has_temporary, NULL);
    for (size_t i = 0; i < m.n_addrs; i++)
        if (m.addrs[i].temporary && !m.addrs[i].tentative)
            (void)addr_format_ip(&m.addrs[i].addr, temporary);
    assert_true(temporary[0]);
    assert_true(netns_link(&m, "fibre")->temporary6);
    for (int bound = 0; bound < 2; bound++) { /* the kernel's choice, and ours */
        assert_source(choose(&m, AF_INET6), temporary, bound ? EGRESS_BOUND : EGRESS_FLOATS);
        assert_source(choose_as(&m, AF_INET6, 0, EGRESS_IPV6_TEMPORARY), temporary,
                      bound ? EGRESS_BOUND : EGRESS_FLOATS);
        assert_source(choose_as(&m, AF_INET6, 0, EGRESS_IPV6_STABLE), "2001:db8:1::5",
                      bound ? EGRESS_BOUND : EGRESS_FLOATS);
        if (!bound)
            netns_ip6(rule);
    }
    machine_done(&m);
    use_temporary("1"); /* they exist, and are used on request */
    assert_int_equal(machine_read(&m), 0);
    assert_false(netns_link(&m, "fibre")->temporary6);
    assert_source(choose(&m, AF_INET6), "2001:db8:1::5", EGRESS_BOUND);
    assert_source(choose_as(&m, AF_INET6, 0, EGRESS_IPV6_TEMPORARY), temporary, EGRESS_BOUND);
    netns_ip6("rule del pref 1\n");
    assert_source(choose(&m, AF_INET6), "2001:db8:1::5", EGRESS_FLOATS);
    assert_source(choose_as(&m, AF_INET6, 0, EGRESS_IPV6_TEMPORARY), temporary, EGRESS_FLOATS);
    machine_done(&m);
    (void)state;
}

static void test_tentative_never(void **state)
{
    struct machine m;
    if (!lines_read6(&m, "addr del 2001:db8:1::2/64 dev fibre\n"))
        return;
    machine_done(&m);
    netns_write("/proc/sys/net/ipv6/conf/fibre/dad_transmits", "100");
    netns_ip("addr add 2001:db8:1::7/64 dev fibre\n");
    netns_ip6(ROUTES6);
    assert_int_equal(machine_read(&m), 0);
    assert_int_equal(family_of(choose(&m, AF_INET6)), AF_UNSPEC);
    machine_done(&m);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_network_of_the_next_hop),
        cmocka_unit_test(test_the_source_of_the_route),
        cmocka_unit_test(test_a_known_address_that_is_routed_apart),
        cmocka_unit_test(test_many_addresses),
        cmocka_unit_test(test_routes_of_their_own),
        cmocka_unit_test(test_routes_that_name_an_address_of_no_line),
        cmocka_unit_test(test_routes_that_name_another_links_address),
        cmocka_unit_test(test_point_to_point),
        cmocka_unit_test(test_an_address_of_the_machine),
        cmocka_unit_test(test_rules_by_source),
        cmocka_unit_test(test_marked_packets),
        cmocka_unit_test(test_link_scope_before_another_links),
        cmocka_unit_test(test_without_a_route),
        cmocka_unit_test(test_unique_local_for_unique_local),
        cmocka_unit_test(test_deprecated_before_another_links),
        cmocka_unit_test(test_source_specific_routes),
        cmocka_unit_test(test_routes_of_their_own6),
        cmocka_unit_test(test_temporary_addresses),
        cmocka_unit_test(test_tentative_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
