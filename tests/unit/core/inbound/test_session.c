/* One client's connection: the fronts that its first byte chooses, tunnels, and how it ends. */
#include "http/exchange_desk.h"
#include "inbound/proxy_listeners.h"

#include "base/clock.h"

static const char SOCKS5_HELLO[] = {5, 1, 0};

static void say_bytes(int fd, const void *data, size_t len)
{
    desk_say(fd, slice_of(data, len));
}

enum { SOCKS5_ASK_LEN = 10 };

/* CONNECT to the destination, by its address. */
static void write_socks5(const struct desk *d, char out[SOCKS5_ASK_LEN])
{
    const char text[] = {5, 1, 0, 1, 127, 0, 0, 1, (char)(addr_port(&d->at) >> 8), (char)addr_port(&d->at)};
    memcpy(out, text, SOCKS5_ASK_LEN);
}

static void hear_bytes(struct desk *d, int fd, char *in, size_t len)
{
    for (size_t n = 0; n < len; n++) {
        d->want = slice_str("a reply");
        desk_await(d, fd);
        assert_int_equal(recv(fd, in + n, 1, 0), 1);
    }
}

static void assert_tunnel(struct desk *d, int client, int dest)
{
    assert_int_equal(d->session->state, SESSION_TUNNEL);
    desk_say_str(client, "up");
    desk_hear(d, dest, "up");
    desk_say_str(dest, "down");
    desk_hear(d, client, "down");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    desk_hear_end(d, dest, 0);
    desk_say_str(dest, "last");
    desk_hear(d, client, "last");
    desk_close(d, dest);
    desk_hear_end(d, client, 0);
    desk_await_closed(d);
}

/* Callbacks further up may still use it. */
static void a_closed_session_is_freed_before_the_next_turn_and_not_earlier(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    session_close(d->session, NULL);
    assert_int_equal(d->session->state, SESSION_CLOSED);
    assert_true(d->proxy.n_sessions == 0 && d->proxy.n_strangers == 0);
    session_close(d->session, NULL); /* harmless */
    session_end(d->session);
    assert_true(d->proxy.dead.next != &d->proxy.dead);
    ev_run(d->loop, EVRUN_NOWAIT);
    assert_true(d->proxy.dead.next == &d->proxy.dead);
    desk_hear_end(d, client, 0);
}

/* --- fronts --------------------------------------------------------------------------------------------- */

static void socks5_makes_a_tunnel(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    char ask[SOCKS5_ASK_LEN], in[10];
    say_bytes(client, SOCKS5_HELLO, sizeof SOCKS5_HELLO);
    hear_bytes(d, client, in, 2);
    assert_memory_equal(in, "\5\0", 2);
    write_socks5(d, ask);
    say_bytes(client, ask, sizeof ask);
    int dest = desk_accept(d);
    hear_bytes(d, client, in, 10);
    assert_memory_equal(in, "\5\0\0\1", 4);
    assert_tunnel(d, client, dest);
}

static void socks4_makes_a_tunnel(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    const char text[] = {4, 1, (char)(addr_port(&d->at) >> 8), (char)addr_port(&d->at), 127, 0, 0, 1, 0};
    char in[8];
    say_bytes(client, text, sizeof text);
    int dest = desk_accept(d);
    hear_bytes(d, client, in, sizeof in);
    assert_memory_equal(in, "\0\x5a", 2);
    assert_tunnel(d, client, dest);
}

/* Early data of a client waits for the destination. */
static void connect_makes_a_tunnel(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, "CONNECT $ HTTP/1.1\r\nHost: $\r\n\r\nearly");
    int dest = desk_accept(d);
    (void)desk_hear_head(d, client, "HTTP/1.1 200 ");
    desk_hear(d, dest, "early");
    assert_tunnel(d, client, dest);
}

/* The connection of an exchange is not reused for the tunnel that follows. */
static void connect_after_an_exchange(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    desk_ask(d, client, "CONNECT $ HTTP/1.1\r\nHost: $\r\n\r\n");
    desk_hear_end(d, dest, 0);
    dest = desk_accept(d);
    (void)desk_hear_head(d, client, "HTTP/1.1 200 ");
    assert_tunnel(d, client, dest);
}

static void every_split_of_socks5(void **state)
{
    struct desk *d = *state;
    char text[sizeof SOCKS5_HELLO + SOCKS5_ASK_LEN], in[12];
    memcpy(text, SOCKS5_HELLO, sizeof SOCKS5_HELLO);
    write_socks5(d, text + sizeof SOCKS5_HELLO);
    for (size_t at = 1; at < sizeof text; at++) {
        int client = desk_client(d);
        say_bytes(client, text, at);
        desk_turn_until(d, desk_has_read, (size_t)client, "the first part is not read");
        say_bytes(client, text + at, sizeof text - at);
        int dest = desk_accept(d);
        hear_bytes(d, client, in, sizeof in);
        assert_memory_equal(in, "\5\0\5\0\0\1", 6);
        desk_close(d, client);
        desk_hear_end(d, dest, 0);
        desk_close(d, dest);
        desk_await_closed(d);
    }
}

static void what_is_neither_is_told_so(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_say_str(client, "\x16\x03\x01 TLS\r\n\r\n");
    (void)desk_hear_head(d, client, "HTTP/1.1 400 Bad Request\r\n");
}

/* --- limits --------------------------------------------------------------------------------------------- */

