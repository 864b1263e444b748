#include "net/source.h"

#include "net/lines.h"

/* Where the kernel has a say: real links, in a namespace of their own. */

static struct source choose_as(const struct machine *m, int family, uint32_t mark, enum egress_ipv6 ipv6)
{
    return source_choose(m, netns_link(m, "fibre"), family, mark, ipv6);
}

static struct source choose(const struct machine *m, int family)
{
    return choose_as(m, family, 0, EGRESS_IPV6_SYSTEM);
}

static void assert_source(struct source s, const char *expected, bool floats)
{
    assert_ip(&s.addr, expected);
    assert_int_equal(s.floats, floats);
}

static int family_of(struct source s)
{
    return addr_family(&s.addr);
}

/* What a peer would see of an egress that is filled with it. */
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
    assert_source(choose(&m, AF_INET), "10.0.1.2", true);
    assert_leaves_from(choose(&m, AF_INET), "198.51.100.1", "10.0.1.2");
    /* The other network's own, for who is there. */
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
    assert_source(choose(&m, AF_INET), "10.0.1.4", true);
    assert_leaves_from(choose(&m, AF_INET), "203.0.113.1", "10.0.1.4");
    assert_leaves_from(choose(&m, AF_INET), "172.20.0.1", "10.0.1.3");
    machine_done(&m);
    (void)state;
}

/* A line without an address of its own has that of the machine, where its route says so; otherwise it borrows
 * none. */
static void test_an_address_of_the_machine(void **state)
{
    struct machine m;
    lines_read(&m, "addr add 10.255.0.1/32 dev lo\n"
                   "addr flush dev fibre scope global\n"
                   "route add default dev fibre src 10.255.0.1\n");
    assert_source(choose(&m, AF_INET), "10.255.0.1", true);
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
    assert_source(choose(&m, AF_INET), "10.0.1.3", false);
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
    assert_source(choose(&m, AF_INET), "10.0.1.2", true);
    assert_source(choose_as(&m, AF_INET, 7, EGRESS_IPV6_SYSTEM), "192.168.50.2", true);
    machine_done(&m);
    (void)state;
}

/* The kernel would take the other link's, as one of link scope is not for the internet. */
static void test_link_scope_before_another_links(void **state)
{
    struct machine m;
    lines_read(&m, "addr flush dev fibre\n"
                   "addr add 169.254.7.7/16 dev fibre scope link\n"
                   "route add default via 169.254.7.1 dev fibre\n");
    assert_source(choose(&m, AF_INET), "169.254.7.7", false);
    machine_done(&m);
    (void)state;
}

static void test_without_a_route(void **state)
{
    struct machine m;
    lines_read(&m, "route add default via 10.0.2.1 dev lte\n");
    assert_source(choose(&m, AF_INET), "10.0.1.2", false);
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
    assert_source(choose(&m, AF_INET6), "2001:db8:1::2", true);
    assert_leaves_from(choose(&m, AF_INET6), "2001:db8:99::1", "2001:db8:1::2");
    assert_leaves_from(choose(&m, AF_INET6), "fd00:99::1", "fd00:1::2");
    machine_done(&m);
    (void)state;
}

/* The kernel would take one of the other link, which is not deprecated, and whose provider is another. */
static void test_deprecated_before_another_links(void **state)
{
    struct machine m;
    if (!lines_read6(&m, "addr change 2001:db8:1::2/64 dev fibre nodad preferred_lft 0\n"))
        return;
    netns_ip6(ROUTES6);
    assert_source(choose(&m, AF_INET6), "2001:db8:1::2", false);
    assert_leaves_from(choose(&m, AF_INET6), "2001:db8:99::1", "2001:db8:1::2");
    netns_ip("addr add 2001:db8:1::3/64 dev fibre nodad\n");
    machine_done(&m);
    assert_int_equal(machine_read(&m), 0);
    assert_source(choose(&m, AF_INET6), "2001:db8:1::3", true);
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
    assert_source(choose(&m, AF_INET6), "2001:db8:1::2", false);
    assert_leaves_from(choose(&m, AF_INET6), "2001:db8:99::1", "2001:db8:1::2");
    machine_done(&m);
    (void)state;
}

static void use_temporary(const char *how)
{
    netns_write("/proc/sys/net/ipv6/conf/fibre/use_tempaddr", how);
    netns_write("/proc/sys/net/ipv6/conf/fibre/accept_dad", "0");
}

/* RFC 8981: the kernel makes a temporary address beside a managed one. */
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
    assert_int_equal(machine_read(&m), 0);
    for (size_t i = 0; i < m.n_addrs; i++)
        if (m.addrs[i].temporary && !m.addrs[i].tentative)
            (void)addr_format_ip(&m.addrs[i].addr, temporary);
    assert_true(temporary[0]);
    assert_true(netns_link(&m, "fibre")->temporary6);
    for (int bound = 0; bound < 2; bound++) { /* as the kernel chooses, and as we do */
        assert_source(choose(&m, AF_INET6), temporary, !bound);
        assert_source(choose_as(&m, AF_INET6, 0, EGRESS_IPV6_TEMPORARY), temporary, !bound);
        assert_source(choose_as(&m, AF_INET6, 0, EGRESS_IPV6_STABLE), "2001:db8:1::5", !bound);
        if (!bound)
            netns_ip6(rule);
    }
    machine_done(&m);
    use_temporary("1"); /* they are there, for who asks */
    assert_int_equal(machine_read(&m), 0);
    assert_false(netns_link(&m, "fibre")->temporary6);
    assert_source(choose(&m, AF_INET6), "2001:db8:1::5", false);
    assert_source(choose_as(&m, AF_INET6, 0, EGRESS_IPV6_TEMPORARY), temporary, false);
    netns_ip6("rule del pref 1\n");
    assert_source(choose(&m, AF_INET6), "2001:db8:1::5", true);
    assert_source(choose_as(&m, AF_INET6, 0, EGRESS_IPV6_TEMPORARY), temporary, true);
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
        cmocka_unit_test(test_an_address_of_the_machine),
        cmocka_unit_test(test_rules_by_source),
        cmocka_unit_test(test_marked_packets),
        cmocka_unit_test(test_link_scope_before_another_links),
        cmocka_unit_test(test_without_a_route),
        cmocka_unit_test(test_unique_local_for_unique_local),
        cmocka_unit_test(test_deprecated_before_another_links),
        cmocka_unit_test(test_source_specific_routes),
        cmocka_unit_test(test_temporary_addresses),
        cmocka_unit_test(test_tentative_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
