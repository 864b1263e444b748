/* Walks through open accounts, of which some end, and others begin, while a walk rests. */
#include "outbound/live.h"
#include "outbound/outbound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 5 };

static struct live live;
static struct outbound items[N + 1];

static int setup(void **state)
{
    (void)state;
    live = (struct live){.last_id = 0};
    for (size_t i = 0; i < N; i++) {
        items[i].id = i + 1;
        live_add(&live, &items[i]);
    }
    items[N].id = N + 1;
    return 0;
}

static void assert_next(struct live_walk *w, uint64_t id)
{
    const struct outbound *o = live_walk_next(w);

    assert_int_equal(o ? o->id : 0, id);
}

static void a_walk_meets_each_in_the_order_of_their_beginning(void **state)
{
    struct live_walk w;

    (void)state;
    live_walk_begin(&w, &live);
    for (uint64_t id = 1; id <= N; id++)
        assert_next(&w, id);
    assert_next(&w, 0);
    assert_next(&w, 0);
    assert_true(list_is_empty(&live.walks));
    live_walk_end(&w); /* harmless */
}

static void nothing_to_meet(void **state)
{
    struct live none = {.last_id = 0};
    struct live_walk w, never = {.live = NULL};

    (void)state;
    live_walk_begin(&w, &none);
    assert_next(&w, 0);
    live_walk_end(&never);
    assert_next(&never, 0);
}

/* For each place where a walk rests, and each set of accounts that end there. */
static void those_that_end_while_it_rests_are_not_met(void **state)
{
    for (uint64_t met = 0; met <= N; met++) {
        for (unsigned ends = 0; ends < 1u << N; ends++) {
            struct live_walk w, other;
            (void)setup(state);
            live_walk_begin(&w, &live);
            live_walk_begin(&other, &live);
            for (uint64_t id = 1; id <= met; id++)
                assert_next(&w, id);
            for (size_t i = 0; i < N; i++)
                if (ends & (1u << i))
                    live_remove(&live, &items[i]);
            for (uint64_t id = 1; id <= N; id++) {
                if (ends & (1u << (id - 1)))
                    continue;
                assert_next(&other, id);
                if (id > met)
                    assert_next(&w, id);
            }
            assert_next(&w, 0);
            assert_next(&other, 0);
        }
    }
}

static void those_that_begin_later_are_left_out(void **state)
{
    struct live_walk w;

    (void)state;
    live_walk_begin(&w, &live);
    assert_next(&w, 1);
    live_add(&live, &items[N]);
    for (uint64_t id = 2; id <= N; id++)
        assert_next(&w, id);
    assert_next(&w, 0);
    assert_true(list_is_empty(&live.walks));
}

static void a_walk_may_end_early(void **state)
{
    struct live_walk w;

    (void)state;
    live_walk_begin(&w, &live);
    assert_next(&w, 1);
    live_walk_end(&w);
    assert_next(&w, 0);
    live_remove(&live, &items[1]);
    assert_true(list_is_empty(&live.walks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_walk_meets_each_in_the_order_of_their_beginning, setup),
        cmocka_unit_test(nothing_to_meet),
        cmocka_unit_test(those_that_end_while_it_rests_are_not_met),
        cmocka_unit_test_setup(those_that_begin_later_are_left_out, setup),
        cmocka_unit_test_setup(a_walk_may_end_early, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
