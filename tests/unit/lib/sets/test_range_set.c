#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sets/range_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct range_set *set_of(const char *const *ranges)
{
    struct range_set *s = range_set_new();

    assert_non_null(s);
    for (; *ranges; ranges++)
        assert_int_equal(range_set_add(s, slice_str(*ranges)), 0);
    range_set_finish(s);
    return s;
}

static int match(const struct range_set *s, const char *host)
{
    return range_set_match(s, host, strlen(host));
}

static void check(const char *const *ranges, const char *const *in, const char *const *out, size_t count)
{
    struct range_set *s = set_of(ranges);

    for (; *in; in++)
        if (!match(s, *in))
            fail_msg("%s is not found", *in);
    for (; *out; out++)
        if (match(s, *out))
            fail_msg("%s is found", *out);
    assert_int_equal(range_set_count(s), count);
    range_set_free(s);
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})
static const char *const NOTHING[] = {NULL};

static void addresses_are_found_in_ranges(void **state)
{
    (void)state;
    check(TEXTS("10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "198.51.100.128/25"),
          TEXTS("10.0.0.0", "10.255.255.255", "192.0.2.1",
                "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "::1", "[::1]", "198.51.100.128",
                "198.51.100.255", "::ffff:10.1.2.3", "[2001:DB8::5]"),
          TEXTS("9.255.255.255", "11.0.0.0", "192.0.2.0", "192.0.2.2", "2001:db7:ffff::", "2001:db9::", "::2",
                "198.51.100.127", "example.com", "", "10.0.0", "10.0.0.256", "[10.0.0.1", "10.0.0.1/32",
                "%x"),
          5);
    check(TEXTS("192.168.1.77/24", "fe80::1/64"), TEXTS("192.168.1.1", "fe80::99%eth0", "[fe80::2%wlan0]"),
          TEXTS("192.168.2.1"), 2);
    check(NOTHING, NOTHING, TEXTS("10.0.0.1", "::1"), 0);
}

static void all_of_a_family_is_a_range(void **state)
{
    (void)state;
    check(TEXTS("0.0.0.0/0"), TEXTS("0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"),
          TEXTS("::", "2001:db8::1"), 1);
    check(TEXTS("::/0"), TEXTS("::", "2001:db8::1", "1.2.3.4"), NOTHING, 1);
    check(TEXTS("::ffff:10.0.0.0/104"), TEXTS("10.1.2.3"), TEXTS("11.0.0.0"), 1);
}

static void overlaps_become_one(void **state)
{
    (void)state;
    check(TEXTS("10.1.0.0/16", "10.0.0.0/8", "10.2.3.4", "11.0.0.0/8", "10.0.0.0/8"),
          TEXTS("10.1.2.3", "10.255.0.1", "11.1.1.1"), TEXTS("12.0.0.0", "9.9.9.9"), 2);
    check(TEXTS("2001:db8:1::/48", "2001:db8::/32", "2001:db9::1"), TEXTS("2001:db8:2::", "2001:db9::1"),
          TEXTS("2001:db9::2"), 2);
}

static void what_is_not_a_range_is_refused(void **state)
{
    static const char *const bad[] = {
        "",   "10.0.0.0/33", "2001:db8::/129", "10.0.0.0/", "10.0.0.0/x",  "10.0.0/8",     "10.0.0.0/8/8",
        "/8", "1.2.3.4.5",   "010.0.0.1",      "a.example", "10.0.0.0/-1", "10.0.0.0/0008"};
    struct range_set *s = range_set_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (range_set_add(s, slice_str(bad[i])) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
    assert_int_equal(range_set_add(s, slice_of("10.0.0.1\0/8", 11)), -EINVAL);
    range_set_free(s);
    range_set_free(NULL);
}

/* Against a plain comparison. */
static void many_ranges_answer_as_they_should(void **state)
{
    enum { N = 3000 };
    static uint32_t low[N], high[N];
    struct range_set *s = range_set_new();
    uint32_t draw = 7, hits = 0;
    char text[32];

    (void)state;
    for (int i = 0; i < N; i++) {
        draw = draw * 1664525 + 1013904223;
        uint32_t size = i < 30 ? 1u << 22 : 256;
        low[i] = draw & ~(size - 1);
        high[i] = low[i] + size - 1;
        (void)snprintf(text, sizeof text, "%u.%u.%u.%u/%d", draw >> 24, draw >> 16 & 255, draw >> 8 & 255,
                       draw & 255, i < 30 ? 10 : 24);
        assert_int_equal(range_set_add(s, slice_str(text)), 0);
    }
    range_set_finish(s);
    for (int i = 0; i < 3000; i++) {
        draw = draw * 1664525 + 1013904223;
        int expected = 0;
        for (int j = 0; j < N; j++)
            expected |= draw >= low[j] && draw <= high[j];
        (void)snprintf(text, sizeof text, "%u.%u.%u.%u", draw >> 24, draw >> 16 & 255, draw >> 8 & 255,
                       draw & 255);
        assert_int_equal(match(s, text), expected);
        hits += (uint32_t)expected;
    }
    assert_true(hits > 50 && hits < 2950);
    assert_true(range_set_bytes(s) < 9 * N);
    range_set_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_found_in_ranges),
        cmocka_unit_test(all_of_a_family_is_a_range),
        cmocka_unit_test(overlaps_become_one),
        cmocka_unit_test(what_is_not_a_range_is_refused),
        cmocka_unit_test(many_ranges_answer_as_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
