/* One family's answer does not wait for the other's (RFC 8305 3). */
#include "dns/resolver_room.h"
#include <math.h>

static const double AT_ONCE_S = 0.045; /* before the wait for the other family ends, which takes 50 ms */

/* The addresses that came after the first ones. */
struct late {
    struct room room; /* first: found by its address */
    int calls;
    size_t n;
    char addrs[1024];
    bool done;
};

static void on_more(struct resolver_query *q, const struct addr *addrs, size_t n)
{
    struct late *l = (struct late *)q;
    char text[ADDR_TEXT_MAX];

    assert_int_equal(l->room.calls, 1);
    l->calls++;
    l->n = n;
    for (size_t i = 0; i < n; i++) {
        (void)strcat(l->addrs, i ? " " : "");
        (void)strcat(l->addrs, addr_format(&addrs[i], text));
    }
    l->done = true;
}

static void ask_for_all(struct room *m, struct late *l, const char *name)
{
    const struct addr client = loopback(AF_INET, 1);
    *l = (struct late){.room = {.resolver = m->resolver, .loop = m->loop, .started = clock_now_s()}};
    resolver_aim(m->resolver, &EGRESS_DIRECT, &m->servers);
    resolver_start_for(m->resolver, &l->room.query, &client, name, 80, on_done, on_more);
    run_until(m->loop, &l->room.done);
    assert_int_equal(l->room.fault, FAULT_NONE);
}

