/* The addresses that a client may reach, in each spelling. */
#include "access/reach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char OWN[] = "192.168.1.1";

struct desk {
    struct deny deny;
    struct own_addresses own;
    struct reach reach;
    char why[REACH_WHY_MAX];
};

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    struct machine_addr addrs[2] = {{.link = 1}, {.link = 1}};
    const struct machine m = {.addrs = addrs, .n_addrs = ARRAY_LEN(addrs)};
    assert_non_null(d);
    assert_int_equal(addr_parse_ip(&addrs[0].addr, slice_str(OWN), 0), 0);
    assert_int_equal(addr_parse_ip(&addrs[1].addr, slice_str("2001:db8::1"), 0), 0);
    assert_int_equal(own_addresses_init(&d->own, &m), 0);
    d->reach = (struct reach){.deny = &d->deny, .own = &d->own};
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    deny_done(&d->deny);
    own_addresses_done(&d->own);
    free(d);
    return 0;
}

static bool reaches(struct desk *d, const char *client, const char *to)
{
    struct addr c, t;
    assert_int_equal(addr_parse_ip(&c, slice_str(client), 4711), 0);
    assert_int_equal(addr_parse_ip(&t, slice_str(to), 25), 0);
    d->why[0] = '\0';
    bool may = reach_allows(&d->reach, &c, NULL, &t, d->why);
    assert_true(may == (d->why[0] == '\0'));
    return may;
}

/* Spellings of 192.168.1.1, 2001:db8::1 and loopback. */
static const char *const spelt[] = {
    "192.168.1.1",      "::ffff:192.168.1.1", "64:ff9b::192.168.1.1", "64:ff9b:1::192.168.1.1",
    "2002:c0a8:101::1", "::192.168.1.1",      "::ffff:0:192.168.1.1", "2001:db8::1",
};
static const char *const loopback[] = {
    "127.0.0.1",
    "127.255.0.1",
    "::1",
    "0.0.0.0",
    "::",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::",
    "::ffff:0.0.0.0",
};

static void own_addresses_are_for_own_clients(void **state)
{
    static const char *const others[] = {"192.168.1.2",           "2001:db8::2",       "198.51.100.1",
                                         "64:ff9b::198.51.100.1", "2002:c633:6401::1", "::2:192.168.1.1"};
    struct desk *d = *state;

    for (size_t i = 0; i < ARRAY_LEN(spelt); i++) {
        if (reaches(d, "192.168.1.9", spelt[i]))
            fail_msg("a remote client reaches %s", spelt[i]);
        assert_non_null(strstr(d->why, "own machine"));
        assert_true(reaches(d, "127.0.0.1", spelt[i]));
        assert_true(
            reaches(d, OWN, spelt[i])); /* a client on this machine that used another of its addresses */
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_true(reaches(d, "192.168.1.9", others[i]));
}

static void own_addresses_can_be_allowed_but_loopback_cannot(void **state)
{
    struct desk *d = *state;

    for (int allow = 0; allow < 2; allow++) {
        d->reach.allow_own = allow;
        for (size_t i = 0; i < ARRAY_LEN(loopback); i++) {
            if (reaches(d, "192.168.1.9", loopback[i]) || reaches(d, OWN, loopback[i]))
                fail_msg("another's client reaches %s", loopback[i]);
            assert_true(reaches(d, "127.0.0.1", loopback[i]));
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(spelt); i++)
        assert_true(reaches(d, "192.168.1.9", spelt[i]));
}

static void what_is_denied_is_denied_in_each_spelling_to_everybody(void **state)
{
    struct desk *d = *state;

    d->reach.allow_own = true;
    assert_int_equal(deny_add_place(&d->deny, slice_str("192.168.1.0/24:25")), 0);
    assert_int_equal(deny_add_place(&d->deny, slice_str("2001:db8::1")), 0);
    for (size_t i = 0; i < ARRAY_LEN(spelt); i++) {
        if (reaches(d, "127.0.0.1", spelt[i]) || reaches(d, "192.168.1.9", spelt[i]))
            fail_msg("%s is reached", spelt[i]);
    }
    assert_true(reaches(d, "127.0.0.1", "192.168.2.1"));
    assert_true(reaches(d, "127.0.0.1", "127.0.0.1"));
    assert_int_equal(deny_add_place(&d->deny, slice_str("127.0.0.0/8")), 0);
    assert_int_equal(deny_add_place(&d->deny, slice_str("::1")), 0);
    for (size_t i = 0; i < ARRAY_LEN(loopback); i++) {
        if (reaches(d, "127.0.0.1", loopback[i]))
            fail_msg("%s is reached", loopback[i]);
    }
}

static void the_log_is_told_what_and_by_which_rule(void **state)
{
    struct desk *d = *state;

    assert_int_equal(deny_add_place(&d->deny, slice_str("198.51.100.0/24:1-1023")), 0);
    assert_false(reaches(d, "127.0.0.1", "::ffff:198.51.100.7"));
    assert_string_equal(d->why, "198.51.100.7: deny 198.51.100.0/24:1-1023");
    assert_false(reaches(d, "192.168.1.9", OWN));
    assert_string_equal(d->why, "192.168.1.1 is an address of the proxy's own machine");
}

static void of_names_only_rules_for_every_address_are_known(void **state)
{
    struct desk *d = *state;
    struct addr client;

    assert_int_equal(addr_parse_ip(&client, slice_str("192.168.1.9"), 4711), 0);
    assert_int_equal(deny_add_place(&d->deny, slice_str("0.0.0.0/0:25")), 0);
    assert_true(reach_allows_name(&d->reach, &client, NULL, 25, d->why));
    assert_int_equal(deny_add_place(&d->deny, slice_str("*:25")), 0);
    assert_false(reach_allows_name(&d->reach, &client, NULL, 25, d->why));
    assert_string_equal(d->why, "deny *:25");
    assert_true(reach_allows_name(&d->reach, &client, NULL, 26, d->why));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(own_addresses_are_for_own_clients),
        TEST(own_addresses_can_be_allowed_but_loopback_cannot),
        TEST(what_is_denied_is_denied_in_each_spelling_to_everybody),
        TEST(the_log_is_told_what_and_by_which_rule),
        TEST(of_names_only_rules_for_every_address_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
