/* Settings that can have no effect are told, and others are not. */
#include "config/config_useless.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    static struct config c;

    config_init(&c);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    config_done(*state);
    return 0;
}

static void listen_at(struct config *c, const char *host, bool balancers)
{
    struct listen_place p;

    assert_int_equal(listen_place_parse(&p, slice_str(host)), 0);
    addr_set_port(&p.addr, 7);
    p.proxy_protocol = balancers;
    assert_int_equal(config_add_listen(c, &p, 1), 0);
}

static void allow(struct cidr_set *set, const char *range)
{
    struct cidr r;

    assert_int_equal(cidr_parse(&r, slice_str(range)), 0);
    assert_int_equal(cidr_set_add(set, &r), 0);
}

static void forward_to(struct config *c, const char *to)
{
    struct config_forward *f = &c->forwards[c->n_forwards++];

    assert_int_equal(target_parse(&f->to, slice_str(to), 0), PARSE_OK);
}

/* Nothing, or one line that has the text. */
static void assert_told(struct config *c, const char *text)
{
    static struct config_useless found;
    char err[CONFIG_ERROR_MAX];

    assert_int_equal(config_finish(c, err), 0);
    config_useless_find(&found, c);
    if (found.n != (text ? 1 : 0))
        fail_msg("%zu lines: %s", found.n, found.n > 0 ? found.lines[0] : "");
    if (text && !strstr(found.lines[0], text))
        fail_msg("'%s' lacks '%s'", found.lines[0], text);
}

static void defaults_have_an_effect(void **state)
{
    assert_told(*state, NULL);
}

static void clients_that_cannot_connect(void **state)
{
    static const struct {
        const char *listen, *allow;
        bool closed;
    } cases[] = {
        {"127.0.0.1", "10.0.0.0/8", true},
        {"127.0.0.1", "::1", true},
        {"::1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.9", false},
        {"127.0.0.1", "0.0.0.0/0", false},
        {"127.0.0.1", "96.0.0.0/3", false},
        {"127.0.0.1", "0.0.0.0/2", true},
        {"127.0.0.1", "128.0.0.0/1", true},
        {"::1", "::/0", false},
        {"0.0.0.0", "10.0.0.0/8", false},
        {"::", "10.0.0.0/8", false},
        {"192.0.2.1", "10.0.0.0/8", false},
        {"127.0.0.1", "127.0.0.0/8", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = *state;
        listen_at(c, cases[i].listen, false);
        allow(&c->access.clients, cases[i].allow);
        c->allow_given = true;
        assert_told(c, cases[i].closed ? "no client can connect" : NULL);
        config_done(c);
    }
}

/* One listener is enough, and so is a forward. */
static void clients_that_can_connect_elsewhere(void **state)
{
    struct config *c = *state;

    c->allow_given = true;
    allow(&c->access.clients, "10.0.0.0/8");
    listen_at(c, "127.0.0.1", false);
    listen_at(c, "192.0.2.1", false);
    assert_told(c, NULL);
    c->n_listen = 1;
    assert_told(c, "no client can connect");
    forward_to(c, "192.0.2.9:1");
    assert_told(c, NULL);
}

static void balancers_that_cannot_connect(void **state)
{
    struct config *c = *state;

    listen_at(c, "127.0.0.1", true);
    allow(&c->balancers, "10.0.0.1");
    allow(&c->access.clients, "10.0.0.0/8"); /* by the balancer's header */
    c->allow_given = true;
    assert_told(c, "no balancer can connect");
    allow(&c->balancers, "127.0.0.1");
    assert_told(c, NULL);
}

static void an_address_to_advertise_that_nobody_asks_for(void **state)
{
    struct config *c = *state;

    listen_at(c, "127.0.0.1", false);
    assert_int_equal(addr_parse_ip(&c->udp.advertise4, slice_str("192.0.2.1"), 0), 0);
    assert_told(c, NULL);
    assert_int_equal(addr_parse_ip(&c->udp.advertise6, slice_str("2001:db8::1"), 0), 0);
    assert_told(c, "--udp-advertise 2001:db8::1 has no effect: no client connects by IPv6");
    listen_at(c, "::1", false);
    assert_told(c, NULL);
}

static void names_of_captured_clients(void **state)
{
    struct config *c = *state;

    c->transparent_resolve = true;
    assert_told(c, "--transparent-resolve has no effect without --transparent");
    c->n_transparents = 1;
    assert_told(c, NULL);
    c->peek_timeout_s = 0;
    assert_told(c, "with --peek-timeout 0 no client's name is looked for");
    c->transparents[0].tproxy = true; /* names are learned from captured DNS */
    assert_told(c, NULL);
    c->transparent_resolve = false;
    c->n_transparents = 0;
    assert_told(c, "--peek-timeout has no effect without --transparent");
}

static void times_that_do_not_come(void **state)
{
    struct config *c = *state;

    c->bind_from_given = true;
    assert_told(c, NULL);
    c->bind_timeout_s = 5;
    assert_told(c, "--bind-timeout has no effect");
    c->bind_from_given = false; /* loopback */
    c->hedge_s = 9.5;
    assert_told(c, NULL);
    c->hedge_s = 10;
    assert_told(c, "--hedge 10 has no effect: --dial-timeout ends after 10 seconds");
}

static void forwards_to_what_is_denied(void **state)
{
    struct config *c = *state;
    struct deny_rule some = {.n_places = 0};

    forward_to(c, "10.0.0.1:80");
    forward_to(c, "name.test:25");
    assert_int_equal(deny_add_place(&c->deny, slice_str("10.0.0.0/8:1-79")), 0);
    assert_int_equal(deny_rule_add_place(&some, slice_str("*")), 0);
    allow(&some.clients, "192.168.0.0/16");
    assert_int_equal(deny_add(&c->deny, &some), 0);
    assert_told(c, NULL);
    assert_int_equal(deny_add_place(&c->deny, slice_str("*:25")), 0);
    assert_told(c, "a forward has no effect: --deny *:25 refuses its destination, name.test:25");
    c->n_forwards = 1;
    assert_int_equal(deny_add_place(&c->deny, slice_str("10.0.0.1")), 0);
    assert_told(c, "refuses its destination, 10.0.0.1:80");
}

static void forwards_to_another_forward(void **state)
{
    struct config *c = *state;

    forward_to(c, "127.0.0.1:5");
    forward_to(c, "192.0.2.1:9");
    assert_int_equal(listen_place_parse(&c->forwards[1].ports.places[0], slice_str("127.0.0.1")), 0);
    addr_set_port(&c->forwards[1].ports.places[0].addr, 5);
    c->forwards[1].ports.n_places = 1;
    assert_told(c, "another one listens at its destination, 127.0.0.1:5, and refuses it");
    c->forwards[0].udp = true;
    assert_told(c, NULL);
    c->forwards[1].udp = true;
    assert_told(c, "another one listens at its destination, 127.0.0.1:5, and refuses it");
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(defaults_have_an_effect),
        ONE(clients_that_cannot_connect),
        ONE(clients_that_can_connect_elsewhere),
        ONE(balancers_that_cannot_connect),
        ONE(an_address_to_advertise_that_nobody_asks_for),
        ONE(names_of_captured_clients),
        ONE(times_that_do_not_come),
        ONE(forwards_to_what_is_denied),
        ONE(forwards_to_another_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
