/* Which changes of the machine and of the proxy ask for other sets, which for other rules, and which for
 * nothing. */
#include "capture/capture_shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct addr at(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, slice_str(text)), 0);
    return a;
}

/* @param near  networks, up to NULL */
static struct capture_shape shape(const char *const near[], const char *to4, uint32_t own_mark, bool stops)
{
    struct cidr networks[4];
    struct capture_ground g = {
        .own_mark = own_mark, .to4 = at(to4), .to6 = at("[::1]:1081"), .near = networks};
    const struct capture_request r = {.stops = stops};
    struct capture_shape s;

    for (; near[g.n_near]; g.n_near++)
        assert_int_equal(cidr_parse(&networks[g.n_near], slice_str(near[g.n_near])), 0);
    assert_int_equal(capture_shape_of(&r, &g, &s), 0);
    return s;
}

#define NEAR(...) ((const char *const[]){__VA_ARGS__, NULL})
static const char HERE[] = "127.0.0.1:1081";

static void assert_differ(struct capture_shape installed, struct capture_shape wanted,
                          enum capture_difference expected)
{
    assert_int_equal(capture_shape_compare(&installed, &wanted), expected);
    capture_shape_done(&installed);
    capture_shape_done(&wanted);
}

static void the_same_networks_change_nothing(void **state)
{
    (void)state;
    assert_differ(shape(NEAR("10.0.0.0/24", "fd00::/64"), HERE, 8, false),
                  shape(NEAR("10.0.0.0/24", "fd00::/64"), HERE, 8, false), CAPTURE_SAME);
    /* In another order, a router within its network, and two halves. */
    assert_differ(shape(NEAR("10.0.0.0/24", "fd00::/64"), HERE, 8, false),
                  shape(NEAR("fd00::/64", "10.0.0.0/24", "10.0.0.1"), HERE, 8, false), CAPTURE_SAME);
    assert_differ(shape(NEAR("10.0.0.0/24"), HERE, 8, false),
                  shape(NEAR("10.0.0.0/25", "10.0.0.128/25"), HERE, 8, false), CAPTURE_SAME);
    assert_differ(shape(NEAR("127.0.0.0/8"), HERE, 8, false), shape(NEAR("169.254.1.0/24"), HERE, 8, false),
                  CAPTURE_SAME); /* always near */
}

static void other_networks_change_the_sets(void **state)
{
    (void)state;
    assert_differ(shape(NEAR("10.0.0.0/24"), HERE, 8, false),
                  shape(NEAR("10.0.0.0/24", "10.0.2.0/24"), HERE, 8, false), CAPTURE_OTHER_SETS);
    assert_differ(shape(NEAR("10.0.0.0/24", "fd00::/64"), HERE, 8, false),
                  shape(NEAR("10.0.0.0/24"), HERE, 8, false), CAPTURE_OTHER_SETS);
    assert_differ(shape(NEAR("10.0.0.0/24"), HERE, 8, true), shape(NEAR("10.0.0.0/23"), HERE, 8, true),
                  CAPTURE_OTHER_SETS);
}

static void other_listeners_change_the_rules(void **state)
{
    (void)state;
    assert_differ(shape(NEAR("10.0.0.0/24"), HERE, 8, false),
                  shape(NEAR("10.0.0.0/24"), "127.0.0.1:1082", 8, false), CAPTURE_OTHER_RULES);
    assert_differ(shape(NEAR("10.0.0.0/24"), HERE, 8, false), shape(NEAR("10.0.2.0/24"), HERE, 4, false),
                  CAPTURE_OTHER_RULES);
    assert_differ(shape(NEAR("10.0.0.0/24"), HERE, 8, false), shape(NEAR("10.0.0.0/24"), HERE, 8, true),
                  CAPTURE_OTHER_RULES);
}

static void an_unknown_table_may_have_other_rules(void **state)
{
    struct capture_shape unknown = {.rules = NULL};
    (void)state;
    assert_differ(unknown, shape(NEAR("10.0.0.0/24"), HERE, 8, true), CAPTURE_OTHER_RULES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_networks_change_nothing),
        cmocka_unit_test(other_networks_change_the_sets),
        cmocka_unit_test(other_listeners_change_the_rules),
        cmocka_unit_test(an_unknown_table_may_have_other_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