static void ipv6_first_is_told_at_once(void **state)
{
    struct room *m = *state;
    struct late l;
    double least_s = INFINITY;
    for (int i = 0; i < TRIES && least_s >= AT_ONCE_S; i++) {
        room_resolver(m, 10);
        ask_for_all(m, &l, "late4.test");
        least_s = fmin(least_s, l.room.took_s);
        assert_string_equal(l.room.addrs, "[2001:db8::1]:80 [2001:db8::2]:80");
        assert_int_equal(l.room.query.news, RESOLVER_HEARD);
        assert_true(resolver_awaits_more(&l.room.query));
        dns_server_release(&m->server);
        run_until(m->loop, &l.done);
        assert_string_equal(l.addrs, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    }
    assert_true(least_s < AT_ONCE_S);
    assert_null(l.room.query.resolver);
    assert_gives(m, "late4.test", &EGRESS_DIRECT,
                 "[2001:db8::1]:80 192.0.2.1:80 [2001:db8::2]:80 192.0.2.2:80 192.0.2.3:80");
}

static void ipv4_first_waits_a_little_for_ipv6(void **state)
{
    struct room *m = *state;
    struct late l;
    ask_for_all(m, &l, "late6.test");
    assert_true(l.room.took_s >= 0.049 && l.room.took_s < 5);
    assert_string_equal(l.room.addrs, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    dns_server_release(&m->server);
    run_until(m->loop, &l.done);
    assert_string_equal(l.addrs, "[2001:db8::1]:80 [2001:db8::2]:80");
    assert_int_equal(l.calls + l.room.calls, 2);
}

static void ipv6_that_comes_in_time_is_told_along(void **state)
{
    struct room *m = *state;
    struct late l;
    const struct addr client = loopback(AF_INET, 1);
    int tries = 0;
    do { /* if IPv4 was reported before the server was told to answer, try again */
        assert_true(tries++ < TRIES);
        room_resolver(m, 10);
        l = (struct late){.room = {.resolver = m->resolver, .loop = m->loop}};
        resolver_aim(m->resolver, &EGRESS_DIRECT, &m->servers);
        resolver_start_for(m->resolver, &l.room.query, &client, "late6.test", 80, on_done, on_more);
        await_questions(m, 1);
        run_for(m, 0.01);
        dns_server_release(&m->server);
        run_until(m->loop, &l.room.done);
        if (l.room.n < 5)
            run_until(m->loop, &l.done);
    } while (l.room.n < 5);
    assert_int_equal(l.room.n, 5);
    assert_null(l.room.query.resolver);
    run_for(m, 0.1);
    assert_int_equal(l.calls, 0);
}

static void assert_given_at_once(struct room *m, const char *name)
{
    double least_s = INFINITY;
    for (int i = 0; i < TRIES && least_s >= AT_ONCE_S; i++) {
        assert_gives(m, name, &EGRESS_DIRECT, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
        least_s = fmin(least_s, m->took_s);
    }
    assert_true(least_s < AT_ONCE_S);
}

/* Clients of one family get it when the wait for the other ends. */
static void a_silent_family_holds_nobody_up(void **state)
{
    struct room *m = *state;
    assert_gives(m, "late4.test", &EGRESS_DIRECT, "[2001:db8::1]:80 [2001:db8::2]:80");
    assert_true(m->took_s >= 0.049 && m->took_s < 5);
    assert_gives(m, "late6.test", &EGRESS_DIRECT, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_true(m->took_s >= 0.049 && m->took_s < 5);
    /* A later client does not wait again, and causes no new question. */
    int asked4 = m->server.asked4;
    assert_given_at_once(m, "late6.test");
    assert_int_equal(m->server.asked4, asked4);
}

static void a_family_that_stays_silent_is_remembered_as_such(void **state)
{
    struct room *m = *state;
    struct late l;
    room_resolver(m, 0.4);
    ask_for_all(m, &l, "late6.test");
    run_until(m->loop, &l.done);
    assert_int_equal(l.n, 0);
    m->server.n_held = 0;
    int asked = m->server.asked6;
    assert_given_at_once(m, "late6.test");
    assert_int_equal(m->server.asked6, asked);
}

static void a_family_that_fails_does_no_harm_to_the_other(void **state)
{
    struct room *m = *state;
    assert_gives(m, "broken6.test", &EGRESS_DIRECT, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_gives(m, "broken4.test", &EGRESS_DIRECT, "[2001:db8::1]:80 [2001:db8::2]:80");
    assert_gives(m, "none6.test", &EGRESS_DIRECT,
                 "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80"); /* RFC 4074 4.2 */
    assert_gives(m, "none4.test", &EGRESS_DIRECT, "[2001:db8::1]:80 [2001:db8::2]:80");
    assert_true(m->took_s < 5);
    assert_fault(m, "odd.test", &EGRESS_DIRECT, FAULT_DNS); /* only the missing IPv6 address is known */
}

static void two_who_ask_at_once_are_both_told_of_both(void **state)
{
    struct room *m = *state;
    struct late a, b;
    ask_for_all(m, &a, "late4.test");
    ask_for_all(m, &b, "late4.test");
    assert_int_equal((a.room.query.news == RESOLVER_HEARD) + (b.room.query.news == RESOLVER_HEARD), 1);
    dns_server_release(&m->server);
    run_until(m->loop, &a.done);
    run_until(m->loop, &b.done);
    assert_int_equal(a.n + b.n, 6);
    assert_int_equal(m->server.asked4 + m->server.asked6, 2);
}

/* A client that is connected by the first family leaves; the next client needs the other's answer. */
static void the_other_family_is_waited_for_with_nobody_there(void **state)
{
    struct room *m = *state;
    struct late l;
    ask_for_all(m, &l, "late4.test");
    resolver_cancel(&l.room.query);
    dns_server_release(&m->server);
    run_for(m, 0.05);
    assert_gives(m, "late4.test", &EGRESS_DIRECT,
                 "[2001:db8::1]:80 192.0.2.1:80 [2001:db8::2]:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(m->server.asked4 + m->server.asked6, 2);
    assert_int_equal(l.calls, 0);
}

/* Their number is limited: each has a descriptor. */
static void so_many_are_waited_for_and_no_more(void **state)
{
    struct room *m = *state;
    int fds = count_fds();
    for (int i = 0; i < 200; i++) {
        struct late l;
        char name[32];
        (void)snprintf(name, sizeof name, "late4.n%d.test", i);
        ask_for_all(m, &l, name);
        resolver_cancel(&l.room.query);
    }
    assert_int_equal(count_fds(), fds + 64);
    struct late l;
    ask_for_all(m, &l, "late4.n0.test"); /* what was known of it is remembered */
    assert_null(l.room.query.resolver);
}

static void the_wait_for_more_may_be_cut_short(void **state)
{
    struct room *m = *state;
    struct late l;
    ask_for_all(m, &l, "late4.test");
    resolver_limit(&l.room.query, 0.05);
    run_until(m->loop, &l.done);
    assert_int_equal(l.n, 0);
    assert_int_equal(l.calls, 1);
    assert_null(l.room.query.resolver);
    dns_server_release(&m->server);
    run_for(m, 0.02);
    assert_int_equal(l.calls + l.room.calls, 2);
}

static void a_change_of_ways_ends_the_wait(void **state)
{
    struct room *m = *state;
    struct late l;
    ask_for_all(m, &l, "late4.test");
    resolver_aim(m->resolver, &ONLY4, &m->servers);
    run_until(m->loop, &l.done);
    assert_int_equal(l.n, 0);
    ask_for_all(m, &l, "late4.test");
    resolver_free(m->resolver); /* reports nothing */
    m->resolver = NULL;
    run_for(m, 0.02);
    assert_int_equal(l.calls, 0);
}

int main(void)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)
    const struct CMUnitTest tests[] = {
        IN_ROOM(ipv6_first_is_told_at_once),
        IN_ROOM(ipv4_first_waits_a_little_for_ipv6),
        IN_ROOM(ipv6_that_comes_in_time_is_told_along),
        IN_ROOM(a_silent_family_holds_nobody_up),
        IN_ROOM(a_family_that_stays_silent_is_remembered_as_such),
        IN_ROOM(a_family_that_fails_does_no_harm_to_the_other),
        IN_ROOM(two_who_ask_at_once_are_both_told_of_both),
        IN_ROOM(the_other_family_is_waited_for_with_nobody_there),
        IN_ROOM(so_many_are_waited_for_and_no_more),
        IN_ROOM(the_wait_for_more_may_be_cut_short),
        IN_ROOM(a_change_of_ways_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
