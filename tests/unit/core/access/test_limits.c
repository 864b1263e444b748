/* Limits of connections, by client and in all; the test chooses the times. */
#include "access/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t S = 1000 * 1000 * 1000, START = 7000ull * 1000 * 1000 * 1000;

static struct limits_client *client(struct limits *l, const char *text, uint64_t now_ns)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(&a, slice_str(text), 4321), 0);
    struct limits_client *c = limits_client(l, &a, now_ns);
    assert_non_null(c);
    return c;
}

static void each_limit_refuses_what_is_beyond_it(void **state)
{
    /* Connections begin in this order; '+' is served, or the limit's letter. */
    static const struct {
        struct limits_settings most;
        const char *from, *results;
        enum limit refuses;
    } rows[] = {
        {{0}, "aaaabbbb", "++++++++", LIMIT_NONE},
        {{.connections = 3}, "abacb", "+++--", LIMIT_CONNECTIONS},
        {{.clients = 2}, "abcaabc", "++-+++-", LIMIT_CLIENTS},
        {{.client_connections = 2}, "aaaabbb", "++--++-", LIMIT_CLIENT_CONNECTIONS},
        {{.client_new = 1}, "aaaaaaab", "+++++--+", LIMIT_CLIENT_NEW},
        {{.client_connections = 2, .client_new = 1}, "aaaaaaaaa", "++-------", LIMIT_CLIENT_CONNECTIONS},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct limits_client *open[16];
        char text[32];
        struct limits l;
        uint64_t refused = 0;

        limits_init(&l);
        limits_set(&l, &rows[i].most);
        for (size_t k = 0; rows[i].from[k]; k++) {
            bool served = rows[i].results[k] == '+';
            (void)snprintf(text, sizeof text, "192.0.2.%d", rows[i].from[k]);
            open[k] = client(&l, text, START);
            enum limit got = limits_begin(&l, open[k], START);
            assert_int_equal(got, served ? LIMIT_NONE : rows[i].refuses);
            refused += !served;
        }
        assert_int_equal(l.refused[rows[i].refuses], refused);
        for (size_t k = 0; rows[i].from[k]; k++) {
            if (rows[i].results[k] == '+')
                limits_end(&l, open[k]);
            limits_leave(&l, open[k]);
        }
        assert_int_equal(l.n_connections + l.n_clients, 0);
        limits_done(&l);
    }
}

static void a_place_that_is_left_can_be_taken(void **state)
{
    const struct limits_settings most = {.clients = 1, .connections = 2, .client_connections = 2};
    struct limits l;

    (void)state;
    limits_init(&l);
    limits_set(&l, &most);
    struct limits_client *a = client(&l, "192.0.2.1", START), *b = client(&l, "192.0.2.2", START);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(limits_begin(&l, a, START), LIMIT_NONE);
        assert_int_equal(limits_begin(&l, a, START), LIMIT_NONE);
        assert_int_equal(limits_begin(&l, a, START), LIMIT_CLIENT_CONNECTIONS);
        limits_end(&l, a);
        assert_int_equal(limits_begin(&l, b, START), LIMIT_CLIENTS);
        limits_end(&l, a);
        assert_int_equal(limits_begin(&l, b, START), LIMIT_NONE);
        limits_end(&l, b);
    }
    limits_leave(&l, a);
    limits_leave(&l, b);
    limits_done(&l);
}

static void handshakes_are_counted_apart(void **state)
{
    const struct limits_settings most = {.client_handshakes = 2, .client_connections = 1};
    struct limits l;

    (void)state;
    limits_init(&l);
    limits_set(&l, &most);
    struct limits_client *a = client(&l, "192.0.2.1", START);
    assert_int_equal(limits_begin_handshake(&l, a), LIMIT_NONE);
    assert_int_equal(limits_begin_handshake(&l, a), LIMIT_NONE);
    assert_int_equal(limits_begin_handshake(&l, a), LIMIT_CLIENT_HANDSHAKES);
    assert_int_equal(limits_begin(&l, a, START), LIMIT_NONE);
    limits_end_handshake(a);
    assert_int_equal(limits_begin_handshake(&l, a), LIMIT_NONE);
    limits_end_handshake(a);
    limits_end_handshake(a);
    limits_end(&l, a);
    limits_leave(&l, a);
    limits_done(&l);
}

