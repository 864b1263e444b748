/* Leases, which of them are busy, and what they count. */
#include "base/counters.h"
#include "uplink/added.h"
#include "uplink/uplink_lease.h"
#include "uplink/uplink_note.h"

#include <math.h>

/* Two uplinks whose meters are read on request. */
struct desk {
    struct uplink_set set;
    struct uplink *a, *b;
    int wakes;
};

static void on_wake(void *arg)
{
    ((struct desk *)arg)->wakes++;
}

static int setup(void **state)
{
    struct machine none = {.n_links = 0};
    struct desk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    d->set.pulse = (struct uplink_pulse){.wake = on_wake, .arg = d};
    d->a = add(&d->set, "eth0", &none);
    d->b = add(&d->set, "eth1", &none);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    assert_number(d->a->view.active, 0);
    assert_number(d->b->view.active, 0);
    assert_number(d->a->view.busy, 0);
    assert_number(d->b->view.busy, 0);
    uplink_set_done(&d->set);
    free(d);
    return 0;
}

/* Tick until it rests. @return the number of ticks */
static int ticks_to_rest(struct desk *d)
{
    int n = 1;
    for (; uplink_set_tick(&d->set, UPLINK_TICK_S); n++)
        assert_true(n < 1000);
    return n;
}

static void ticks(struct desk *d, int n)
{
    for (int i = 0; i < n; i++)
        uplink_set_tick(&d->set, UPLINK_TICK_S);
}

/* --- leases --------------------------------------------------------------------------------------------- */

static void test_lease(void **state)
{
    struct uplink u = {.view = {.weight = 1}}, v = {.view = {.weight = 1}}; /* not in a set: not metered */
    struct uplink_lease one = {.uplink = NULL}, two = {.uplink = NULL};
    uplink_release(&one); /* harmless */
    uplink_acquire(&one, &u);
    uplink_acquire(&two, &u);
    assert_number(u.view.active, 2);
    uplink_release(&one);
    uplink_release(&one);
    assert_number(u.view.active, 1);
    assert_null(one.uplink);
    uplink_acquire(&one, &v);
    assert_number(v.view.active, 1);
    uplink_release(&two);
    uplink_release(&one);
    assert_number(u.view.active, 0);
    assert_number(v.view.active, 0);
    assert_number(u.view.total, 0); /* a lease does not count as a connection yet */
    (void)state;
}

static void test_a_lease_moves(void **state)
{
    struct desk *d = *state;
    struct uplink_lease from = {.uplink = NULL}, to = {.uplink = NULL}, none = {.uplink = NULL};
    for (int busy = 0; busy < 2; busy++) {
        uplink_acquire(&from, d->a);
        if (!busy)
            ticks(d, UPLINK_BUSY_TICKS + 1);
        assert_number(d->a->view.busy, busy);
        uplink_lease_move(&to, &from);
        assert_null(from.uplink);
        uplink_release(&from); /* harmless */
        memset(&from, 0, sizeof from);
        assert_number(d->a->view.active, 1);
        assert_number(d->a->view.busy, busy);
        ticks(d, UPLINK_BUSY_TICKS + 1);
        assert_number(d->a->view.busy, 0);
        uplink_note_bytes(&to, 1, 0);
        assert_number(d->a->view.busy, 1);
        uplink_release(&to);
        assert_number(d->a->view.active, 0);
        assert_number(d->a->view.busy, 0);
    }
    uplink_lease_move(&to, &none);
    assert_null(to.uplink);
}

/* --- busy leases ---------------------------------------------------------------------------------------- */

static void test_busy_for_two_seconds(void **state)
{
    struct desk *d = *state;
    struct uplink_lease one = {.uplink = NULL}, two = {.uplink = NULL};
    uplink_acquire(&one, d->a);
    uplink_acquire(&two, d->a);
    assert_number(d->a->view.busy, 2); /* from the moment it is chosen */
    for (int i = 0; i < 40; i++) {
        uplink_note_bytes(&one, 0, 1);
        ticks(d, 1);
        assert_number(d->a->view.busy, i < UPLINK_BUSY_TICKS ? 2 : 1);
    }
    ticks(d, UPLINK_BUSY_TICKS - 1);
    assert_number(d->a->view.busy, 1);
    uplink_note_bytes(&two, 1, 0);
    assert_number(d->a->view.busy, 2);
    ticks(d, 2);
    assert_number(d->a->view.busy, 1);
    assert_number(d->b->view.busy, 0);
    uplink_note_bytes(&two, 0, 0); /* zero bytes do not count */
    ticks(d, UPLINK_BUSY_TICKS);
    assert_number(d->a->view.busy, 0);
    uplink_release(&one);
    uplink_release(&two);
}

