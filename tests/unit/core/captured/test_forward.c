/* A forward: its clients ask for nothing, and its server may speak first. */
#include "captured/forward.h"

#include "inbound/desk.h"

/* A forward that leads to the desk's destination. */
static void lead_to(struct desk *d, struct target *to)
{
    static const uint8_t loopback[] = {127, 0, 0, 1};

    assert_int_equal(target_set_ip(to, loopback, sizeof loopback, addr_port(&d->at)), PARSE_OK);
    d->use = (struct proxy_use){.front = &FRONT_FORWARD, .setting = to, .name = "forward"};
}

static void the_server_may_speak_first(void **state)
{
    struct desk *d = *state;
    struct target to;
    lead_to(d, &to);
    int client = desk_client(d);
    int dest = desk_accept(d);
    desk_say_str(dest, "hello");
    desk_hear(d, client, "hello");
    desk_say_str(client, "\x05\x01");
    desk_hear(d, dest, "\x05\x01");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    desk_hear_end(d, dest, 0);
    desk_say_str(dest, "last");
    desk_hear(d, client, "last");
    desk_close(d, dest);
    desk_hear_end(d, client, 0);
    desk_await_closed(d);
    assert_int_equal(fixture_log_count(d->f, "proto=forward"), 1);
}

/* What comes before the destination is there waits for it, and so does the FIN. */
static void what_the_client_says_at_once_is_not_lost(void **state)
{
    struct desk *d = *state;
    struct target to;
    lead_to(d, &to);
    int client = desk_client(d);
    desk_say_str(client, "early");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    int dest = desk_accept(d);
    desk_hear(d, dest, "early");
    desk_hear_end(d, dest, 0);
}

static void a_client_is_reset_when_nothing_answers(void **state)
{
    struct desk *d = *state;
    struct target to;
    lead_to(d, &to);
    to.port = 1; /* closed */
    int client = desk_client(d);
    desk_hear_end(d, client, ECONNRESET);
    desk_await_closed(d);
    assert_int_equal(fixture_log_count(d->f, "outcome=refused"), 1);
}

/* Otherwise each connection would make the next one, until no descriptor is left. */
static void a_forward_to_a_forward_of_this_proxy_is_a_loop(void **state)
{
    struct desk *d = *state;
    struct target to;
    lead_to(d, &to);
    loops_listen(&d->proxy.outbounds.loops, &d->at, true);
    int client = desk_client(d);
    desk_hear_end(d, client, ECONNRESET);
    desk_no_connection(d);
    assert_int_equal(fixture_log_count(d->f, "loop: the destination is a listener of this proxy"), 1);
    loops_unlisten(&d->proxy.outbounds.loops, &d->at);
    loops_listen(&d->proxy.outbounds.loops, &d->at, false); /* it asks its clients, so nothing goes round */
    (void)desk_client(d);
    (void)desk_accept(d);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(the_server_may_speak_first),
        ONE(what_the_client_says_at_once_is_not_lost),
        ONE(a_client_is_reset_when_nothing_answers),
        ONE(a_forward_to_a_forward_of_this_proxy_is_a_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
