/* Events come in the order of time; events at the same time keep their order. */
#include "simulate/events.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_missing_file_is_empty(void **state)
{
    struct events e = {.n = 0};
    struct event got;
    (void)state;
    assert_true(isinf(events_next(&e)));
    assert_false(events_take(&e, &got));
    events_done(&e);
}

static void in_order_of_time_and_of_adding(void **state)
{
    struct events e = {.n = 0};
    struct event got;
    uint32_t seed = 99, last_whom = 0;
    double last = -1;
    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        seed = seed * 1664525 + 1013904223;
        assert_int_equal(events_add(&e, (seed >> 20) % 500, 3, i, i * 7u), 0);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        assert_true(events_next(&e) >= last);
        assert_true(events_take(&e, &got));
        assert_true(got.t > last || (got.t >= last && got.whom > last_whom));
        assert_int_equal(got.version, got.whom * 7u);
        assert_int_equal(got.what, 3);
        last = got.t;
        last_whom = got.whom;
    }
    assert_false(events_take(&e, &got));
    events_done(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_empty),
        cmocka_unit_test(in_order_of_time_and_of_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
