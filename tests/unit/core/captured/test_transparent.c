/* Captured connections: where they go, the name that policies see, and what is refused. */
#include "captured/transparent.h"

#include "inbound/desk.h"
#include "net/original.h"

/* What the kernel says of the next clients. */
static struct {
    int err;
    struct addr redirected, tproxied;
} kernel;

int __wrap_original_redirected(int fd, struct addr *ret);
int __wrap_original_tproxied(int fd, struct addr *ret);

int __wrap_original_redirected(int fd, struct addr *ret)
{
    (void)fd;
    *ret = kernel.redirected;
    return kernel.err;
}

int __wrap_original_tproxied(int fd, struct addr *ret)
{
    (void)fd;
    *ret = kernel.tproxied;
    return kernel.err;
}

static struct transparent setting;

/* Clients come by TPROXY on their way to the desk's destination. */
static int setup(void **state)
{
    int r = desk_setup(state);
    struct desk *d = *state;

    kernel.err = 0;
    kernel.tproxied = d->at;
    kernel.redirected = (struct addr){.sa.sa_family = AF_UNSPEC};
    setting = (struct transparent){.tproxy = true, .peek_s = 4 * PATIENCE_S};
    d->use = (struct proxy_use){.front = &FRONT_TRANSPARENT, .setting = &setting, .name = "tproxy"};
    return r;
}

/* The account names the host so; the connection is closed then. */
static void assert_account(struct desk *d, int client, const char *fields)
{
    desk_reset(d, client);
    desk_await_closed(d);
    if (fixture_log_count(d->f, fields) != 1)
        FIXTURE_FAIL(d->f, "no account has: %s", fields);
}

static const char NAMED[] = "GET / HTTP/1.1\r\nHost: www.Example.org:81\r\n\r\nbody";

static void the_name_is_seen_and_the_bytes_pass_unchanged(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_say_str(client, NAMED);
    int dest = desk_accept(d);
    desk_hear(d, dest, NAMED);
    desk_say_str(dest, "answer");
    desk_hear(d, client, "answer");
    assert_account(d, client, "proto=transparent host=www.example.org address=127.0.0.1");
}

static bool has_read(const struct desk *d, size_t n)
{
    return d->session->in.len == n;
}

static void every_split_of_the_first_bytes(void **state)
{
    struct desk *d = *state;
    for (size_t at = 1; at < strlen(NAMED); at++) {
        int client = desk_client(d);
        bool early = at < strlen(NAMED) - strlen("body"); /* the head is incomplete */
        desk_say(client, slice_of(NAMED, at));
        if (early) {
            desk_turn_until(d, has_read, at, "the first part is not read");
            assert_int_equal(d->session->state, SESSION_READING);
        }
        desk_say(client, slice_of(NAMED + at, strlen(NAMED) - at));
        int dest = desk_accept(d);
        desk_hear(d, dest, NAMED);
        desk_close(d, dest);
        desk_close(d, client);
        desk_await_closed(d);
        d->n_ends = 0;
    }
    assert_int_equal(fixture_log_count(d->f, "host=www.example.org"), strlen(NAMED) - 1);
}

static void a_silent_client_goes_on_by_address(void **state)
{
    struct desk *d = *state;
    setting.peek_s = 0.02;
    int client = desk_client(d);
    int dest = desk_accept(d);
    desk_say_str(dest, "hello");
    desk_hear(d, client, "hello");
    desk_say_str(client, NAMED);
    desk_hear(d, dest, NAMED);
    assert_account(d, client, "host=127.0.0.1 port");
}

/* The rest of the name never comes. */
static void what_stays_incomplete_goes_on_by_address(void **state)
{
    struct desk *d = *state;
    setting.peek_s = 0.02;
    int client = desk_client(d);
    desk_say_str(client, "GET / HTTP/1.1\r\nHost: www.exa");
    int dest = desk_accept(d);
    desk_hear(d, dest, "GET / HTTP/1.1\r\nHost: www.exa");
    assert_account(d, client, "host=127.0.0.1 port");
}

static void another_protocol_goes_on_at_once(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_say_str(client, "SSH-2.0-client\r\n");
    int dest = desk_accept(d);
    desk_hear(d, dest, "SSH-2.0-client\r\n");
    assert_account(d, client, "host=127.0.0.1 port");
}

static void nothing_is_awaited_after_a_fin(void **state)
{
    static const char *const texts[] = {"", "GET / HTTP/1.1\r\nHost: www.exa", NAMED};
    struct desk *d = *state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int client = desk_client(d);
        desk_say_str(client, texts[i]);
        assert_int_equal(shutdown(client, SHUT_WR), 0);
        int dest = desk_accept(d);
        desk_hear(d, dest, texts[i]);
        desk_hear_end(d, dest, 0);
        desk_say_str(dest, "answer");
        desk_close(d, dest);
        desk_hear(d, client, "answer");
        desk_hear_end(d, client, 0);
        desk_await_closed(d);
    }
}

static void no_name_is_looked_for_unless_wanted(void **state)
{
    struct desk *d = *state;
    setting.peek_s = 0;
    int client = desk_client(d);
    (void)desk_accept(d);
    desk_say_str(client, NAMED);
    assert_account(d, client, "host=127.0.0.1 port");
}

