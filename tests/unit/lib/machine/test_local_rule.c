/* Rules and routes of marked packets are added, found and removed; those of others stay. */
#include "machine/local_rule.h"

#include "support/lines.h"

enum { TABLE = 0x5357fff0, MARK = 0x5357fff0, MAX = 8 };

static struct local_rule rule(int family, const char *in)
{
    struct local_rule r = {.family = family, .mark = MARK, .table = TABLE, .priority = 1000};

    (void)snprintf(r.in, sizeof r.in, "%s", in);
    return r;
}

static int route_of(uint32_t mark, const char *to, int *ret_link)
{
    const struct addr a = ip(to);
    struct machine_route route = {.link = -1};
    int r = machine_route_get(&(struct machine_packet){.to = &a, .mark = mark}, &route);

    *ret_link = route.link;
    return r;
}

static void marked_packets_come_back(void **state)
{
    const struct local_rule r = rule(AF_INET, "");
    struct local_rule found[MAX];
    struct local_routes routes;
    int plain, marked;
    (void)state;
    lines_enter("route add default via 10.0.2.1 dev lte\n");
    assert_int_equal(local_route_add(AF_INET, TABLE), 0);
    assert_int_equal(local_rule_add(&r), 0);
    assert_int_equal(local_route_add(AF_INET, TABLE), 0); /* again: harmless */
    assert_int_equal(local_rule_add(&r), 0);
    assert_int_equal(local_rules_find(TABLE, found, MAX), 1);
    assert_true(local_rule_same(&found[0], &r));
    assert_int_equal(local_routes_read(AF_INET, TABLE, &routes), 0);
    assert_true(routes.ours && routes.other == 0);
    assert_int_equal(route_of(0, "198.51.100.1", &plain), 0);
    (void)route_of(MARK, "198.51.100.1", &marked);
    assert_true(plain > 0 && marked != plain);

    assert_int_equal(local_rule_remove(&r), 0);
    assert_int_equal(local_route_remove(AF_INET, TABLE), 0);
    assert_int_equal(local_rule_remove(&r), 0); /* again: harmless */
    assert_int_equal(local_route_remove(AF_INET, TABLE), 0);
    assert_int_equal(local_rules_find(TABLE, found, MAX), 0);
    assert_int_equal(local_routes_read(AF_INET, TABLE, &routes), 0);
    assert_false(routes.ours);
    assert_int_equal(route_of(MARK, "198.51.100.1", &marked), 0);
    assert_int_equal(marked, plain);
}

static void ipv6_as_well(void **state)
{
    const struct local_rule r = rule(AF_INET6, "lan");
    struct local_rule found[MAX];
    struct local_routes routes;
    (void)state;
    lines_enter("");
    if (!netns_have_ipv6())
        return;
    assert_int_equal(local_route_add(AF_INET6, TABLE), 0);
    assert_int_equal(local_rule_add(&r), 0);
    assert_int_equal(local_rules_find(TABLE, found, MAX), 1);
    assert_true(local_rule_same(&found[0], &r));
    assert_int_equal(local_routes_read(AF_INET6, TABLE, &routes), 0);
    assert_true(routes.ours && routes.other == 0);
    assert_int_equal(local_rule_remove(&r), 0);
    assert_int_equal(local_route_remove(AF_INET6, TABLE), 0);
    assert_int_equal(local_rules_find(TABLE, found, MAX), 0);
}

/* The kernel would take a rule with an interface for one without. */
static void only_the_same_rule_goes(void **state)
{
    const struct local_rule any = rule(AF_INET, ""), lan = rule(AF_INET, "lan"), other = rule(AF_INET, "lte");
    struct local_rule found[MAX];
    (void)state;
    lines_enter("");
    assert_int_equal(local_rule_add(&lan), 0);
    assert_int_equal(local_rule_remove(&any), 0);
    assert_int_equal(local_rule_remove(&other), 0);
    assert_int_equal(local_rules_find(TABLE, found, MAX), 1);
    netns_ip("rule add fwmark 0x5357fff0 lookup 0x5357fff0 pref 999\n");
    assert_int_equal(local_rule_remove(&any), 0);
    assert_int_equal(local_rules_find(TABLE, found, MAX), 2);
    assert_int_equal(local_rules_find(TABLE, found, 1), 1); /* no more than there is room for */
}

static void only_the_same_route_goes(void **state)
{
    struct local_routes routes;
    (void)state;
    lines_enter("");
    netns_ip("route add local default dev lo table 0x5357fff0\nroute add 198.51.100.0/24 dev lan table "
             "0x5357fff0\n");
    assert_int_equal(local_routes_read(AF_INET, TABLE, &routes), 0);
    assert_true(!routes.ours && routes.other == 2);
    assert_int_equal(local_route_remove(AF_INET, TABLE), 0);
    assert_int_equal(local_routes_read(AF_INET, TABLE, &routes), 0);
    assert_int_equal(routes.other, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marked_packets_come_back),
        cmocka_unit_test(ipv6_as_well),
        cmocka_unit_test(only_the_same_rule_goes),
        cmocka_unit_test(only_the_same_route_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
