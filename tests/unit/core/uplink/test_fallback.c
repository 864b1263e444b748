#include "uplink/fallback.h"
#include "uplink/uplink.h"

#include "uplink/machines.h"

#include <math.h>

enum { MANY = UPLINK_MAX };

/* Uplinks with ids 1.. as in a set, and counts of their picks. */
struct bench {
    struct fallback f;
    struct uplink uplinks[MANY];
    struct uplink *all[MANY];
    size_t n;
    int picked[MANY];
};

static void bench_init(struct bench *b, const double weights[], size_t n)
{
    *b = (struct bench){.n = n};
    for (size_t i = 0; i < n; i++) {
        b->uplinks[i].view = (struct uplink_view){.weight = weights[i], .id = (int32_t)i + 1, .up = true};
        b->all[i] = &b->uplinks[i];
    }
}

static size_t pick_of(struct bench *b, struct uplink *const *candidates, size_t n)
{
    struct uplink *u = fallback_pick(&b->f, candidates, n);
    for (size_t i = 0; i < n; i++) {
        if (candidates[i] == u) {
            b->picked[u->view.id - 1]++;
            return (size_t)u->view.id - 1;
        }
    }
    fail_msg("picked one that is no candidate");
    return 0;
}

static size_t pick(struct bench *b)
{
    return pick_of(b, b->all, b->n);
}

static void test_only_one(void **state)
{
    struct bench b;
    bench_init(&b, (const double[]){1}, 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(pick(&b), 0);
    b.uplinks[0].view.active = 1000;
    assert_int_equal(pick(&b), 0);
    (void)state;
}

static void test_fewest_connections_by_weight(void **state)
{
    struct bench b;
    bench_init(&b, (const double[]){7, 3, 1}, 3);
    b.uplinks[0].view.active = 14; /* 2 */
    b.uplinks[1].view.active = 5;  /* 1.67 */
    b.uplinks[2].view.active = 2;  /* 2 */
    for (int i = 0; i < 5; i++)
        assert_int_equal(pick(&b), 1);
    b.uplinks[1].view.active = 6.1;
    b.uplinks[2].view.active = 1;
    assert_int_equal(pick(&b), 2);
    b.uplinks[2].view.active = 2;
    b.uplinks[0].view.active = 13;
    assert_int_equal(pick(&b), 0);
    (void)state;
}

/* Connections that stay open end up in proportion to the weights. */
static void test_held_connections_follow_the_weights(void **state)
{
    struct bench b;
    bench_init(&b, (const double[]){7, 3}, 2);
    for (int i = 0; i < 1000; i++)
        b.uplinks[pick(&b)].view.active++;
    assert_near(b.uplinks[0].view.active, 700, 1);
    assert_near(b.uplinks[1].view.active, 300, 1);
    (void)state;
}

/* One connection after another, none open: exactly 7 to 3 in each ten, and well mixed. */
static void test_one_after_another(void **state)
{
    struct bench b;
    bench_init(&b, (const double[]){7, 3}, 2);
    for (int round = 0; round < 100; round++) {
        int in_a_row = 0;
        for (int i = 0; i < 10; i++) {
            in_a_row = pick(&b) == 0 ? in_a_row + 1 : 0;
            assert_true(in_a_row <= 4);
        }
        assert_int_equal(b.picked[0], 7 * (round + 1));
        assert_int_equal(b.picked[1], 3 * (round + 1));
    }
    (void)state;
}

/* The same with open connections, as long as the loads are equal. */
static void test_level_loads(void **state)
{
    static const double scales[] = {1, 3, 0.1, 0.7, 1e5, 1e-6};
    for (size_t i = 0; i < ARRAY_LEN(scales); i++) {
        struct bench b;
        bench_init(&b, (const double[]){7 * scales[i], 3 * scales[i]}, 2);
        b.uplinks[0].view.active = 70;
        b.uplinks[1].view.active = 30;
        for (int k = 0; k < 100; k++)
            (void)pick(&b);
        assert_int_equal(b.picked[0], 70);
        assert_int_equal(b.picked[1], 30);
    }
    (void)state;
}

/* Some weights let a credit grow beyond their sum in between (here the first ones, by half). Cutting it
 * there would change the shares. */
static void test_whole_rounds_are_exact(void **state)
{
    uint32_t seed = 1;
    for (int round = 0; round < 300; round++) {
        double weights[MANY];
        struct bench b;
        int sum = 0;
        size_t n = round == 0 ? 16 : 2 + (size_t)round % (MANY - 1);
        for (size_t i = 0; i < n; i++) {
            seed =
                seed * 1664525u + 1013904223u; /* Numerical Recipes' generator: the same numbers each time */
            weights[i] = i < n / 2 ? 1 : 1 << (seed >> 24) % 10;
            sum += (int)weights[i];
        }
        bench_init(&b, weights, n);
        for (int i = 0; i < sum; i++)
            (void)pick(&b);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(b.picked[i], (int)weights[i]);
            assert_number(b.f.credit[i], 0);
        }
    }
    (void)state;
}

