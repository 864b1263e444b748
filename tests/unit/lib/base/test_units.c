/* Numbers with and without a suffix, and invalid text. */
#include "base/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void numbers_have_powers_of_a_thousand(void **state)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},      {"1500", 1500}, {"1.5K", 1500}, {"20M", 2e7},
                {"20G", 2e10}, {"1T", 1e12},   {".5M", 5e5},   {"1e3", 1000}};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double n = -1;
        if (!units_parse(good[i].text, &n) || n != good[i].value)
            fail_msg("%s: %f", good[i].text, n);
    }
}

static void what_is_none_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {"",   "G",   "20g", "20GB",  "20 G", "-1", "+1",
                                      " 1", "inf", "nan", "1e999", "1..2", "."};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double n = -1;
        if (units_parse(bad[i], &n) || n != -1)
            fail_msg("'%s': %f", bad[i], n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_powers_of_a_thousand),
        cmocka_unit_test(what_is_none_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
