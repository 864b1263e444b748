#include "dns/dns_turns.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = DNS_TURNS_WAITING_MAX + DNS_TURNS_MAX + 1 };

static struct dns_turns turns;
static struct dns_turn all[MANY];
static struct dns_turn *came[MANY];
static size_t n_came;
static bool gives_back; /* returns its turn at once */

static void on_turn(struct dns_turn *t)
{
    static int depth;

    came[n_came++] = t;
    assert_int_equal(++depth, 1);
    if (gives_back)
        dns_turns_give_back(&turns, t);
    depth--;
}

static int setup(void **state)
{
    (void)state;
    dns_turns_init(&turns);
    n_came = 0;
    gives_back = false;
    return 0;
}

/* Clients without questions are not remembered. */
static int teardown(void **state)
{
    (void)state;
    int left = 0;
    for (size_t i = 0; i < MANY; i++)
        dns_turns_give_back(&turns, &all[i]);
    for (size_t i = 0; i < ARRAY_LEN(turns.askers); i++)
        left += turns.askers[i].next != &turns.askers[i];
    assert_int_equal(left, 0);
    assert_int_equal(turns.asked + turns.waiting, 0);
    return 0;
}

static struct addr client(unsigned number)
{
    struct addr a;
    const uint8_t ip[4] = {10, 0, (uint8_t)(number >> 8), (uint8_t)number};
    assert_int_equal(addr_from_ip(&a, ip, 4, 1000), 0);
    return a;
}

static int take(struct dns_turn *t, unsigned number)
{
    struct addr a = client(number);
    return dns_turns_take(&turns, t, &a, on_turn);
}

static void one_client_has_so_many_and_others_theirs(void **state)
{
    size_t n = 0;
    (void)state;
    for (; n < DNS_TURNS_CLIENT_MAX; n++)
        assert_int_equal(take(&all[n], 1), 1);
    struct dns_turn *waits = &all[n++];
    assert_int_equal(take(waits, 1), 0);
    assert_int_equal(take(&all[n++], 2), 1);
    assert_int_equal(dns_turns_take(&turns, &all[n++], NULL, on_turn), 1); /* our own question */
    dns_turns_give_back(&turns, &all[0]);
    assert_int_equal(n_came, 1);
    assert_ptr_equal(came[0], waits);
}

static void those_who_wait_take_turns(void **state)
{
    size_t n = 0;
    (void)state;
    for (unsigned c = 1; c <= 4; c++) /* they use up all turns */
        for (int i = 0; i < DNS_TURNS_CLIENT_MAX; i++)
            assert_int_equal(take(&all[n++], c), 1);
    assert_int_equal(turns.asked, DNS_TURNS_MAX);
    size_t greedy = n;
    for (int i = 0; i < 100; i++)
        assert_int_equal(take(&all[n++], 5), 0);
    size_t modest = n;
    assert_int_equal(take(&all[n++], 6), 0);
    for (size_t i = 0; i < 3; i++)
        dns_turns_give_back(&turns, &all[i]);
    assert_int_equal(n_came, 3);
    assert_ptr_equal(came[0], &all[greedy]);
    assert_ptr_equal(came[1], &all[modest]); /* not behind the hundred */
    assert_ptr_equal(came[2], &all[greedy + 1]);
}

static void who_leaves_the_queue_is_not_called(void **state)
{
    size_t n = 0;
    (void)state;
    for (; n < DNS_TURNS_CLIENT_MAX; n++)
        assert_int_equal(take(&all[n], 1), 1);
    assert_int_equal(take(&all[n], 1), 0);
    assert_int_equal(take(&all[n + 1], 1), 0);
    dns_turns_give_back(&turns, &all[n]);
    dns_turns_give_back(&turns, &all[n]);
    dns_turns_give_back(&turns, &all[0]);
    assert_int_equal(n_came, 1);
    assert_ptr_equal(came[0], &all[n + 1]);
}

/* However many end at once, the stack does not grow. */
static void a_queue_of_thousands_empties_at_once(void **state)
{
    size_t n = 0;
    (void)state;
    for (; n < DNS_TURNS_CLIENT_MAX; n++)
        assert_int_equal(take(&all[n], 1), 1);
    for (int i = 0; i < DNS_TURNS_WAITING_MAX; i++)
        assert_int_equal(take(&all[n++], 1), 0);
    struct dns_turn beyond;
    assert_int_equal(take(&beyond, 2), -EBUSY);
    gives_back = true;
    dns_turns_give_back(&turns, &all[0]);
    assert_int_equal(n_came, DNS_TURNS_WAITING_MAX);
    assert_int_equal(turns.waiting, 0);
}

static void a_household_is_one_client(void **state)
{
    static const struct {
        const char *text;
        bool same;
    } table[] = {{"2001:db8:1:2:3:4:5:6", true}, {"2001:db8:1:3::1", false}, {"32.1.13.184", false}};
    struct addr a;
    size_t n = 0;
    (void)state;
    assert_int_equal(addr_parse_ip(&a, slice_str("2001:db8:1:2::1"), 1), 0);
    for (; n < DNS_TURNS_CLIENT_MAX; n++)
        assert_int_equal(dns_turns_take(&turns, &all[n], &a, on_turn), 1);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_int_equal(addr_parse_ip(&a, slice_str(table[i].text), 1), 0);
        assert_int_equal(dns_turns_take(&turns, &all[n++], &a, on_turn), !table[i].same);
    }
}

/* They share the first half of their addresses with all others. */
static void each_link_local_client_has_turns_of_its_own(void **state)
{
    struct addr a;
    size_t n = 0;
    (void)state;
    assert_int_equal(addr_parse_ip(&a, slice_str("fe80::1"), 1), 0);
    for (; n < DNS_TURNS_CLIENT_MAX; n++)
        assert_int_equal(dns_turns_take(&turns, &all[n], &a, on_turn), 1);
    assert_int_equal(dns_turns_take(&turns, &all[n++], &a, on_turn), 0);
    assert_int_equal(addr_parse_ip(&a, slice_str("fe80::2"), 1), 0);
    assert_int_equal(dns_turns_take(&turns, &all[n++], &a, on_turn), 1);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_client_has_so_many_and_others_theirs),
        TEST(those_who_wait_take_turns),
        TEST(who_leaves_the_queue_is_not_called),
        TEST(a_queue_of_thousands_empties_at_once),
        TEST(a_household_is_one_client),
        TEST(each_link_local_client_has_turns_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
