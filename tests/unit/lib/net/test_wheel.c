/* Deadlines on one wheel: in order, never early, at most a tick late; cancelled or moved at any time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "net/wheel.h"

#include <math.h>

enum { MANY = 200 };
static const double TICK_S = 1. / WHEEL_TICKS_A_S;
/* A shared machine may suspend a process for a while. */
static const double PATIENCE_S = 60;

struct item {
    struct wheel_entry entry;
    double due_s, rang_s;
    int rang, again;
    struct item *cancels;
};

static struct item items[MANY];
static struct wheel wheel;
static int n_rang;

static void rang(struct wheel *w, struct wheel_entry *e)
{
    struct item *i = container_of(e, struct item, entry);

    assert_ptr_equal(w, &wheel);
    assert_false(wheel_is_set(e));
    i->rang++;
    i->rang_s = clock_now_s();
    n_rang++;
    if (i->again-- > 0)
        wheel_set(w, e, 0);
    if (i->cancels)
        wheel_cancel(&i->cancels->entry);
}

static void setup(void)
{
    for (size_t i = 0; i < MANY; i++)
        items[i] = (struct item){.rang = 0};
    n_rang = 0;
    wheel_init(&wheel, ev_loop_new(EVFLAG_AUTO), rang);
}

static void teardown(void)
{
    wheel_done(&wheel);
    assert_int_equal(ev_pending_count(wheel.loop), 0);
    ev_loop_destroy(wheel.loop);
}

static void set(struct item *i, double after_s)
{
    i->due_s = clock_now_s() + after_s;
    wheel_set(&wheel, &i->entry, after_s);
}

static void run_until(int n)
{
    double end = clock_now_s() + PATIENCE_S;
    while (n_rang < n) {
        ev_run(wheel.loop, EVRUN_ONCE);
        assert_true(clock_now_s() < end);
    }
}

static void none_is_early_and_all_come(void **state)
{

    (void)state;
    setup();
    for (size_t i = 0; i < MANY; i++)
        set(&items[i], (double)(i * 37 % MANY) / MANY * 0.8);
    run_until(MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(items[i].rang, 1);
        assert_true(items[i].rang_s >= items[i].due_s);
    }
    assert_false(ev_is_active(&wheel.timer)); /* rest costs nothing */
    teardown();
}

/* The promised tick, when the process is not suspended: the best of several tries must keep it. */
static void they_are_late_by_a_tick_at_most(void **state)
{
    double least = INFINITY;

    (void)state;
    setup();
    for (size_t i = 0; i < 10; i++) {
        set(&items[i], 0.03 * (double)(i + 1));
        assert_true(wheel_left_s(&items[i].entry) >= 0.03 * (double)(i + 1) - 0.001);
        assert_true(wheel_left_s(&items[i].entry) <= 0.03 * (double)(i + 1) + TICK_S + 0.001);
    }
    run_until(10);
    for (size_t i = 0; i < 10; i++)
        least = fmin(least, items[i].rang_s - items[i].due_s);
    assert_true(least <= TICK_S + 0.01);
    teardown();
}

/* Deadlines a whole turn apart share a slot, but not their time. */
static void a_turn_later_is_not_now(void **state)
{
    (void)state;
    setup();
    set(&items[0], 0.1);
    set(&items[1], 0.1 + (double)WHEEL_SLOTS / WHEEL_TICKS_A_S);
    set(&items[2], 0.1 + 3e6);
    run_until(1);
    for (int i = 0; i < 5; i++)
        ev_run(wheel.loop, EVRUN_NOWAIT);
    assert_int_equal(items[0].rang, 1);
    assert_int_equal(items[1].rang + items[2].rang, 0);
    assert_true(wheel_left_s(&items[1].entry) > 10);
    assert_true(wheel_left_s(&items[2].entry) > 2.9e6);
    assert_true(ev_is_active(&wheel.timer));
    teardown();
}

static void an_earlier_one_is_not_kept_waiting(void **state)
{
    (void)state;
    setup();
    set(&items[0], 15);
    set(&items[1], 0.05);
    set(&items[2], 10);
    run_until(1);
    assert_int_equal(items[1].rang, 1);
    teardown();
}

static void cancelled_and_moved_ones_do_not_ring(void **state)
{
    (void)state;
    setup();
    set(&items[0], 0.05);
    set(&items[1], 0.05);
    set(&items[2], 0.2);
    wheel_cancel(&items[0].entry);
    wheel_cancel(&items[0].entry);
    wheel_cancel(&items[3].entry);
    set(&items[1], 15);
    run_until(1);
    assert_int_equal(items[2].rang, 1);
    assert_int_equal(items[0].rang + items[1].rang, 0);
    teardown();
}

static void what_rings_may_cancel_and_set(void **state)
{
    (void)state;
    setup();
    for (size_t i = 0; i < 4; i++)
        set(&items[i], 0.01);
    items[0].cancels = &items[2];
    items[1].again = 3;
    run_until(6);
    assert_int_equal(items[0].rang, 1);
    assert_int_equal(items[1].rang, 4);
    assert_int_equal(items[2].rang, 0);
    assert_int_equal(items[3].rang, 1);
    teardown();
}

/* After a rest, and after a stall longer than a turn, no deadline is skipped. */
static void rests_and_stalls_lose_none(void **state)
{
    (void)state;
    setup();
    set(&items[0], 0.01);
    run_until(1);
    wheel.done -= 5 * WHEEL_SLOTS + 7; /* like a long rest */
    set(&items[1], 0.05);
    set(&items[2], 0.3);
    run_until(3);
    assert_true(items[2].rang_s >= items[2].due_s);
    set(&items[3], 5);
    items[3].entry.due -= 10 * WHEEL_TICKS_A_S; /* as if the process had slept through it */
    wheel.done -= 12 * WHEEL_TICKS_A_S;
    set(&items[4], 0.01);
    run_until(5);
    assert_int_equal(items[3].rang, 1);
    teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_early_and_all_come),
        cmocka_unit_test(they_are_late_by_a_tick_at_most),
        cmocka_unit_test(a_turn_later_is_not_now),
        cmocka_unit_test(an_earlier_one_is_not_kept_waiting),
        cmocka_unit_test(cancelled_and_moved_ones_do_not_ring),
        cmocka_unit_test(what_rings_may_cancel_and_set),
        cmocka_unit_test(rests_and_stalls_lose_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
