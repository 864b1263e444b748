#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sets/name_set.h"

#include <errno.h>
#include <stdio.h>

static void add(struct name_set *s, const char *name, unsigned covers)
{
    assert_int_equal(name_set_add(s, slice_str(name), covers), 0);
}

static enum name_match match(const struct name_set *s, const char *host)
{
    return name_set_match(s, host, strlen(host));
}

static void a_name_stands_for_what_it_covers(void **state)
{
    struct name_set *s = name_set_new();

    (void)state;
    assert_non_null(s);
    add(s, "all.com", NAME_ALL);
    add(s, "one.com", NAME_ITSELF);
    add(s, "below.com", NAME_BELOW);
    add(s, "local", NAME_ALL);
    add(s, "both.com", NAME_ITSELF);
    add(s, "both.com", NAME_BELOW);
    static const char *const in[] = {"all.com",         "ALL.com", "a.b.all.COM.", "one.com",   "x.below.com",
                                     "a.printer.local", "local",   "both.com",     "x.both.com"};
    static const char *const out[] = {"",          ".",      "com",    "x.one.com", "below.com", "notall.com",
                                      "all.com.x", "ll.com", "allcom", "locale",    "..",        "a..b"};
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        if (match(s, in[i]) != 1)
            fail_msg("%s is not found", in[i]);
    for (size_t i = 0; i < ARRAY_LEN(out); i++)
        if (match(s, out[i]) != 0)
            fail_msg("%s is found", out[i]);
    assert_int_equal(match(s, "b\xc3\xbc.com"), NAME_NOT_ASCII);
    assert_int_equal(name_set_count(s), 5);
    name_set_trim(s);
    assert_int_equal(match(s, "x.both.com"), 1);
    name_set_free(s);
    name_set_free(NULL);
}

static void an_empty_set_holds_nothing(void **state)
{
    struct name_set *s = name_set_new();

    (void)state;
    assert_int_equal(match(s, "a.com"), 0);
    name_set_trim(s);
    assert_int_equal(match(s, "a.com"), 0);
    name_set_free(s);
}

static void lengths_have_a_limit(void **state)
{
    struct name_set *s = name_set_new();
    char text[300];

    (void)state;
    memset(text, 'a', sizeof text);
    text[3] = '.';
    assert_int_equal(name_set_add(s, slice_of(text, 254), NAME_ALL), -EINVAL);
    assert_int_equal(name_set_add(s, slice_of(text, 0), NAME_ALL), -EINVAL);
    assert_int_equal(name_set_add(s, slice_of(text, 253), NAME_ALL), 0);
    assert_int_equal(name_set_match(s, text, 253), 1);
    assert_int_equal(name_set_match(s, text, 254), 0);
    assert_int_equal(name_set_match(s, text, 300), 0);
    name_set_free(s);
}

/* Includes what a name takes besides its text. */
static void many_names_take_little_room(void **state)
{
    struct name_set *s = name_set_new();
    size_t text = 0;
    char name[64];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        text += (size_t)snprintf(name, sizeof name, "host%d.zone%d.org", i, i % 977);
        assert_int_equal(name_set_add(s, slice_str(name), NAME_ALL), 0);
    }
    name_set_trim(s);
    assert_int_equal(name_set_count(s), 200000);
    assert_true(name_set_bytes(s) - text < 25 * 200000);
    for (int i = 0; i < 200000; i += 7) {
        (void)snprintf(name, sizeof name, "www.host%d.zone%d.org", i, i % 977);
        assert_int_equal(match(s, name), 1);
        (void)snprintf(name, sizeof name, "host%d.zone%d.org", i, (i + 1) % 977);
        assert_int_equal(match(s, name), 0);
    }
    name_set_free(s);
}

/* Names that collide under hashes without a key: "Ez" and "FY" under h * 31 + c, and others under h * 33 +
 * c. With a key, a table of 2^16 such names is as fast as any other. */
static void names_that_collide_elsewhere_do_not_here(void **state)
{
    struct name_set *hostile = name_set_new();
    double began_s = clock_read_s(CLOCK_THREAD_CPUTIME_ID);
    char name[33];

    (void)state;
    for (uint32_t i = 0; i < 1 << 16; i++) {
        for (int bit = 0; bit < 16; bit++)
            memcpy(name + 2 * bit, i >> bit & 1 ? "bp" : "cO", 2); /* equal under 33 */
        name[32] = '\0';
        assert_int_equal(name_set_add(hostile, slice_str(name), NAME_ALL), 0);
    }
    assert_int_equal(name_set_count(hostile), 1 << 16);
    /* Quadratic time would be about 20 s. */
    assert_true(clock_read_s(CLOCK_THREAD_CPUTIME_ID) - began_s < 5);
    name_set_free(hostile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_stands_for_what_it_covers),
        cmocka_unit_test(an_empty_set_holds_nothing),
        cmocka_unit_test(lengths_have_a_limit),
        cmocka_unit_test(many_names_take_little_room),
        cmocka_unit_test(names_that_collide_elsewhere_do_not_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
