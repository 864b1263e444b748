/* Token buckets, with times that the test chooses. */
#include "base/bucket.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint64_t S = 1000 * 1000 * 1000, START = 7000ull * 1000 * 1000 * 1000;

static unsigned take_all(struct bucket *b, uint64_t now_ns)
{
    unsigned n = 0;

    while (n < 100000 && bucket_take(b, now_ns))
        n++;
    return n;
}

static void a_bucket_gives_its_burst_and_then_its_rate(void **state)
{
    static const struct {
        uint64_t rate, burst;
        double after_s; /* since it was emptied */
        unsigned gives;
    } rows[] = {
        {10, 50, 0, 0},   {10, 50, 0.0999, 0}, {10, 50, 0.1, 1},  {10, 50, 1, 10},        {10, 50, 4.9, 49},
        {10, 50, 5, 50},  {10, 50, 3600, 50},  {1, 1, 0.999, 0},  {1, 1, 1, 1},           {1, 1, 10, 1},
        {3, 15, 0.34, 1}, {3, 15, 0.33, 0},    {999999, 5, 1, 5}, {1000, 1000, 0.5, 500},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bucket b = {.rate = 0};
        bucket_set(&b, rows[i].rate, rows[i].burst);
        assert_int_equal(take_all(&b, START), rows[i].burst);
        assert_int_equal(take_all(&b, START + (uint64_t)(rows[i].after_s * (double)S)), rows[i].gives);
    }
}

static void without_a_rate_there_is_no_limit(void **state)
{
    struct bucket b = {.rate = 0};

    (void)state;
    assert_int_equal(take_all(&b, START), 100000);
    assert_int_equal(bucket_book(&b, UINT64_MAX / 2, START), START);
    assert_int_equal(bucket_book(&b, 1, START), START);
}

static void bookings_have_their_turns_in_order(void **state)
{
    struct bucket b = {.rate = 0};

    (void)state;
    bucket_set(&b, 1000, 300);
    assert_true(bucket_book(&b, 100, START) <= START);
    assert_true(bucket_book(&b, 200, START) <= START);
    for (unsigned i = 1; i <= 20; i++)
        assert_int_equal(bucket_book(&b, 100, START), START + i * S / 10);
    assert_int_equal(bucket_book(&b, 100, START + 100 * S), START + 100 * S - S / 5); /* it rested */
}

static void more_than_the_burst_waits_for_the_rest(void **state)
{
    struct bucket b = {.rate = 0};

    (void)state;
    bucket_set(&b, 1000, 300);
    assert_int_equal(bucket_book(&b, 5000, START), START + S * 4700 / 1000);
    assert_int_equal(bucket_book(&b, 1, START), START + S * 4701 / 1000);
}

static void a_new_rate_counts_from_now_on(void **state)
{
    struct bucket b = {.rate = 0};

    (void)state;
    bucket_set(&b, 10, 10);
    assert_int_equal(take_all(&b, START), 10);
    bucket_set(&b, 100, 100);
    assert_int_equal(take_all(&b, START + 2 * S), 100);
    bucket_set(&b, 0, 0);
    assert_int_equal(take_all(&b, START + 2 * S), 100000);
}

static void large_numbers_do_not_overflow(void **state)
{
    struct bucket b = {.rate = 0};

    (void)state;
    bucket_set(&b, 1000ull * 1000 * 1000 * 1000, 1000ull * 1000 * 1000 * 1000);
    assert_true(bucket_book(&b, 500ull * 1000 * 1000 * 1000, START) <= START);
    assert_true(bucket_book(&b, 500ull * 1000 * 1000 * 1000, START) <= START);
    assert_int_equal(bucket_book(&b, 1000ull * 1000 * 1000 * 1000, START), START + S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_gives_its_burst_and_then_its_rate),
        cmocka_unit_test(a_new_rate_counts_from_now_on),
        cmocka_unit_test(bookings_have_their_turns_in_order),
        cmocka_unit_test(large_numbers_do_not_overflow),
        cmocka_unit_test(more_than_the_burst_waits_for_the_rest),
        cmocka_unit_test(without_a_rate_there_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
