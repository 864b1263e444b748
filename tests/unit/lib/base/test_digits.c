/* Whole numbers as text, compared with libc. */
#include "base/digits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static void assert_as_libc(uint64_t n)
{
    char ours[DIGITS_MAX + 1], libcs[DIGITS_MAX + 1];

    size_t len = digits_put(ours, n);
    ours[len] = '\0';
    (void)snprintf(libcs, sizeof libcs, "%llu", (unsigned long long)n);
    assert_string_equal(ours, libcs);
}

static void around_each_power_of_ten(void **state)
{
    (void)state;
    for (uint64_t power = 1;; power *= 10) {
        assert_as_libc(power - 1);
        assert_as_libc(power);
        assert_as_libc(power + 1);
        if (power > UINT64_MAX / 10)
            break;
    }
    assert_as_libc(UINT64_MAX - 1);
    assert_as_libc(UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(around_each_power_of_ten)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
