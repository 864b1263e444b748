/* The kernel's neighbours and rules, on real links. */
#include "machine/neighbour.h"

#include "machine/routing_rule.h"
#include "support/lines.h"

static void neighbours_by_what_they_said(void **state)
{
    struct machine m;
    struct addr known = ip("10.0.1.1"), failed = ip("10.0.1.9"), other = ip("10.0.1.3"), router;
    (void)state;
    lines_read(&m, "neigh add 10.0.1.1 lladdr 02:00:00:00:0a:01 dev fibre nud reachable\n"
                   "neigh add 10.0.1.9 dev fibre nud failed\n");
    int fibre = netns_link(&m, "fibre")->index;
    struct neighbour n = neighbour_of(&known, fibre);
    assert_int_equal(n.state, NEIGHBOUR_KNOWN);
    assert_string_equal(n.mac, "02:00:00:00:0a:01");
    n = neighbour_of(&failed, fibre);
    assert_int_equal(n.state, NEIGHBOUR_SILENT);
    assert_string_equal(n.mac, "");
    assert_int_equal(neighbour_of(&other, fibre).state, NEIGHBOUR_UNKNOWN);
    assert_int_equal(neighbour_of(&known, netns_link(&m, "lte")->index).state, NEIGHBOUR_UNKNOWN);
    assert_false(neighbour_router6(fibre, &router));
    machine_done(&m);
}

static void a_router_says_that_it_is_one(void **state)
{
    struct machine m;
    struct addr router;
    (void)state;
    if (lines_read6(&m, "neigh add fe80::77 lladdr 02:00:00:00:0a:77 dev lte nud reachable\n"
                        "neigh add fe80::78 lladdr 02:00:00:00:0a:78 dev lte nud reachable router\n")) {
        assert_true(neighbour_router6(netns_link(&m, "lte")->index, &router));
        assert_ip(&router, "fe80::78%lte");
        assert_false(neighbour_router6(netns_link(&m, "fibre")->index, &router));
    }
    machine_done(&m);
}

static void the_first_rule_that_turns_away(void **state)
{
    uint32_t priority = 0;
    (void)state;
    lines_enter("");
    assert_false(routing_rule_barrier(AF_INET, &priority));
    netns_ip("rule add from 10.0.2.2 blackhole pref 900\n"
             "rule add from 10.0.2.2 prohibit pref 800\n"
             "rule add from 10.0.2.2 lookup 7 pref 700\n");
    assert_true(routing_rule_barrier(AF_INET, &priority));
    assert_int_equal(priority, 800);
    assert_false(routing_rule_barrier(AF_INET6, &priority));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_by_what_they_said),
        cmocka_unit_test(a_router_says_that_it_is_one),
        cmocka_unit_test(the_first_rule_that_turns_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