static void a_client_is_an_address_or_a_network(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1", true},       {"192.0.2.1", "192.0.2.2", false},
        {"2001:db8::1", "2001:db8::2:1", true}, {"2001:db8::1", "2001:db8:0:1::1", false},
        {"fe80::1", "fe80::2", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct limits l;
        limits_init(&l);
        struct limits_client *one = client(&l, rows[i].one, START), *other = client(&l, rows[i].other, START);
        assert_true((one == other) == rows[i].same);
        limits_leave(&l, one);
        limits_leave(&l, other);
        limits_done(&l);
    }
}

static void who_comes_and_goes_is_remembered_until_the_bucket_is_full(void **state)
{
    const struct limits_settings most = {.client_new = 2};
    struct limits l;
    unsigned served = 0;

    (void)state;
    limits_init(&l);
    limits_set(&l, &most);
    for (unsigned i = 0; i < 100; i++) { /* in ten seconds */
        uint64_t now = START + i * S / 10;
        struct limits_client *a = client(&l, "192.0.2.1", now);
        bool serves = limits_begin(&l, a, now) == LIMIT_NONE;
        served += serves;
        if (serves)
            limits_end(&l, a);
        limits_leave(&l, a);
    }
    assert_in_range(served, 28, 30); /* a burst of ten, and two a second */
    limits_leave(&l, client(&l, "192.0.2.2", START + 15 * S));
    assert_int_equal(l.n_known, 1); /* the first is forgotten */
    limits_done(&l);
}

static void many_addresses_take_bounded_memory(void **state)
{
    const struct limits_settings most = {.client_new = 1};
    struct limits l;
    char text[32];

    (void)state;
    limits_init(&l);
    limits_set(&l, &most);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(text, sizeof text, "10.0.%d.%d", i / 250, i % 250);
        struct limits_client *c = client(&l, text, START);
        assert_int_equal(limits_begin(&l, c, START), LIMIT_NONE);
        limits_end(&l, c);
        limits_leave(&l, c);
    }
    assert_in_range(l.n_known, 4000, 4100);
    limits_done(&l);
}

static void changed_limits_hold_for_clients_that_are_known(void **state)
{
    struct limits l;

    (void)state;
    limits_init(&l);
    struct limits_client *a = client(&l, "192.0.2.1", START);
    for (int i = 0; i < 50; i++)
        assert_int_equal(limits_begin(&l, a, START), LIMIT_NONE);
    limits_set(&l, &(struct limits_settings){.client_connections = 10});
    assert_int_equal(limits_begin(&l, a, START), LIMIT_CLIENT_CONNECTIONS);
    limits_set(&l, &(struct limits_settings){.client_new = 1});
    for (int i = 0; i < 5; i++)
        assert_int_equal(limits_begin(&l, a, START), LIMIT_NONE);
    assert_int_equal(limits_begin(&l, a, START), LIMIT_CLIENT_NEW);
    assert_int_equal(limits_most(&l, LIMIT_CLIENT_NEW), 1);
    for (int i = 0; i < 55; i++)
        limits_end(&l, a);
    limits_leave(&l, a);
    limits_done(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_an_address_or_a_network),
        cmocka_unit_test(a_place_that_is_left_can_be_taken),
        cmocka_unit_test(changed_limits_hold_for_clients_that_are_known),
        cmocka_unit_test(each_limit_refuses_what_is_beyond_it),
        cmocka_unit_test(handshakes_are_counted_apart),
        cmocka_unit_test(many_addresses_take_bounded_memory),
        cmocka_unit_test(who_comes_and_goes_is_remembered_until_the_bucket_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