/* The client's own resolver gave it another address. */
static void the_name_is_resolved_if_wanted(void **state)
{
    struct desk *d = *state;
    uint16_t port = addr_port(&d->at);
    assert_int_equal(addr_parse_ip(&kernel.tproxied, slice_str("192.0.2.7"), port), 0);
    setting.resolve = true;
    int client = desk_client(d);
    desk_say_str(client, "GET / HTTP/1.1\r\nHost: LocalHost\r\n\r\n");
    (void)desk_accept(d);
    assert_account(d, client, "host=localhost port");
}

static void each_kind_asks_the_kernel_in_its_own_way(void **state)
{
    struct desk *d = *state;
    kernel.redirected = d->at;
    kernel.tproxied = (struct addr){.sa.sa_family = AF_UNSPEC};
    setting.tproxy = false;
    int client = desk_client(d);
    desk_say_str(client, NAMED);
    (void)desk_accept(d);
    assert_account(d, client, "host=www.example.org address=127.0.0.1");
}

/* --- refusals ------------------------------------------------------------------------------------------- */

static void assert_refused(struct desk *d, const char *why)
{
    int client = desk_client(d);
    desk_hear_end(d, client, ECONNRESET);
    desk_await_closed(d);
    desk_no_connection(d);
    if (fixture_log_count(d->f, "captured connection refused") != 1 || fixture_log_count(d->f, why) != 1)
        FIXTURE_FAIL(d->f, "not said: %s", why);
    assert_int_equal(fixture_log_count(d->f, "proto=transparent"), 0); /* it was never a connection */
}

static void a_client_that_was_not_captured_is_refused(void **state)
{
    kernel.err = -ENOENT;
    assert_refused(*state, "the connection was not redirected to this port");
}

/* It would come back for ever. Also where the destination is the port of the proxy's other clients. */
static void a_listener_of_this_proxy_is_refused(void **state)
{
    struct desk *d = *state;
    loops_listen(&d->proxy.outbounds.loops, &d->at, false);
    assert_refused(d, "its destination is this proxy itself");
}

static void what_this_process_has_sent_is_refused(void **state)
{
    struct desk *d = *state;
    struct own_ends *ends = calloc(1, sizeof *ends);
    struct addr peer;
    int mine, fd;

    assert_non_null(ends);
    d->proxy.outbounds.own_ends = ends;
    tcp_pair(0, &mine, &fd);
    peer = bound_addr(mine);
    own_ends_note(ends, mine, &kernel.tproxied);
    d->door = (struct proxy_listener){
        .proxy = &d->proxy, .use = d->use, .clients = d->door.clients, .text = "here"};
    session_new(&d->door, fd, &peer);
    mine = desk_keep(d, mine);
    desk_hear_end(d, mine, ECONNRESET);
    desk_await_closed(d);
    assert_int_equal(fixture_log_count(d->f, "it was sent by this proxy itself"), 1);
    d->proxy.outbounds.own_ends = NULL;
    free(ends);
}

/* A direct dial notes its ends, which are those of the client that would come back. */
static void direct_dials_are_noted(void **state)
{
    struct desk *d = *state;
    struct own_ends *ends = calloc(1, sizeof *ends);

    assert_non_null(ends);
    d->proxy.outbounds.own_ends = ends;
    int client = desk_client(d);
    desk_say_str(client, NAMED);
    int dest = desk_accept(d);
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    struct addr from;
    assert_int_equal(getpeername(dest, (struct sockaddr *)&name, &len), 0);
    assert_int_equal(addr_from_sockaddr(&from, (struct sockaddr *)&name, len), 0);
    assert_true(own_ends_have(ends, &from, &d->at));
    d->proxy.outbounds.own_ends = NULL;
    free(ends);
}

static void a_destination_without_a_port_is_refused(void **state)
{
    addr_set_port(&kernel.tproxied, 0);
    setting.peek_s = 0;
    assert_refused(*state, "its destination has no port");
}

static void a_client_is_reset_when_nothing_answers(void **state)
{
    struct desk *d = *state;
    addr_set_port(&kernel.tproxied, 1); /* closed */
    int client = desk_client(d);
    desk_say_str(client, NAMED);
    desk_hear_end(d, client, ECONNRESET);
    desk_await_closed(d);
    assert_int_equal(fixture_log_count(d->f, "outcome=refused"), 1);
}

static void warnings_are_limited(void **state)
{
    struct desk *d = *state;
    kernel.err = -ENOENT;
    for (int i = 0; i < 3 * PROXY_LINES_IN_WINDOW; i++)
        (void)desk_client(d);
    assert_int_equal(fixture_log_count(d->f, "captured connection refused"), PROXY_LINES_IN_WINDOW);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(the_name_is_seen_and_the_bytes_pass_unchanged),
        ONE(every_split_of_the_first_bytes),
        ONE(a_silent_client_goes_on_by_address),
        ONE(what_stays_incomplete_goes_on_by_address),
        ONE(another_protocol_goes_on_at_once),
        ONE(nothing_is_awaited_after_a_fin),
        ONE(no_name_is_looked_for_unless_wanted),
        ONE(the_name_is_resolved_if_wanted),
        ONE(each_kind_asks_the_kernel_in_its_own_way),
        ONE(a_client_that_was_not_captured_is_refused),
        ONE(a_listener_of_this_proxy_is_refused),
        ONE(what_this_process_has_sent_is_refused),
        ONE(direct_dials_are_noted),
        ONE(a_destination_without_a_port_is_refused),
        ONE(a_client_is_reset_when_nothing_answers),
        ONE(warnings_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
