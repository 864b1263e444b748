/* Rate caps: what a connection may read, how long it waits, and how connections share a bucket. */
#include "relay/pace.h"

#include "support/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { N = 3 };

struct bench {
    struct ev_loop *loop;
    unsigned woke_up, woke_down;
    bool woke;
};

static void on_woke(void *arg, bool up)
{
    struct bench *b = arg;

    *(up ? &b->woke_up : &b->woke_down) += 1;
    b->woke = true;
}

static int setup(void **state)
{
    static struct bench b;

    b = (struct bench){.loop = ev_loop_new(EVFLAG_AUTO)};
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    ev_loop_destroy(b->loop);
    return 0;
}

static struct pace *paced(struct bench *b, struct cap *one, struct cap *other, uint64_t own)
{
    struct pace_caps caps = {.own = own};

    if (one)
        caps.shared[caps.n++] = one;
    if (other)
        caps.shared[caps.n++] = other;
    struct pace *p = pace_new(&caps, on_woke, b);
    if (p)
        pace_join(p, b->loop);
    return p;
}

static void no_caps_are_no_pace(void **state)
{
    assert_null(paced(*state, NULL, NULL, 0));
    assert_false(pace_waits(NULL, true) || pace_waits(NULL, false));
    pace_free(NULL);
}

static void reads_are_small_beside_the_rate(void **state)
{
    static const struct {
        uint64_t one, other, own;
        size_t most;
    } rows[] = {
        {1000, 0, 0, 1460},    {640000, 0, 0, 10000},     {100000000, 0, 0, 65536},
        {0, 0, 128000, 2000},  {640000, 320000, 0, 5000}, {320000, 640000, 0, 5000},
        {0, 640000, 0, 10000}, {640000, 0, 320000, 5000},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct cap one = {.up = {.rate = 0}}, other = {.up = {.rate = 0}};
        cap_set(&one, rows[i].one);
        cap_set(&other, rows[i].other);
        struct pace *p = paced(*state, &one, &other, rows[i].own);
        assert_int_equal(pace_most(p), rows[i].most);
        pace_free(p);
    }
}

static void each_direction_waits_for_itself(void **state)
{
    struct bench *b = *state;
    struct cap cap = {.up = {.rate = 0}};

    cap_set(&cap, 1000 * 1000); /* with a burst of 250,000 */
    struct pace *p = paced(b, &cap, NULL, 0);
    pace_note(p, true, 200000);
    assert_false(pace_waits(p, true) || pace_waits(p, false));
    pace_note(p, true, 200000); /* 150,000 too many: 0.15 s */
    assert_true(pace_waits(p, true) && !pace_waits(p, false));
    pace_note(p, false, 200000);
    assert_false(pace_waits(p, false));
    run_until(b->loop, &b->woke);
    assert_false(pace_waits(p, true));
    assert_int_equal(b->woke_up, 1);
    assert_int_equal(b->woke_down, 0);
    pace_free(p);
}

static void the_slowest_cap_counts(void **state)
{
    struct bench *b = *state;
    struct cap fast = {.up = {.rate = 0}}, slow = {.up = {.rate = 0}};

    cap_set(&fast, 1000ull * 1000 * 1000);
    cap_set(&slow, 100 * 1000);
    struct pace *p = paced(b, &fast, &slow, 0), *q = paced(b, &fast, NULL, 0),
                *own = paced(b, NULL, NULL, 1000);
    pace_note(p, false, 65536);
    assert_true(pace_waits(p, false));
    pace_note(q, false, 65536);
    assert_false(pace_waits(q, false));
    pace_note(own, true, 65536);
    assert_true(pace_waits(own, true));
    pace_leave(p); /* it joins another loop */
    assert_false(pace_waits(p, false));
    pace_free(p);
    pace_free(q);
    pace_free(own);
}

static void a_cap_that_is_removed_holds_no_more(void **state)
{
    struct bench *b = *state;
    struct cap cap = {.up = {.rate = 0}};

    cap_set(&cap, 10000);
    struct pace *p = paced(b, &cap, NULL, 0);
    cap_set(&cap, 0);
    for (int i = 0; i < 100; i++)
        pace_note(p, true, 65536);
    assert_false(pace_waits(p, true));
    assert_int_equal(pace_most(p), 65536);
    pace_free(p);
}

/* --- shares --- */

struct readers {
    struct pace *paces[N];
    uint64_t read[N];
    double until_s;
    bool over;
};

/* Each reads once if it may, as sockets do that are readable all the time. */
static void on_turn(struct ev_loop *loop, ev_timer *w, int events)
{
    struct readers *r = w->data;

    (void)events;
    for (size_t i = 0; i < N; i++) {
        if (pace_waits(r->paces[i], false))
            continue;
        r->read[i] += pace_most(r->paces[i]);
        pace_note(r->paces[i], false, pace_most(r->paces[i]));
    }
    r->over = ev_now(loop) >= r->until_s;
}

static void connections_of_one_bucket_have_equal_shares(void **state)
{
    struct bench *b = *state;
    struct cap cap = {.up = {.rate = 0}};
    struct readers r = {.until_s = ev_now(b->loop) + 2};
    uint64_t sum = 0, least = UINT64_MAX, most = 0;
    ev_timer turn;

    cap_set(&cap, 2 * 1000 * 1000);
    ev_timer_init(&turn, on_turn, 0., 0.001);
    turn.data = &r;
    for (size_t i = 0; i < N; i++)
        r.paces[i] = paced(b, &cap, NULL, 0);
    ev_timer_start(b->loop, &turn);
    run_until(b->loop, &r.over);
    ev_timer_stop(b->loop, &turn);
    double took_s = 2 + ev_now(b->loop) - r.until_s;
    for (size_t i = 0; i < N; i++) {
        sum += r.read[i];
        least = r.read[i] < least ? r.read[i] : least;
        most = r.read[i] > most ? r.read[i] : most;
        pace_free(r.paces[i]);
    }
    /* With the burst, and one read of each on credit; never more, however slow this machine is. */
    assert_true((double)sum < took_s * 2e6 + 500e3 + 3 * 31250);
    assert_true(sum > 2000000 && most - least < most / 4);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_cap_that_is_removed_holds_no_more), ONE(connections_of_one_bucket_have_equal_shares),
        ONE(each_direction_waits_for_itself),     ONE(no_caps_are_no_pace),
        ONE(reads_are_small_beside_the_rate),     ONE(the_slowest_cap_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
