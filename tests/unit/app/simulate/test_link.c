/* A link's fair sharing, against hand-made cases and against a naive model that visits every flow. */
#include "simulate/link.h"

#include "base/compiler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_near(double expected, double got)
{
    if (fabs(expected - got) > 1e-6 * fmax(1, fabs(expected)))
        fail_msg("expected %.9f, got %.9f", expected, got);
}

/* Let the next flow end. @return its number; *at is the time */
static uint32_t next_done(struct link *l, double *at)
{
    uint32_t flow;

    *at = link_next(l);
    assert_true(link_take_done(l, *at, &flow));
    return flow;
}

static void a_single_flow_has_the_whole_capacity(void **state)
{
    struct link l;
    double at;
    (void)state;
    link_init(&l, 1000);
    assert_true(isinf(link_next(&l)));
    assert_int_equal(link_begin(&l, 5, 7, 2000), 0);
    assert_near(7, link_next(&l));
    assert_int_equal(next_done(&l, &at), 7);
    assert_near(2000, l.carried);
    link_advance(&l, 100);
    assert_near(2000, l.carried);
    link_done(&l);
}

/* 1000 bytes/s: A of 1000 from 0 on, B of 3000 from 0.5 on. A has 500 left then, at 500/s: done at 1.5. B
 * has 2500 left then, alone: done at 4. */
static void two_share_evenly(void **state)
{
    struct link l;
    double at;
    (void)state;
    link_init(&l, 1000);
    assert_int_equal(link_begin(&l, 0, 1, 1000), 0);
    assert_int_equal(link_begin(&l, 0.5, 2, 3000), 0);
    assert_int_equal(next_done(&l, &at), 1);
    assert_near(1.5, at);
    assert_int_equal(next_done(&l, &at), 2);
    assert_near(4, at);
    assert_near(4000, l.carried);
    link_done(&l);
}

static void an_empty_flow_is_done_at_once(void **state)
{
    struct link l;
    double at;
    (void)state;
    link_init(&l, 1000);
    assert_int_equal(link_begin(&l, 3, 1, 0), 0);
    assert_int_equal(next_done(&l, &at), 1);
    assert_near(3, at);
    link_done(&l);
}

static void an_outage_removes_the_flows(void **state)
{
    struct link l;
    uint32_t flow;
    (void)state;
    link_init(&l, 1000);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(link_begin(&l, 0, i, 1000 * (double)(5 - i)), 0);
    unsigned seen = 0;
    while (link_break_one(&l, 1, &flow))
        seen |= 1u << flow;
    assert_int_equal(seen, 31);
    assert_near(1000, l.carried);
    assert_true(isinf(link_next(&l)));
    link_done(&l);
}

static void the_version_shows_an_event_for_another_state(void **state)
{
    struct link l;
    uint32_t flow;
    (void)state;
    link_init(&l, 1000);
    assert_int_equal(link_begin(&l, 0, 1, 1000), 0);
    uint64_t version = l.version;
    assert_int_equal(link_begin(&l, 0.1, 2, 1000), 0);
    assert_true(l.version != version);
    assert_false(link_take_done(&l, 1, &flow)); /* it is not done any more */
    link_done(&l);
}

/* The naive model visits every flow at each step. */
static void results_equal_those_of_a_naive_model(void **state)
{
    enum { FLOWS = 300 };
    double left[FLOWS], begin[FLOWS], done[FLOWS];
    struct link l;
    uint32_t seed = 12345, flow;
    (void)state;
    link_init(&l, 5e4);
    for (int i = 0; i < FLOWS; i++) {
        seed = seed * 1664525 + 1013904223;
        begin[i] = (i ? begin[i - 1] : 0) + (seed >> 16) % 1000 / 2000.0;
        seed = seed * 1664525 + 1013904223;
        left[i] = 1 + (seed >> 12) % 60000;
        done[i] = -1;
    }
    double sizes[FLOWS];
    for (int i = 0; i < FLOWS; i++)
        sizes[i] = left[i];
    /* The naive model. */
    double now = 0;
    for (int ended = 0, next = 0; ended < FLOWS;) {
        int n = 0, first = -1;
        for (int i = 0; i < next; i++)
            if (done[i] < 0) {
                n++;
                if (first < 0 || left[i] < left[first])
                    first = i;
            }
        double end = n ? now + left[first] * n / 5e4 : INFINITY;
        double until = next < FLOWS && begin[next] < end ? begin[next] : end;
        for (int i = 0; i < next; i++)
            if (done[i] < 0)
                left[i] -= (until - now) * 5e4 / n;
        now = until;
        if (next < FLOWS && begin[next] <= until) {
            next++;
        } else {
            done[first] = now;
            ended++;
        }
    }
    /* The link. */
    for (int i = 0, ended = 0; ended < FLOWS;) {
        double at = link_next(&l);
        if (i < FLOWS && begin[i] <= at) {
            assert_int_equal(link_begin(&l, begin[i], (uint32_t)i, sizes[i]), 0);
            i++;
            continue;
        }
        assert_true(link_take_done(&l, at, &flow));
        if (fabs(done[flow] - at) > 1e-4)
            fail_msg("flow %u: done at %.6f, expected %.6f", flow, at, done[flow]);
        ended++;
    }
    link_done(&l);
}

static void it_keeps_an_account_of_time(void **state)
{
    struct link l;
    double at, sum = 0;
    (void)state;
    link_init(&l, 1000);
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(link_begin(&l, i * 2.0, i, 1000), 0);
        assert_int_equal(next_done(&l, &at), i);
    }
    for (size_t i = 0; i < LINK_BINS; i++) {
        assert_true(l.bins[i] <= l.bin_s * 1000 * 1.000001);
        sum += l.bins[i];
    }
    assert_near(300000, sum);
    assert_near(l.carried, sum);
    assert_true(l.bin_s * LINK_BINS >= 599);
    /* Half of every two seconds, and so of every long interval. */
    assert_true(fabs(link_carried(&l, 100, 500) - 200000) < 1000);
    link_done(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_flow_has_the_whole_capacity),
        cmocka_unit_test(two_share_evenly),
        cmocka_unit_test(an_empty_flow_is_done_at_once),
        cmocka_unit_test(an_outage_removes_the_flows),
        cmocka_unit_test(the_version_shows_an_event_for_another_state),
        cmocka_unit_test(results_equal_those_of_a_naive_model),
        cmocka_unit_test(it_keeps_an_account_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
