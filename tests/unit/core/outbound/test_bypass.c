/* Destinations that go direct, and why: by address, or by a name of this machine. */
#include "outbound/bypass.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add(struct cidr_set *set, const char *range)
{
    struct cidr c;

    assert_int_equal(cidr_parse(&c, slice_str(range)), 0);
    assert_int_equal(cidr_set_add(set, &c), 0);
}

struct row {
    const char *host;
    enum bypass expected;
};

static void check(const struct outbound_settings *settings, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct target t;
        struct addr to;
        assert_int_equal(target_set(&t, slice_str(rows[i].host), 80), PARSE_OK);
        enum bypass b = bypass_of(settings, &t);
        if (b != rows[i].expected)
            fail_msg("%s: '%s', not '%s'", rows[i].host, bypass_text(b), bypass_text(rows[i].expected));
        /* Its address has the same result. */
        if (bypass_known_address(&t, &to))
            assert_int_equal(bypass_of_address(settings, &to) == BYPASS_NOT, b == BYPASS_NOT);
        else
            assert_int_equal(b, BYPASS_NOT);
    }
}

static void ranges_and_neighbours_go_direct(void **state)
{
    static const struct row rows[] = {
        {"10.1.2.3", BYPASS_LISTED},
        {"10.9.0.1", BYPASS_LISTED}, /* in both: the user's setting comes first */
        {"2001:db8::1", BYPASS_LISTED},
        {"127.0.0.1", BYPASS_LOCAL},
        {"192.168.1.1", BYPASS_LOCAL},
        {"::1", BYPASS_LOCAL},
        {"::ffff:127.0.0.1", BYPASS_LOCAL}, /* another spelling of it */
        {"::ffff:10.1.2.3", BYPASS_LISTED},
        {"localhost", BYPASS_LOCALHOST},
        {"LocalHost", BYPASS_LOCALHOST},
        {"localhost.", BYPASS_LOCALHOST},
        {"a.b.localhost", BYPASS_LOCALHOST},
        {"notlocalhost", BYPASS_NOT},
        {"localhost.example", BYPASS_NOT},
        {"printer.local", BYPASS_NOT}, /* its address may show that it is local */
        {"11.0.0.1", BYPASS_NOT},
        {"192.168.2.1", BYPASS_NOT},
        {"2001:db9::1", BYPASS_NOT},
    };
    static const char *const listed[] = {"10.0.0.0/8", "2001:db8::/32"};
    static const char *const local[] = {"127.0.0.0/8", "::1", "192.168.1.0/24", "10.9.0.0/16"};
    struct cidr_set sets[2] = {{0}};
    const struct outbound_settings settings = {.bypass = &sets[0], .local = &sets[1]};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(listed); i++)
        add(&sets[0], listed[i]);
    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        add(&sets[1], local[i]);
    check(&settings, rows, ARRAY_LEN(rows));
    cidr_set_done(&sets[0]);
    cidr_set_done(&sets[1]);
}

/* With --bypass none, names of this machine do not go direct either. */
static void without_ranges_nothing_goes_direct(void **state)
{
    static const struct row rows[] = {
        {"127.0.0.1", BYPASS_NOT}, {"::1", BYPASS_NOT}, {"localhost", BYPASS_NOT}, {"10.0.0.1", BYPASS_NOT}};
    struct cidr_set sets[2] = {{0}};
    (void)state;
    check(&(struct outbound_settings){.bypass = &sets[0], .local = &sets[1]}, rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_and_neighbours_go_direct),
        cmocka_unit_test(without_ranges_nothing_goes_direct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