static void test_the_pulse_rests_when_nothing_moves(void **state)
{
    struct desk *d = *state;
    struct uplink_lease one = {.uplink = NULL};
    uplink_acquire(&one, d->a);
    uplink_note_bytes(&one, 1000000, 1);
    assert_int_equal(d->wakes, 1); /* once, however many bytes move */
    int n = ticks_to_rest(d);
    assert_true(n > UPLINK_BUSY_TICKS && n < 80);
    assert_number(d->a->view.tx_rate, 0);
    assert_number(d->a->view.busy, 0);
    assert_number(d->a->view.active, 1); /* it is counted as live, but costs nothing */
    uplink_note_bytes(&one, 1, 0);
    assert_int_equal(d->wakes, 2);
    assert_number(d->a->view.busy, 1);
    uplink_release(&one);
    (void)ticks_to_rest(d);
}

/* A worker moves the bytes, and the main thread reads its counters. */
static void test_counters_are_read_until_they_rest(void **state)
{
    struct desk *d = *state;
    struct uplink_lease one = {.uplink = NULL};
    struct counters c = {.resting = false};
    counters_add(&c.rx, 5);
    uplink_acquire(&one, d->a);
    one.family = AF_INET6;
    uplink_lease_follow(&one, &c, 5);
    counters_add(&c.tx, 7);
    counters_add(&c.rx, 11);
    assert_false(counters_wakes(&c)); /* the tick reads them without a wake-up */
    ticks(d, 1);
    assert_number(d->a->view.tx_bytes, 7);
    assert_number(d->a->view.rx_bytes, 11);
    assert_number(d->a->six.received, 11);
    ticks(d, UPLINK_BUSY_TICKS + 1);
    assert_number(d->a->view.busy, 0);
    counters_add(&c.rx, 13);
    assert_true(counters_wakes(&c));
    assert_false(counters_wakes(&c)); /* once is enough */
    uplink_lease_collect(&one);
    assert_number(d->a->view.rx_bytes, 24);
    assert_number(d->a->view.busy, 1);
    counters_add(&c.tx, 1);
    uplink_lease_settle(&one);
    counters_add(&c.tx, 1);
    ticks(d, 1);
    assert_number(d->a->view.tx_bytes, 8);
    uplink_release(&one);
    (void)ticks_to_rest(d);
}

/* What the kernel still holds counts for quotas and not for rates; what leaves late does, too. */
static void test_rates_are_of_what_has_left(void **state)
{
    struct desk *d = *state;
    struct uplink_lease one = {.uplink = NULL};
    struct counters c = {.resting = false};
    uplink_acquire(&one, d->a);
    uplink_lease_follow(&one, &c, 0);
    counters_add(&c.tx, 4000000);
    for (uint64_t left = 25000; left <= 4000000 / 2; left += 25000) { /* 100,000 a second */
        counters_hold(&c, 4000000 - left);
        ticks(d, 1);
        assert_number(d->a->view.tx_bytes, 4000000);
        assert_number(d->a->view.busy, 1);
        assert_true(d->a->view.tx_rate < 100001);
    }
    assert_near(d->a->view.tx_rate, 100000, 1);
    assert_near(d->a->view.tx_capacity, 100000, 1);
    counters_hold(&c, 4000000); /* a look that is late: what was counted stays so */
    ticks(d, 1);
    assert_near(d->a->meters.left, 2000000, 1);
    counters_hold_none(&c);
    uplink_lease_settle(&one);
    assert_near(d->a->meters.left, 4000000, 1);
    uplink_release(&one);
    (void)ticks_to_rest(d);
    assert_number(d->a->view.tx_bytes, 4000000);
}

