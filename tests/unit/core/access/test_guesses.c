/* Clients that guess passwords are slowed by address; other users of the address are not shut out. */
#include "access/guesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct addr client(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(&a, slice_str(text), 4321), 0);
    return a;
}

static double wait_of(struct guesses *g, const char *address, double now_s)
{
    const struct addr a = client(address);

    return guesses_wait(g, &a, now_s);
}

/* @return how often it reported that the free guesses are used up */
static int guess(struct guesses *g, const char *address, int times, double now_s)
{
    const struct addr a = client(address);
    int told = 0;

    for (int i = 0; i < times; i++)
        told += guesses_note_wrong(g, &a, now_s);
    return told;
}

static void ten_guesses_are_free_then_each_waits(void **state)
{
    struct guesses g = {.tables = NULL};

    (void)state;
    assert_true(wait_of(&g, "192.0.2.1", 50) == 0);
    assert_int_equal(guess(&g, "192.0.2.1", 9, 50), 0);
    assert_true(wait_of(&g, "192.0.2.1", 50) == 0);
    assert_int_equal(guess(&g, "192.0.2.1", 1, 50), 1);
    assert_int_equal(guess(&g, "192.0.2.1", 9, 50), 0);
    double first = wait_of(&g, "192.0.2.1", 50), second = wait_of(&g, "192.0.2.1", 50);
    assert_true(first == 1 && second > 1 && second <= 1 + 1. / GUESSES_PER_SECOND + 1e-9);
    guesses_done(&g);
}

static void checks_in_a_second_and_waiting_guesses_are_limited(void **state)
{
    struct guesses g = {.tables = NULL};
    int waiting = 0;

    (void)state;
    (void)guess(&g, "192.0.2.1", GUESSES_FREE, 50);
    for (; wait_of(&g, "192.0.2.1", 50) > 0; waiting++)
        assert_true(waiting < 1000);
    assert_in_range(waiting, 9 * GUESSES_PER_SECOND, 9 * GUESSES_PER_SECOND + 2);
    assert_true(wait_of(&g, "192.0.2.1", 50) < 0);
    assert_true(wait_of(&g, "192.0.2.1", 51) > 9); /* the limit of one second */
    guesses_done(&g);
}

static void guesses_are_forgiven_one_by_one(void **state)
{
    struct guesses g = {.tables = NULL};

    (void)state;
    (void)guess(&g, "192.0.2.1", GUESSES_FREE, 50);
    assert_true(wait_of(&g, "192.0.2.1", 55) > 0);
    assert_true(wait_of(&g, "192.0.2.1", 57) == 0);
    (void)guess(&g, "192.0.2.1", 1, 57);
    assert_true(wait_of(&g, "192.0.2.1", 57) > 0);
    (void)guess(&g, "192.0.2.1", 100000, 60); /* however many */
    assert_true(wait_of(&g, "192.0.2.1", 120) > 0);
    assert_true(wait_of(&g, "192.0.2.1", 130) == 0);
    guesses_done(&g);
}

static void each_address_and_network_counts_by_itself(void **state)
{
    static const char *const alike[][2] = {{"2001:db8::1", "2001:db8::ffff:0:0:2"},
                                           {"192.0.2.1", "192.0.2.1"}};
    static const char *const others[][2] = {{"2001:db8::1", "2001:db8:0:1::1"},
                                            {"192.0.2.1", "192.0.2.2"},
                                            {"fe80::1", "fe80::2"},
                                            {"::ffff:192.0.2.1", "::ffff:192.0.2.2"},
                                            {"127.0.0.1", "::1"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(alike); i++) {
        struct guesses g = {.tables = NULL};
        (void)guess(&g, alike[i][0], GUESSES_FREE, 50);
        assert_true(wait_of(&g, alike[i][1], 50) > 0);
        guesses_done(&g);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct guesses g = {.tables = NULL};
        (void)guess(&g, others[i][0], GUESSES_FREE, 50);
        assert_true(wait_of(&g, others[i][1], 50) == 0);
        guesses_done(&g);
    }
}

static void users_are_known_at_their_address(void **state)
{
    struct guesses g = {.tables = NULL};
    const struct addr here = client("192.0.2.1"), there = client("192.0.2.2");

    (void)state;
    assert_false(guesses_know(&g, &here, slice_str("ann")));
    guesses_note_right(&g, &here, slice_str("ann"));
    guesses_note_right(&g, &here, slice_str("bob"));
    guesses_note_right(&g, &here, slice_str("ann"));
    assert_true(guesses_know(&g, &here, slice_str("ann")) && guesses_know(&g, &here, slice_str("bob")));
    assert_false(guesses_know(&g, &here, slice_str("an")) || guesses_know(&g, &here, slice_str("")));
    assert_false(guesses_know(&g, &there, slice_str("ann")));
    guesses_done(&g);
}

/* The tables do not grow, and clients without a password do not displace users. */
static void a_flood_of_addresses_displaces_no_user(void **state)
{
    struct guesses g = {.tables = NULL};
    const struct addr here = client("192.0.2.1");
    char text[ADDR_TEXT_MAX];

    (void)state;
    guesses_note_right(&g, &here, slice_str("ann"));
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        (void)guess(&g, text, 1, 50 + i * 1e-3);
    }
    assert_true(guesses_know(&g, &here, slice_str("ann")));
    (void)guess(&g, "192.0.2.9", GUESSES_FREE, 200);
    assert_true(wait_of(&g, "192.0.2.9", 200) > 0);
    guesses_done(&g);
}

/* A balancer's clients: nearly all stay known (in a full set of four, the oldest is dropped). */
static void many_users_of_one_address_stay_known(void **state)
{
    enum { USERS = 4000 };
    struct guesses g = {.tables = NULL};
    const struct addr here = client("192.0.2.1");
    char name[32];
    int known = 0;

    (void)state;
    for (int i = 0; i < USERS; i++) {
        (void)snprintf(name, sizeof name, "user%d", i);
        guesses_note_right(&g, &here, slice_str(name));
    }
    for (int i = 0; i < USERS; i++) {
        (void)snprintf(name, sizeof name, "user%d", i);
        known += guesses_know(&g, &here, slice_str(name));
    }
    assert_in_range(known, USERS * 98 / 100, USERS);
    guesses_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_guesses_are_free_then_each_waits),
        cmocka_unit_test(checks_in_a_second_and_waiting_guesses_are_limited),
        cmocka_unit_test(guesses_are_forgiven_one_by_one),
        cmocka_unit_test(each_address_and_network_counts_by_itself),
        cmocka_unit_test(users_are_known_at_their_address),
        cmocka_unit_test(a_flood_of_addresses_displaces_no_user),
        cmocka_unit_test(many_users_of_one_address_stay_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
