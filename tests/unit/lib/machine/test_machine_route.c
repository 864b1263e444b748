#include "machine/machine.h"

#include "support/lines.h"

/* Ask; link and gateway are texts, or NULL where there must be no route. */
static void assert_leaves(const struct machine *m, const char *to, const char *source, const char *device,
                          const char *link, const char *gateway)
{
    struct addr to_addr = ip(to), source_addr = ip(source ? source : to);
    struct machine_route route = {.link = -7};
    int r = machine_route_get(&(struct machine_packet){.to = &to_addr,
                                                       .source = source ? &source_addr : NULL,
                                                       .link = device ? netns_link(m, device)->index : 0},
                              &route);
    if (!link) {
        assert_int_equal(r, -ENETUNREACH);
        assert_int_equal(route.link, -7);
        return;
    }
    assert_int_equal(r, 0);
    assert_int_equal(route.link, netns_link(m, link)->index);
    assert_ip(&route.gateway, gateway);
    if (source)
        assert_ip(&route.source, source);
}

static void test_route_get4(void **state)
{
    static const char far[] = "198.51.100.1";
    struct machine_route route;
    struct addr to = ip(far), six = ip("::1");
    struct machine m;
    lines_read(&m, "");
    assert_leaves(&m, far, NULL, NULL, NULL, NULL);
    assert_leaves(&m, "10.0.2.7", NULL, NULL, "lte", "none");
    machine_done(&m);

    lines_read(&m, "route add default via 10.0.1.1 dev fibre metric 100\n"
                   "route add default via 10.0.2.1 dev lte metric 200\n");
    assert_leaves(&m, far, NULL, NULL, "fibre", "10.0.1.1");
    assert_leaves(&m, far, "10.0.1.2", NULL, "fibre", "10.0.1.1");
    assert_leaves(&m, far, "10.0.2.2", NULL, "fibre",
                  "10.0.1.1"); /* the source address does not choose the route */
    assert_leaves(&m, far, NULL, "lte", "lte", "10.0.2.1");
    assert_leaves(&m, far, "10.0.2.2", "lte", "lte", "10.0.2.1");
    assert_leaves(&m, far, "10.0.3.2", "lan", NULL,
                  NULL); /* no route, although Linux would ask the neighbours */
    assert_leaves(&m, "10.0.3.7", "10.0.3.2", "lan", "lan", "none");
    assert_leaves(&m, far, "10.0.3.2", NULL, "fibre", "10.0.1.1");
    assert_leaves(&m, "127.0.0.5", NULL, NULL, "lo", "none");

    assert_int_equal(
        machine_route_get(&(struct machine_packet){.to = &to, .source = NULL, .link = 0}, &route), 0);
    assert_ip(&route.source, "10.0.1.2");
    assert_int_equal(machine_route_get(
                         &(struct machine_packet){
                             .to = &to, .source = &(struct addr){.sa.sa_family = AF_UNSPEC}, .link = 0},
                         &route),
                     0);
    assert_int_equal(
        machine_route_get(&(struct machine_packet){.to = &to, .source = &six, .link = 0}, &route), -EINVAL);
    assert_int_equal(
        machine_route_get(&(struct machine_packet){.to = &(struct addr){.sa.sa_family = AF_UNSPEC}}, &route),
        -EAFNOSUPPORT);
    assert_true(
        machine_route_get(&(struct machine_packet){.to = &to, .source = NULL, .link = 12345}, &route) < 0);
    machine_done(&m);
    (void)state;
}

static void test_route_get4_by_rule(void **state)
{
    static const char far[] = "198.51.100.1";
    struct machine m;
    lines_read(&m, "route add default via 10.0.1.1 dev fibre\n"
                   "route add default via 10.0.2.1 dev lte table 7\n"
                   "rule add from 10.0.2.2 table 7\n");
    assert_true(netns_link(&m, "lte")->default4);
    assert_leaves(&m, far, "10.0.2.2", NULL, "lte", "10.0.2.1");
    assert_leaves(&m, far, "10.0.2.2", "lte", "lte", "10.0.2.1");
    assert_leaves(&m, far, NULL, NULL, "fibre", "10.0.1.1");
    assert_leaves(&m, far, NULL, "lte", NULL, NULL);
    machine_done(&m);
    (void)state;
}

static void test_route_get4_by_mark(void **state)
{
    struct machine m;
    struct machine_route route;
    struct addr to = ip("198.51.100.1");
    lines_read(&m, "route add default via 10.0.1.1 dev fibre\n"
                   "route add default via 10.0.1.77 dev fibre table 7\n"
                   "rule add fwmark 0x77 table 7\n");
    assert_int_equal(netns_link(&m, "fibre")->table4, RT_TABLE_MAIN);
    struct machine_packet p = {.to = &to, .link = netns_link(&m, "fibre")->index};
    assert_int_equal(machine_route_get(&p, &route), 0);
    assert_ip(&route.gateway, "10.0.1.1");
    p.mark = 0x77;
    assert_int_equal(machine_route_get(&p, &route), 0);
    assert_ip(&route.gateway, "10.0.1.77");
    machine_done(&m);
    (void)state;
}

