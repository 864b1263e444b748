/* Sets of addresses, compared by what they contain. */
#include "capture/capture_ranges.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct capture_ranges of(const char *text)
{
    struct capture_ranges r = {.n = 0};

    assert_int_equal(capture_ranges_add_text(&r, slice_str(text)), 0);
    capture_ranges_join(&r);
    return r;
}

static void assert_text(const char *text, const char *expected)
{
    struct capture_ranges r = of(text);
    char all[512] = "", one[CAPTURE_RANGE_TEXT_MAX];

    for (size_t i = 0; i < r.n; i++) {
        if (i > 0)
            strcat(all, " ");
        strcat(all, capture_range_format(&r.items[i], one));
    }
    assert_string_equal(all, expected);
    capture_ranges_done(&r);
}

static void what_overlaps_or_touches_is_one(void **state)
{
    (void)state;
    assert_text("", "");
    assert_text("10.0.0.0/24", "10.0.0.0/24");
    assert_text("10.0.1.0/24, 10.0.0.0/24", "10.0.0.0/23");
    assert_text("10.0.0.0/24,10.0.2.0/24", "10.0.0.0/24 10.0.2.0/24");
    assert_text("10.0.0.0/8, 10.1.2.3, 10.0.0.0/24", "10.0.0.0/8");
    assert_text("10.0.0.1, 10.0.0.2, 10.0.0.3", "10.0.0.1-10.0.0.3");
    assert_text("10.0.1.0/24 10.0.2.0/24", "10.0.1.0-10.0.2.255");
    assert_text("224.0.0.0-255.255.255.255, 255.255.255.255", "224.0.0.0/3");
    assert_text("0.0.0.0/0", "0.0.0.0/0");
    assert_text("ff00::/8, ::/127, fd00:0:0:1::/64, fd00::/64", "::/127 fd00::/63 ff00::/8");
    assert_text("::, 255.255.255.255", "255.255.255.255 ::"); /* of two families, which do not touch */
    assert_text("10.0.0.255, 10.0.1.0", "10.0.0.255-10.0.1.0");
}

static void the_text_of_nft_is_read_over_lines(void **state)
{
    (void)state;
    assert_text(" 0.0.0.0/8, 10.0.0.0/23,\n\t\t\t     224.0.0.0/3 ", "0.0.0.0/8 10.0.0.0/23 224.0.0.0/3");
}

static void another_text_is_refused(void **state)
{
    static const char *const wrong[] = {"x",  "10.0.0.0/33",      "10.0.0.1-", "-10.0.0.1",
                                        "10", "10.0.0.1-fd00::1", "counter"};
    struct capture_ranges r = {.n = 0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(capture_ranges_add_text(&r, slice_str(wrong[i])), -EINVAL);
    capture_ranges_done(&r);
}

static void assert_compared(const char *a, const char *b, bool same, const char *a_lacks)
{
    struct capture_ranges one = of(a), other = of(b);
    char text[CAPTURE_RANGE_TEXT_MAX] = "";
    const struct capture_range *lack = capture_ranges_lack(&one, &other);

    assert_int_equal(capture_ranges_same(&one, &other), same);
    assert_string_equal(lack ? capture_range_format(lack, text) : "", a_lacks);
    capture_ranges_done(&one);
    capture_ranges_done(&other);
}

static void sets_are_compared_by_what_they_contain(void **state)
{
    (void)state;
    assert_compared("", "", true, "");
    assert_compared("10.0.0.0/24, 10.0.1.0/24", "10.0.0.0/23", true, "");
    assert_compared("10.0.0.0/23", "10.0.1.0/24", false, "");
    assert_compared("10.0.1.0/24", "10.0.0.0/23", false, "10.0.0.0/23");
    assert_compared("10.0.0.0/24", "10.0.0.0/24, 10.0.2.0/24", false, "10.0.2.0/24");
    assert_compared("10.0.0.0/24", "fd00::/64", false, "fd00::/64");
    assert_compared("fd00::/64", "fd00::/65", false, "");
    assert_compared("10.0.0.0/24", "10.0.0.0/25", false, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_overlaps_or_touches_is_one),
        cmocka_unit_test(the_text_of_nft_is_read_over_lines),
        cmocka_unit_test(another_text_is_refused),
        cmocka_unit_test(sets_are_compared_by_what_they_contain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
