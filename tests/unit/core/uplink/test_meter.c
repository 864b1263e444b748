/* Rates and capacities from bytes and seconds. */
#include "uplink/meter.h"

#include "uplink/machines.h"

#include <math.h>

static const double TICK_S = 0.25;
static const double FAST = 100e6 / 8, SLOW = 5e6 / 8; /* bytes/s */

/* A constant flow for a while. */
static void flow(struct meter *m, double rate, double s)
{
    for (double t = 0; t < s; t += TICK_S)
        meter_tick(m, rate * TICK_S, TICK_S, true);
}

static void silence(struct meter *m, double s, bool busy)
{
    for (double t = 0; t < s; t += TICK_S)
        meter_tick(m, 0, TICK_S, busy);
}

/* --- rates ---------------------------------------------------------------------------------------------- */

static void rates_converge(void **state)
{
    struct meter m = {.rate = 0};
    (void)state;
    flow(&m, FAST, 1);
    assert_near(m.rate, FAST * (1 - exp(-1)), 1); /* a second is the time constant */
    flow(&m, FAST, 9);
    assert_near(m.rate, FAST, FAST * 1e-4);
    flow(&m, SLOW, 10);
    assert_near(m.rate, SLOW, FAST * 1e-4);
}

static void the_length_of_ticks_does_not_matter(void **state)
{
    struct meter even = {.rate = 0}, uneven = {.rate = 0};
    (void)state;
    flow(&even, FAST, 3);
    for (int i = 0; i < 3; i++) {
        meter_tick(&uneven, FAST * 0.1, 0.1, true);
        meter_tick(&uneven, FAST * 0.9, 0.9, true);
    }
    assert_near(uneven.rate, even.rate, 1);
    assert_near(uneven.capacity, even.capacity, 1);
}

static void a_rate_fades_to_nothing(void **state)
{
    struct meter m = {.rate = 0};
    (void)state;
    assert_true(meter_rests(&m));
    flow(&m, FAST, 5);
    silence(&m, 2, true);
    assert_near(m.rate, FAST * exp(-2), FAST * 0.01);
    assert_false(meter_rests(&m));
    silence(&m, 2, false);
    assert_false(meter_rests(&m));
    silence(&m, 12, false);
    assert_number(m.rate, 0);
    assert_true(meter_rests(&m));
}

/* --- capacities ----------------------------------------------------------------------------------------- */

static void a_full_line_is_learned_in_time(void **state)
{
    struct meter m = {.rate = 0};
    (void)state;
    silence(&m, 0.5, true); /* it begins in the middle of a second */
    assert_number(m.capacity, 0);
    for (double rate = FAST / 64; rate < FAST; rate *= 2) /* as TCP does */
        flow(&m, rate, TICK_S);
    flow(&m, FAST, 5 - 6 * TICK_S);
    assert_near(m.capacity, FAST, FAST * 0.05);
}

/* As when TCP backs off and recovers, and lost packets hold up those behind them. */
static void uneven_ticks_of_a_full_line(void **state)
{
    static const double shares[] = {1, 0.4, 1.6, 1, 1.2, 0.8, 0.9, 1.1};
    struct meter m = {.rate = 0};
    (void)state;
    for (int i = 0; i < 40; i++)
        meter_tick(&m, FAST * shares[i % 8] * TICK_S, TICK_S, true);
    assert_near(m.capacity, FAST, FAST * 0.05);
}

static void two_full_seconds_are_not_enough(void **state)
{
    struct meter m = {.rate = 0};
    (void)state;
    for (int i = 0; i < 100; i++) {
        flow(&m, FAST, 2);
        flow(&m, SLOW, 1);
    }
    assert_number(m.capacity, 0);
}

static void a_small_flow_teaches_no_more_than_it_carries(void **state)
{
    struct meter fresh = {.rate = 0}, known = {.capacity = FAST};
    (void)state;
    flow(&fresh, SLOW, 600);
    assert_near(fresh.capacity, SLOW, SLOW * 1e-6);
    flow(&known, SLOW, 600);
    assert_true(known.capacity <= FAST);
    assert_true(known.capacity > FAST * 0.85); /* ten minutes of a film hardly change it */
}