/* Clients without a request have a limited number of places, and the oldest of them is closed. A client
 * with an accepted request stays. */
static void the_oldest_stranger_makes_room(void **state)
{
    struct desk *d = *state;
    d->proxy.settings.strangers_max = 2;
    int known = desk_client(d);
    int dest = serve_one(d, known);
    int first = desk_client(d), second = desk_client(d), third = desk_client(d);
    desk_hear_end(d, first, 0);
    assert_true(d->proxy.n_strangers == 2 && d->proxy.n_sessions == 3);
    desk_hear_nothing(d, second);
    desk_hear_nothing(d, third);
    desk_hear_nothing(d, known);
    desk_hear_nothing(d, dest);
}

/* A client more than may be strangers. */
static void overcrowd(struct desk *d)
{
    (void)desk_client(d);
    ev_run(d->loop, EVRUN_NOWAIT);
}

/* As if the lines were written ten seconds ago. */
static void age(struct log_limit *limit)
{
    limit->since_s -= 11;
}

/* Descriptors and strangers may run out together: neither line hides the other, and each counts its own. */
static void lines_of_two_kinds_are_limited_apart(void **state)
{
    struct desk *d = *state;
    struct listen_place place = {.addr = d->at};
    struct proxy_listener *l;
    addr_set_port(&place.addr, 0);
    assert_int_equal(proxy_listen(&d->proxy, &place, &(struct proxy_use){0}, &(struct proxy_opening){0}, &l),
                     0);
    d->proxy.settings.strangers_max = 0;
    for (int i = 0; i < 3; i++) {
        l->listener.starved(&l->listener, EMFILE);
        overcrowd(d);
    }
    assert_int_equal(fixture_log_count(d->f, "cannot accept clients"), 1);
    assert_int_equal(fixture_log_count(d->f, "too many clients without a request"), 1);
    age(&d->proxy.starvation_limit);
    age(&d->proxy.stranger_limit);
    l->listener.starved(&l->listener, EMFILE);
    overcrowd(d);
    assert_int_equal(fixture_log_count(d->f, "cannot accept clients"), 2);
    assert_int_equal(fixture_log_count(d->f, "too many clients without a request"), 2);
    assert_int_equal(fixture_log_count(d->f, "hidden=2"), 2);
}

/* --- the end -------------------------------------------------------------------------------------------- */

/* Closing at once would become a reset, which destroys the answer in transit. */
static void a_last_answer_outlives_what_the_client_still_sends(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_say_str(client, "nonsense\r\n\r\n");
    desk_turn_until(d, desk_is_in_state, SESSION_ENDING, "it was not refused");
    for (int i = 0; i < 20; i++) {
        desk_say_str(client, "more of it, which nobody wants\r\n");
        ev_run(d->loop, EVRUN_NOWAIT);
    }
    (void)desk_hear_head(d, client, "HTTP/1.1 400 Bad Request\r\n");
    assert_int_equal(d->session->state, SESSION_ENDING);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    desk_await_closed(d);
}

static bool drained;

static void on_drained(struct proxy *p)
{
    drained = true;
    ev_break(p->loop, EVBREAK_ALL);
}

static void a_drained_proxy_finishes_what_is_under_way(void **state)
{
    struct desk *d = *state;
    int resting = desk_client(d), rested = serve_one(d, resting), busy = desk_client(d);
    desk_ask(d, busy, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    drained = false;
    d->proxy.drained = on_drained;
    proxy_drain(&d->proxy);
    desk_hear_end(d, resting, 0);
    desk_hear_end(d, rested, 0);
    assert_false(drained);
    desk_say_str(dest, OK("late", 4));
    assert_non_null(strstr(desk_hear_head(d, busy, "HTTP/1.1 200 OK\r\n"), "Connection: close\r\n"));
    desk_hear(d, busy, "late");
    desk_hear_end(d, busy, 0);
    desk_close(d, busy);
    assert_true(run_until_within(d->loop, &drained, PATIENCE_S));
}

/* --- a front of a listener ------------------------------------------------------------------------------ */

static void greet(struct session *s)
{
    if (session_send(s, s->listener->use.setting, 5))
        session_end(s);
}

/* A server that speaks first waits for nothing. The first byte would choose another front. */
static void a_listener_with_a_front_of_its_own_waits_for_no_byte(void **state)
{
    static const struct front front = {.name = "greeter", .first_byte = 'x', .begin = greet};
    struct desk *d = *state;
    d->use = (struct proxy_use){.front = &front, .setting = "hello"};
    int client = desk_client(d);
    desk_hear(d, client, "hello");
    desk_hear_end(d, client, 0);
    desk_close(d, client);
    desk_await_closed(d);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_closed_session_is_freed_before_the_next_turn_and_not_earlier),
        ONE(socks5_makes_a_tunnel),
        ONE(socks4_makes_a_tunnel),
        ONE(connect_makes_a_tunnel),
        ONE(connect_after_an_exchange),
        ONE(every_split_of_socks5),
        ONE(what_is_neither_is_told_so),
        ONE(the_oldest_stranger_makes_room),
        ONE(lines_of_two_kinds_are_limited_apart),
        ONE(a_last_answer_outlives_what_the_client_still_sends),
        ONE(a_drained_proxy_finishes_what_is_under_way),
        ONE(a_listener_with_a_front_of_its_own_waits_for_no_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
