/* Whether silence blames the servers or a name. */
#include "dns/dns_silence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { VERDICT = 3 }; /* this many in a row blame the servers */

/* What happens, in a word, each a second after the one before:
 *   -name   is not answered          +name   is answered, and may be kept for 10 s
 *   check   one is made              pass, fail   what came of it
 *   late name    is not answered, and another one was meanwhile */
static unsigned count(const char *const *what)
{
    struct dns_silence s = {.answers = 0};
    double now = 100;
    unsigned counted = 0;

    for (; *what; what++, now++) {
        struct slice name = slice_str(*what + 1);
        if (**what == '-')
            counted += dns_silence_counts(&s, name, s.answers);
        else if (**what == '+')
            dns_silence_answered(&s, name, 10, now);
        else if (strcmp(*what, "check") == 0)
            assert_non_null(dns_silence_check(&s, now));
        else if (strcmp(*what, "pass") == 0 || strcmp(*what, "fail") == 0)
            dns_silence_checked(&s, **what == 'p');
        else
            counted += dns_silence_counts(&s, slice_str(*what + 5), s.answers - 1);
    }
    return counted;
}

static void what_counts(void **state)
{
    static const struct {
        const char *name;
        const char *what[12];
        unsigned counted;
    } table[] = {
        {"one name", {"-dead.test", "-dead.test", "-dead.test", "-DEAD.test"}, 1},
        {"names of one zone", {"-a.dead.test", "-b.dead.test", "-c.b.dead.test", "-dead.test"}, 1},
        {"names of several", {"-a.test", "-b.test", "-c.test"}, VERDICT},
        {"single labels", {"-a", "-b", "-a", "-c"}, VERDICT},
        {"others are answered between", {"-d.test", "+a.test", "-d.test", "+b.test", "-d.test"}, 3},
        {"another was answered meanwhile", {"+a.test", "late d.test", "late e.test", "late f.test"}, 0},
        {"one, and the check passes", {"+a.test", "-d.test", "check", "pass", "-d.test", "-d.test"}, 1},
        {"one, and the check fails", {"+a.test", "-d.test", "check", "fail", "-d.test", "-d.test"}, VERDICT},
        {"a check passes after one failed", {"-d.test", "check", "fail", "check", "pass", "-d.test"}, 1},
        {"an answer after a check failed", {"-d.test", "check", "fail", "+a.test", "-d.test", "-d.test"}, 2},
        {"a check that a cache may answer",
         {"+z.test", "-a.test", "check", "pass", "-b.test", "-c.test"},
         VERDICT},
        {"more zones than are remembered", {"-a", "-b", "-c", "-d", "-e", "-f"}, 6},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        unsigned counted = count(table[i].what);
        if (counted != table[i].counted)
            fail_msg("%s: %u count", table[i].name, counted);
    }
}

/* The answer is not cached any more, so it makes up for the earlier silence. */
static void a_check_that_proves(void **state)
{
    struct dns_silence s = {.answers = 0};
    (void)state;
    dns_silence_answered(&s, slice_str("a.test"), 10, 100);
    assert_true(dns_silence_counts(&s, slice_str("d.test"), 1));
    assert_string_equal(dns_silence_check(&s, 111), "a.test");
    dns_silence_checked(&s, true);
    assert_int_equal(s.answers, 2);
    assert_false(dns_silence_counts(&s, slice_str("e.test"), 1)); /* it was asked for before */
    assert_true(dns_silence_counts(&s, slice_str("e.test"), 2));
}

static void what_is_checked_and_when(void **state)
{
    struct dns_silence s = {.answers = 0};
    char long_name[DNS_NAME_SIZE + 1];
    (void)state;
    assert_string_equal(dns_silence_check(&s, 100), ""); /* nothing was answered yet */
    dns_silence_checked(&s, true);
    assert_int_equal(s.answers, 0); /* every server answers for the root */
    assert_null(dns_silence_check(&s, 100.9));
    dns_silence_answered(&s, slice_str("a.test"), 10, 101);
    dns_silence_answered(&s, slice_str("none.test"), -1, 101); /* does not exist */
    memset(long_name, 'a', sizeof long_name);
    dns_silence_answered(&s, slice_of(long_name, sizeof long_name), 10, 101);
    assert_string_equal(dns_silence_check(&s, 102), "a.test");
    dns_silence_checked(&s, true);
    assert_int_equal(s.answers, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_counts),
        cmocka_unit_test(a_check_that_proves),
        cmocka_unit_test(what_is_checked_and_when),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