static void test_route_get6(void **state)
{
    static const char far[] = "2001:db8:ffff::1";
    struct machine m;
    if (lines_read6(&m, "route add default via 2001:db8:1::1 dev fibre metric 100\n"
                        "route add default via 2001:db8:2::1 dev lte metric 200\n")) {
        assert_leaves(&m, far, NULL, NULL, "fibre", "2001:db8:1::1");
        assert_leaves(&m, far, "2001:db8:2::2", NULL, "fibre", "2001:db8:1::1");
        assert_leaves(&m, far, NULL, "lte", "lte", "2001:db8:2::1");
        assert_leaves(&m, far, "2001:db8:2::2", "lte", "lte", "2001:db8:2::1");
        assert_leaves(&m, far, NULL, "lan", NULL, NULL);
        assert_leaves(&m, far, "2001:db8:3::2", "lan", NULL, NULL);
        assert_leaves(&m, "2001:db8:3::7", "2001:db8:3::2", "lan", "lan", "none");
    }
    machine_done(&m);
    if (lines_read6(&m, "route add default via 2001:db8:1::1 dev fibre\n"
                        "route add default via 2001:db8:2::1 dev lte table 7\n")) {
        netns_ip6("rule add from 2001:db8:2::2 table 7\n");
        assert_leaves(&m, far, "2001:db8:2::2", NULL, "lte", "2001:db8:2::1");
        assert_leaves(&m, far, "2001:db8:2::2", "lte", "lte", "2001:db8:2::1");
        assert_leaves(&m, far, NULL, "lte", NULL, NULL);
    }
    machine_done(&m);
    (void)state;
}

/* link is a name, "this machine", or NULL for no neighbour. */
static void assert_neighbour(const struct machine *m, const struct addr *to, const char *link)
{
    int found = -7;
    int r = machine_neighbour(to, &found);

    if (!link) {
        assert_int_equal(r, -ENETUNREACH);
        assert_int_equal(found, -7);
        return;
    }
    assert_int_equal(r, 0);
    assert_int_equal(found, strcmp(link, "this machine") == 0 ? 0 : netns_link(m, link)->index);
}

static void assert_neighbours(const struct machine *m, const char *const pairs[][2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct addr to = ip(pairs[i][0]);
        assert_neighbour(m, &to, pairs[i][1]);
    }
}

static void test_neighbours4(void **state)
{
    static const char *const pairs[][2] = {
        {"10.0.1.7", "fibre"},        {"10.0.3.7", "lan"},
        {"10.0.2.2", "this machine"}, {"127.0.0.5", "this machine"},
        {"198.51.100.1", NULL}, /* by a default route */
        {"10.9.0.1", NULL},     /* by a gateway */
        {"10.8.0.1", "lan"},    /* a route without one */
        {"10.7.0.1", NULL},     /* two ways out */
        {"10.6.0.1", NULL},     /* forbidden */
    };
    static const char routes[] = "route add default via 10.0.1.1 dev fibre\n"
                                 "route add 10.9.0.0/16 via 10.0.3.1 dev lan\n"
                                 "route add 10.8.0.0/16 dev lan\n"
                                 "route add 10.7.0.0/16 nexthop dev fibre nexthop dev lte\n"
                                 "route add prohibit 10.6.0.0/16\n";
    struct machine m;

    (void)state;
    lines_read(&m, routes);
    assert_neighbours(&m, pairs, ARRAY_LEN(pairs) - 1);
    struct addr forbidden = ip(pairs[ARRAY_LEN(pairs) - 1][0]);
    int link;
    assert_true(machine_neighbour(&forbidden, &link) < 0);
    assert_int_equal(machine_neighbour(&(struct addr){.sa.sa_family = AF_UNSPEC}, &link), -EAFNOSUPPORT);
    machine_done(&m);
}

/* The internet is no neighbour, though a point-to-point line needs no gateway to reach it. */
static void test_no_neighbour_by_a_default_route_without_a_gateway(void **state)
{
    static const char *const pairs[][2] = {{"198.51.100.1", NULL}, {"10.0.1.7", "fibre"}};
    struct machine m;

    (void)state;
    lines_read(&m, "route add default dev lte\n");
    assert_neighbours(&m, pairs, ARRAY_LEN(pairs));
    machine_done(&m);
}

static void test_neighbours6(void **state)
{
    static const char *const pairs[][2] = {
        {"2001:db8:1::7", "fibre"},
        {"2001:db8:2::2", "this machine"},
        {"::1", "this machine"},
        {"2001:db8:ffff::1", NULL},
    };
    struct machine m;

    (void)state;
    if (lines_read6(&m, "route add default via 2001:db8:1::1 dev fibre\n")) {
        assert_neighbours(&m, pairs, ARRAY_LEN(pairs));
        struct addr local = ip("fe80::7");
        local.in6.sin6_scope_id = (uint32_t)netns_link(&m, "lte")->index;
        assert_neighbour(&m, &local, "lte");
        local.in6.sin6_scope_id = (uint32_t)netns_link(&m, "lan")->index;
        assert_neighbour(&m, &local, "lan");
    }
    machine_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_get4),
        cmocka_unit_test(test_route_get4_by_rule),
        cmocka_unit_test(test_route_get4_by_mark),
        cmocka_unit_test(test_route_get6),
        cmocka_unit_test(test_neighbours4),
        cmocka_unit_test(test_no_neighbour_by_a_default_route_without_a_gateway),
        cmocka_unit_test(test_neighbours6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