static void test_nobody_reads_the_meters(void **state)
{
    struct desk *d = *state;
    struct uplink_lease one = {.uplink = NULL};
    d->set.pulse.wake = NULL;
    uplink_acquire(&one, d->a);
    uplink_note_bytes(&one, 1, 1);
    assert_false(d->set.pulse.beats);
    uplink_release(&one);
}

/* --- what is counted ------------------------------------------------------------------------------------ */

static void test_bytes_become_rates_and_capacities(void **state)
{
    struct desk *d = *state;
    struct uplink_lease one = {.uplink = NULL};
    uplink_acquire(&one, d->b);
    for (int i = 0; i < 80; i++) {
        uplink_note_bytes(&one, 10000, 250000);
        assert_true(uplink_set_tick(&d->set, UPLINK_TICK_S));
    }
    assert_near(d->b->view.tx_rate, 40000, 1);
    assert_near(d->b->view.rx_rate, 1000000, 1);
    assert_near(d->b->view.tx_capacity, 40000, 1);
    assert_near(d->b->view.rx_capacity, 1000000, 1);
    assert_number(d->b->view.tx_bytes, 800000);
    assert_number(d->a->view.rx_rate, 0);
    assert_number(d->a->view.rx_capacity, 0);
    uplink_release(&one);
    (void)ticks_to_rest(d);
    assert_number(d->b->view.rx_rate, 0);
    assert_near(d->b->view.rx_capacity, 1000000, 1);
}

/* Bytes count even if their connections have ended before the tick. */
static void test_short_connections_in_a_row(void **state)
{
    struct desk *d = *state;
    for (int i = 0; i < 40; i++) {
        struct uplink_lease one = {.uplink = NULL};
        uplink_acquire(&one, d->a);
        uplink_note_bytes(&one, 0, 250000);
        uplink_release(&one);
        ticks(d, 1);
    }
    assert_near(d->a->view.rx_capacity, 1000000, 1);
    (void)ticks_to_rest(d);
}

static void test_meters(void **state)
{
    struct uplink u = {.view = {.weight = 1}};
    struct uplink_lease one = {.uplink = NULL};
    uplink_note_bytes(&one, 1, 1); /* harmless */
    uplink_acquire(&one, &u);
    uplink_note_bytes(&one, 10, 20);
    uplink_note_bytes(&one, (uint64_t)1 << 40, 1);
    uplink_release(&one);
    assert_number(u.view.tx_bytes, 10 + 0x1p40);
    assert_number(u.view.rx_bytes, 21);
    uplink_note_connected(&u, 0);
    assert_number(u.view.total, 1);
    assert_number(u.view.failures, 0);
    assert_number(u.view.fail_rate, 0);
    uplink_note_failed(&u);
    assert_number(u.view.total, 1);
    assert_number(u.view.failures, 1);
    assert_true(u.view.fail_rate > 0 && u.view.fail_rate < 0.5);
    for (int i = 0; i < 1000; i++)
        uplink_note_failed(&u);
    assert_true(u.view.fail_rate > 0.99 && u.view.fail_rate <= 1);
    double before = u.view.fail_rate;
    uplink_note_connected(&u, 0);
    assert_true(u.view.fail_rate < before);
    for (int i = 0; i < 1000; i++)
        uplink_note_connected(&u, 0);
    assert_true(u.view.fail_rate < 0.01 && u.view.fail_rate >= 0);
    assert_number(u.view.active, 0);
    (void)state;
}

static void test_the_time_to_connect_is_smoothed(void **state)
{
    struct uplink u = {.view = {.weight = 1}};
    assert_number(u.view.connect_time, 0);
    uplink_note_connected(&u, 0.04);
    assert_number(u.view.connect_time, 0.04); /* the first value is taken as it is */
    uplink_note_connected(&u, 0.12);
    assert_near(u.view.connect_time, 0.05, 1e-9);
    for (int i = 0; i < 100; i++)
        uplink_note_connected(&u, 0.2);
    assert_near(u.view.connect_time, 0.2, 1e-3);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease),
        cmocka_unit_test_setup_teardown(test_a_lease_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_busy_for_two_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_pulse_rests_when_nothing_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counters_are_read_until_they_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rates_are_of_what_has_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_reads_the_meters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_become_rates_and_capacities, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_connections_in_a_row, setup, teardown),
        cmocka_unit_test(test_meters),
        cmocka_unit_test(test_the_time_to_connect_is_smoothed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