/* A pick from one uplink does not change the turns of the others. */
static void test_lone_pick_takes_no_turn(void **state)
{
    struct bench b;
    bench_init(&b, (const double[]){9, 1}, 2);
    for (int i = 0; i < 100; i++) {
        (void)pick(&b);
        struct fallback before = b.f;
        (void)pick_of(&b, &b.all[i % 2], 1);
        assert_memory_equal(&before, &b.f, sizeof before);
    }
    assert_int_equal(b.picked[0], 90 + 50);
    assert_int_equal(b.picked[1], 10 + 50);
    (void)state;
}

/* Beside a heavy uplink, a light one gathers credit that would be thousands of turns among light ones. */
static void test_heavy_company_is_forgotten(void **state)
{
    for (int lead = 1; lead < 3000; lead += 7) {
        struct bench b;
        bench_init(&b, (const double[]){3000, 1, 1}, 3);
        for (int i = 0; i < lead; i++)
            (void)pick_of(&b, b.all, 2);
        memset(b.picked, 0, sizeof b.picked);
        for (int i = 0; i < 20; i++)
            (void)pick_of(&b, b.all + 1, 2);
        assert_true(b.picked[1] >= 6 && b.picked[2] >= 6);
    }
    (void)state;
}

/* A debt from turns among heavy uplinks does not exclude it among light ones either. */
static void test_debts_are_forgotten(void **state)
{
    struct bench b;
    bench_init(&b, (const double[]){1, 3000, 1}, 3);
    b.f.credit[0] = -2999;
    for (int i = 0; i < 4; i++)
        (void)pick_of(&b, (struct uplink *const[]){b.all[0], b.all[2]}, 2);
    assert_true(b.picked[0] >= 1 && b.picked[2] >= 1);
    (void)state;
}

/* Candidates come and go in any order: credits stay within bounds, and each uplink is chosen sometimes. */
static void test_changing_candidates(void **state)
{
    static const double weights[] = {1, 1, 7, 3, 100, 0.5, 20, 1};
    enum { N = ARRAY_LEN(weights), ROUNDS = 200000 };
    struct bench b;
    uint32_t seed = 7;
    double sum = 0;
    int waited[N] = {0};
    bench_init(&b, weights, N);
    for (size_t i = 0; i < N; i++)
        sum += weights[i];
    for (int round = 0; round < ROUNDS; round++) {
        struct uplink *some[N];
        size_t n = 0;
        seed = seed * 1664525u + 1013904223u;
        for (size_t i = 0; i < N; i++) {
            if (seed >> (24 + i) & 1)
                some[n++] = b.all[i];
        }
        if (n == 0)
            continue;
        size_t best = pick_of(&b, some, n);
        for (size_t i = 0; i < n; i++) {
            size_t id = (size_t)some[i]->view.id - 1;
            waited[id] = id == best ? 0 : waited[id] + 1;
            assert_true(waited[id] < 4 * (int)(sum / weights[id]));
        }
        for (size_t i = 0; i < N; i++)
            assert_true(fabs(b.f.credit[i]) <= 5 * sum);
    }
    (void)state;
}

/* Two at a time, always the two with the most credit: the sequence that drives credits apart fastest. */
static void test_credit_is_bounded_against_the_worst_order(void **state)
{
    double weights[MANY];
    struct bench b;
    for (size_t i = 0; i < MANY; i++)
        weights[i] = 1 + (double)(i % 10) * 1000;
    bench_init(&b, weights, MANY);
    for (int round = 0; round < 20000; round++) {
        size_t first = 0, second = 1;
        for (size_t i = 0; i < MANY; i++) {
            if (b.f.credit[i] > b.f.credit[first]) {
                second = first;
                first = i;
            } else if (i != first && b.f.credit[i] > b.f.credit[second]) {
                second = i;
            }
        }
        if (second == first)
            second = (first + 1) % MANY;
        (void)pick_of(&b, (struct uplink *const[]){b.all[first], b.all[second]}, 2);
        for (size_t i = 0; i < MANY; i++)
            assert_true(fabs(b.f.credit[i]) <= 5. * 2 * 9001);
    }
    (void)state;
}

/* Weights so small that loads are infinite. */
static void test_absurd_weights(void **state)
{
    struct bench b;
    bench_init(&b, (const double[]){1e-320, 1e-320, 1e-310}, 3);
    for (size_t i = 0; i < 3; i++)
        b.uplinks[i].view.active = 1e9;
    for (int i = 0; i < 300; i++)
        (void)pick(&b);
    assert_true(b.picked[0] + b.picked[1] + b.picked[2] == 300);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_one),
        cmocka_unit_test(test_fewest_connections_by_weight),
        cmocka_unit_test(test_held_connections_follow_the_weights),
        cmocka_unit_test(test_one_after_another),
        cmocka_unit_test(test_level_loads),
        cmocka_unit_test(test_whole_rounds_are_exact),
        cmocka_unit_test(test_lone_pick_takes_no_turn),
        cmocka_unit_test(test_heavy_company_is_forgotten),
        cmocka_unit_test(test_debts_are_forgotten),
        cmocka_unit_test(test_changing_candidates),
        cmocka_unit_test(test_credit_is_bounded_against_the_worst_order),
        cmocka_unit_test(test_absurd_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