static void a_call_teaches_nothing(void **state)
{
    struct meter fresh = {.rate = 0}, known = {.capacity = FAST};
    (void)state;
    flow(&fresh, 12000, 3600);
    assert_number(fresh.capacity, 0);
    flow(&known, 12000, 3600);
    assert_number(known.capacity, FAST);
}

static void bursts_teach_nothing(void **state)
{
    struct meter fresh = {.rate = 0}, known = {.rate = 0};
    (void)state;
    for (int i = 0; i < 100; i++) { /* pages: half a second at full speed, and reading */
        flow(&fresh, FAST, 0.5);
        silence(&fresh, 4.5, true);
    }
    assert_number(fresh.capacity, 0);

    flow(&known, SLOW, 10);
    for (int i = 0; i < 100; i++) { /* a buffer is emptied at the speed of memory, during a download */
        meter_tick(&known, 6e6, TICK_S, true);
        flow(&known, SLOW, 2 + 0.25 * (i % 8));
    }
    assert_near(known.capacity, SLOW, SLOW * 0.01);
}

/* Longer bursts too: only a rate that holds for three seconds counts, and of these the lowest. */
static void a_burst_over_two_seconds_is_bounded(void **state)
{
    struct meter m = {.rate = 0};
    (void)state;
    flow(&m, SLOW, 10);
    flow(&m, SLOW * 1.2, 1.75);
    flow(&m, SLOW, 10);
    assert_near(m.capacity, SLOW, SLOW * 0.01);
}

static void idleness_forgets_nothing(void **state)
{
    struct meter m = {.rate = 0};
    (void)state;
    flow(&m, FAST, 10);
    double learned = m.capacity;
    silence(&m, 24 * 3600, false);
    assert_number(m.capacity, learned);
    silence(&m, 24 * 3600, true);
    assert_number(m.capacity, learned);
}

static void light_use_forgets_nothing(void **state)
{
    struct meter m = {.rate = 0};
    (void)state;
    flow(&m, FAST, 10);
    double learned = m.capacity;
    for (int i = 0; i < 5000; i++) {
        flow(&m, SLOW, 1 + (i % 4) * 0.5);
        silence(&m, 2, true);
    }
    assert_number(m.capacity, learned);
}

static void a_line_that_became_slow_is_found_out_in_hours(void **state)
{
    struct meter m = {.capacity = FAST};
    (void)state;
    flow(&m, SLOW, 3600);
    assert_near(m.capacity, FAST / 2, FAST * 0.01); /* the half-life */
    flow(&m, SLOW, 6 * 3600);
    assert_near(m.capacity, SLOW, SLOW * 1e-6); /* and not below the rate that it carries */
    flow(&m, FAST, 5);
    assert_near(m.capacity, FAST, FAST * 0.05);
}

/* A connection must be busy in each of the seconds. */
static void a_plateau_ends_with_its_last_connection(void **state)
{
    struct meter m = {.rate = 0};
    (void)state;
    for (int i = 0; i < 100; i++) {
        flow(&m, FAST, 2.75);
        meter_tick(&m, FAST * TICK_S, TICK_S, false);
    }
    assert_number(m.capacity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_converge),
        cmocka_unit_test(the_length_of_ticks_does_not_matter),
        cmocka_unit_test(a_rate_fades_to_nothing),
        cmocka_unit_test(a_full_line_is_learned_in_time),
        cmocka_unit_test(uneven_ticks_of_a_full_line),
        cmocka_unit_test(two_full_seconds_are_not_enough),
        cmocka_unit_test(a_small_flow_teaches_no_more_than_it_carries),
        cmocka_unit_test(a_call_teaches_nothing),
        cmocka_unit_test(bursts_teach_nothing),
        cmocka_unit_test(a_burst_over_two_seconds_is_bounded),
        cmocka_unit_test(idleness_forgets_nothing),
        cmocka_unit_test(light_use_forgets_nothing),
        cmocka_unit_test(a_line_that_became_slow_is_found_out_in_hours),
        cmocka_unit_test(a_plateau_ends_with_its_last_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
