/* A mistyped name finds the one that was meant; another word finds none. */
#include "base/nearest.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *nearest(const char *word)
{
    static const char *const names[] = {"port", "host", "policy", "dial-timeout", "idle-timeout", "set"};
    struct nearest n;

    nearest_init(&n, slice_str(word));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        nearest_offer(&n, names[i]);
    return n.best;
}

static void slips_are_seen_through(void **state)
{
    (void)state;
    assert_string_equal(nearest("prot"), "port");
    assert_string_equal(nearest("PORT"), "port");
    assert_string_equal(nearest("ports"), "port");
    assert_string_equal(nearest("polcy"), "policy");
    assert_string_equal(nearest("dial_timeout"), "dial-timeout");
    assert_string_equal(nearest("diel-timeout"), "dial-timeout");
    assert_string_equal(nearest("pol"), "policy"); /* the beginning */
    assert_string_equal(nearest("host"), "host");
}

static const char *nearest_of_one(const char *word, const char *name)
{
    struct nearest n;

    nearest_init(&n, slice_str(word));
    nearest_offer(&n, name);
    return n.best;
}

static void underscores_are_dashes(void **state)
{
    (void)state;
    assert_string_equal(nearest_of_one("of_the_four_winds", "of-the-four-winds"), "of-the-four-winds");
}

static void a_short_name_is_not_any_short_word(void **state)
{
    (void)state;
    assert_null(nearest_of_one("xy", "up"));
    assert_string_equal(nearest_of_one("ip", "up"), "up");
}

static void another_word_has_no_nearest(void **state)
{
    (void)state;
    assert_null(nearest(""));
    assert_null(nearest("p"));
    assert_null(nearest("listen"));
    assert_null(nearest("xyz")); /* as far from "set" as it is long */
    assert_null(nearest("policy-of-the-uplinks"));
    assert_null(nearest("portportportportportportportportportportportportportportportportport"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_seen_through),
        cmocka_unit_test(underscores_are_dashes),
        cmocka_unit_test(a_short_name_is_not_any_short_word),
        cmocka_unit_test(another_word_has_no_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
