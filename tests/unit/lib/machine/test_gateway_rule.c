/* Routing rules of a range of tables are found and removed, with their routes; others stay. */
#include "machine/gateway_rule.h"

#include "support/lines.h"

enum { FIRST = 0x53570081, LAST = 0x53570100, MAX = 8 };

static size_t find(struct gateway_rule found[MAX])
{
    int n = gateway_rules_find(FIRST, LAST, found, MAX);

    assert_true(n >= 0);
    return (size_t)n;
}

/* Whether `ip` has it; removes it. */
static bool had(bool six, const char *what)
{
    return netns_try_ip(six, what) == 0;
}

static void what_is_in_the_range_goes_and_nothing_else(void **state)
{
    struct gateway_rule found[MAX];
    struct machine m;
    (void)state;
    lines_read(&m, "");
    struct gateway_rule r = {
        .gateway = ip("10.0.1.1"), .link = netns_link(&m, "fibre")->index, .mark = 7, .mask = UINT32_MAX};
    const uint32_t tables[] = {FIRST - 1, FIRST, LAST, LAST + 1};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        r.table = tables[i];
        r.priority = 20000 + (uint32_t)i;
        assert_int_equal(gateway_rule_set(&r), 0);
    }
    r.table = FIRST;
    r.priority = 20001;
    r.mark = 8; /* of another run, which was killed too */
    assert_int_equal(gateway_rule_set(&r), 0);

    assert_int_equal(find(found), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(gateway_rule_remove(&found[i]), 0);
    assert_int_equal(find(found), 0);
    assert_false(had(false, "route delete default table 0x53570081\n"));
    assert_false(had(false, "route delete default table 0x53570100\n"));
    assert_true(had(false, "route delete default table 0x53570080\nrule delete pref 20000\n"));
    assert_true(had(false, "route delete default table 0x53570101\nrule delete pref 20003\n"));
    machine_done(&m);
}

static void those_of_ipv6_as_well(void **state)
{
    struct gateway_rule found[MAX];
    struct machine m;
    (void)state;
    if (lines_read6(&m, "")) {
        const struct gateway_rule r = {.gateway = ip("2001:db8:2::1"),
                                       .link = netns_link(&m, "lte")->index,
                                       .mark = 7,
                                       .mask = UINT32_MAX,
                                       .table = FIRST,
                                       .priority = 20001};
        assert_int_equal(gateway_rule_set(&r), 0);
        assert_int_equal(find(found), 1);
        assert_int_equal(gateway_rule_remove(&found[0]), 0);
        assert_false(had(true, "rule delete pref 20001\n"));
        assert_false(had(true, "route delete default table 0x53570081\n"));
    }
    machine_done(&m);
}

static bool leaves_by(const struct machine *m, uint32_t mark, const char *link)
{
    const struct addr to = ip("198.51.100.1");
    struct machine_route route;

    assert_int_equal(machine_route_get(&(struct machine_packet){.to = &to, .mark = mark}, &route), 0);
    return route.link == netns_link(m, link)->index;
}

static void bits_outside_of_the_mask_do_not_count(void **state)
{
    struct gateway_rule found[MAX];
    struct machine m;
    (void)state;
    lines_read(&m, "route add default via 10.0.2.1 dev lte\n");
    struct gateway_rule r = {.gateway = ip("10.0.1.1"),
                             .link = netns_link(&m, "fibre")->index,
                             .mark = 7,
                             .mask = 0x7fffffff,
                             .table = FIRST,
                             .priority = 20001};
    assert_int_equal(gateway_rule_set(&r), 0);
    assert_true(leaves_by(&m, 7, "fibre") && leaves_by(&m, 0x80000007, "fibre"));
    assert_true(leaves_by(&m, 6, "lte") && leaves_by(&m, 0x80000000, "lte"));
    assert_int_equal(find(found), 1);
    assert_int_equal(found[0].mask, 0x7fffffff);
    assert_int_equal(gateway_rule_remove(&found[0]), 0);
    assert_true(leaves_by(&m, 7, "lte"));
    machine_done(&m);
}

/* Its owner ends cleanly between the look and the removal. */
static void one_that_is_gone_is_no_failure(void **state)
{
    struct gateway_rule found[MAX];
    (void)state;
    netns_enter();
    netns_ip("rule add fwmark 7 lookup 0x53570081 pref 20001\n");
    assert_int_equal(find(found), 1);
    netns_ip("rule delete pref 20001\n");
    assert_int_equal(gateway_rule_remove(&found[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_the_range_goes_and_nothing_else),
        cmocka_unit_test(those_of_ipv6_as_well),
        cmocka_unit_test(bits_outside_of_the_mask_do_not_count),
        cmocka_unit_test(one_that_is_gone_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
