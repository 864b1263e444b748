/* Texts for people: units, capacities, and what a terminal must not obey. */
#include "show/show.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void bytes_have_their_unit(void **state)
{
    static const struct {
        double n;
        const char *text;
    } cases[] = {{0, "0 B"},      {999, "999 B"},  {999.5, "1.0 kB"}, {1234, "1.2 kB"},
                 {9950, "10 kB"}, {34e6, "34 MB"}, {5e12, "5.0 TB"},  {2e18, "2000 PB"}};
    char out[SHOW_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(show_bytes(cases[i].n, out), cases[i].text);
}

static void durations_have_two_units(void **state)
{
    static const struct {
        double s;
        const char *text;
    } cases[] = {
        {0, "0 s"},          {59.9, "59 s"},         {60, "1 min 0 s"},  {3599, "59 min 59 s"},
        {3600, "1 h 0 min"}, {86399, "23 h 59 min"}, {86400, "1 d 0 h"}, {4 * 86400. + 10800, "4 d 3 h"}};
    char out[SHOW_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(show_duration(cases[i].s, out), cases[i].text);
}

static void a_capacity_may_be_unknown(void **state)
{
    char out[SHOW_TEXT_MAX];
    json_t *u = json_pack("{s:f, s:f}", "rx_capacity", 12.5e6, "tx_capacity", 0.);

    (void)state;
    assert_string_equal(show_capacity(u, out), "100/-");
    assert_int_equal(json_object_set_new(u, "tx_capacity", json_real(1e5)), 0);
    assert_int_equal(json_object_set_new(u, "rx_capacity", json_null()), 0);
    assert_string_equal(show_capacity(u, out), "-/0.8");
    json_decref(u);
}

static void a_field_may_be_missing(void **state)
{
    json_t *o = json_pack("{s:s, s:i}", "name", "eth0", "live", 3);

    (void)state;
    assert_string_equal(show_text_of(o, "name"), "eth0");
    assert_string_equal(show_text_of(o, "live"), "");
    assert_string_equal(show_text_of(NULL, "name"), "");
    assert_true(show_number_of(o, "live") == 3);
    assert_true(show_number_of(o, "gone") == 0);
    json_decref(o);
}

static void a_terminal_is_told_nothing(void **state)
{
    char text[] = "a\33[2Jb\n\t\177\303\244";

    (void)state;
    show_harmless(text);
    assert_string_equal(text, "a?[2Jb???\303\244");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_have_their_unit),      cmocka_unit_test(durations_have_two_units),
        cmocka_unit_test(a_capacity_may_be_unknown),  cmocka_unit_test(a_field_may_be_missing),
        cmocka_unit_test(a_terminal_is_told_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
