/* Which addresses may connect, and how a session behind a balancer takes the client's address from a PROXY
 * header. */
#include "inbound/desk.h"

#include "inbound/gate.h"

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
#define GREETING "\x05\x01\x00"
#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define HEADER SIG "\x21\x11\0\x0c\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb"
#define BYTES(literal) slice_of((literal), sizeof(literal) - 1)

static struct cidr_set balancers; /* 127.0.0.0/8 */

static void add_range(struct cidr_set *set, const char *text)
{
    struct cidr c;

    assert_int_equal(cidr_parse(&c, slice_str(text)), 0);
    assert_int_equal(cidr_set_add(set, &c), 0);
}

static int setup(void **state)
{
    assert_int_equal(desk_setup(state), 0);
    struct desk *d = *state;
    d->use.proxy_header = true;
    add_range(&balancers, "127.0.0.0/8");
    add_range(&d->access.clients, "192.0.2.0/24");
    add_range(&d->access.clients, "127.0.0.0/8");
    add_range(&d->access.clients, "203.0.113.0/24");
    d->proxy.settings.balancers = &balancers;
    return 0;
}

static int teardown(void **state)
{
    cidr_set_done(&balancers);
    return desk_teardown(state);
}

static void assert_peer(const struct desk *d, const char *expected)
{
    char text[ADDR_TEXT_MAX];

    assert_string_equal(addr_format(&d->session->peer, text), expected);
}

static bool has_input(const struct desk *d, size_t n)
{
    return d->session->in.len == n;
}

static void hear_greeting(struct desk *d, int client)
{
    char reply[2];

    d->want = slice_str("a SOCKS5 reply");
    desk_await(d, client);
    assert_int_equal(recv(client, reply, 2, 0), 2);
    assert_memory_equal(reply, "\x05\x00", 2);
}

/* A refused connection has sent bytes that are not read, so its end may be a reset. */
static void hear_refusal(struct desk *d, int client)
{
    char byte;

    d->want = slice_str("the end");
    desk_await(d, client);
    assert_true(recv(client, &byte, 1, 0) <= 0);
    desk_await_closed(d);
}

/* --- the header ----------------------------------------------------------------------------------------- */

static void the_header_names_the_client(void **state)
{
    static const struct slice headers[] = {{LINE, sizeof(LINE) - 1}, {HEADER, sizeof(HEADER) - 1}};
    struct desk *d = *state;

    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        int client = desk_client(d);
        desk_say(client, headers[i]);
        desk_say(client, BYTES(GREETING));
        hear_greeting(d, client);
        assert_peer(d, "192.0.2.1:56324");
        assert_string_equal(d->session->front->name, "socks5");
        desk_close(d, client);
        desk_await_closed(d);
    }
}

/* What follows the header comes in the same segment, or a part of it does. */
static void the_header_may_be_split_anywhere(void **state)
{
    struct desk *d = *state;
    const struct slice all = BYTES(HEADER GREETING);

    for (size_t cut = 1; cut <= all.len; cut++) {
        int client = desk_client(d);
        desk_say(client, slice_of(all.data, cut));
        if (cut < sizeof(HEADER) - 1) {
            desk_turn_until(d, has_input, cut, "a part of the header did not come");
            assert_false(
                strncmp("127.0.0.1", addr_format_ip(&d->session->peer, (char[ADDR_TEXT_MAX]){0}), 9));
            assert_null(d->session->front);
        }
        desk_say(client, slice_of(all.data + cut, all.len - cut));
        hear_greeting(d, client);
        assert_peer(d, "192.0.2.1:56324");
        desk_close(d, client);
        desk_await_closed(d);
    }
}

static void an_address_that_is_not_told_stays(void **state)
{
    static const struct slice headers[] = {{SIG "\x20\x00\0\0", 16}, {"PROXY UNKNOWN\r\n", 15}};
    struct desk *d = *state;

    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        int client = desk_client(d);
        struct addr own = bound_addr(client);
        desk_say(client, headers[i]);
        desk_say(client, BYTES(GREETING));
        hear_greeting(d, client);
        assert_true(addr_same_ip(&d->session->peer, &own));
        assert_int_equal(addr_port(&d->session->peer), addr_port(&own));
        desk_close(d, client);
        desk_await_closed(d);
    }
}

static void only_the_first_bytes_are_a_header(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);

    desk_say_str(client, LINE "PROXY TCP4 203.0.113.9 198.51.100.7 1 443\r\n\r\n");
    (void)desk_hear_head(d, client, "HTTP/1.1 400 Bad Request\r\n");
    assert_peer(d, "192.0.2.1:56324");
}

static void elsewhere_a_header_is_a_malformed_request(void **state)
{
    static const struct slice headers[] = {{LINE, sizeof(LINE) - 1}, {HEADER, sizeof(HEADER) - 1}};
    struct desk *d = *state;

    d->use.proxy_header = false;
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        int client = desk_client(d);
        struct addr own = bound_addr(client);
        desk_say(client, headers[i]);
        desk_say_str(client, "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n");
        (void)desk_hear_head(d, client, "HTTP/1.1 400 Bad Request\r\n");
        assert_int_equal(addr_port(&d->session->peer), addr_port(&own));
        desk_close(d, client);
        desk_await_closed(d);
    }
    desk_no_connection(d);
}

/* --- refusals ------------------------------------------------------------------------------------------- */

static void what_is_not_a_header_ends_the_connection(void **state)
{
    struct desk *d = *state;
    static const char *const texts[] = {GREETING, "GET http://h/ HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.400 ",
                                        "\n"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int client = desk_client(d);
        desk_say_str(client, texts[i]);
        hear_refusal(d, client);
        desk_close(d, client);
        assert_int_equal(
            fixture_log_count(d->f, "does not begin with a PROXY protocol header client=127.0.0.1"), i + 1);
    }
    for (size_t i = 0; i < 5; i++) {
        int client = desk_client(d);
        desk_say(client, BYTES(GREETING));
        hear_refusal(d, client);
        desk_close(d, client);
    }
    assert_int_equal(fixture_log_count(d->f, "does not begin"), PROXY_LINES_IN_WINDOW);
}

static void half_a_header_ends_by_the_handshake_timeout(void **state)
{
    struct desk *d = *state;

    d->proxy.settings.handshake_timeout_s = 0.2;
    int half = desk_client(d);
    desk_say(half, slice_of(HEADER, 20));
    int silent = desk_client(d);
    desk_hear_end(d, half, 0);
    desk_hear_end(d, silent, 0);
    desk_await_closed(d);
    assert_int_equal(fixture_log_count(d->f, "reason=timeout"), 2);
}

static void the_named_client_must_be_allowed(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);

    desk_say_str(client, "PROXY TCP4 198.51.100.99 198.51.100.7 56324 443\r\n" GREETING);
    hear_refusal(d, client);
    assert_int_equal(fixture_log_count(d->f, "not in an allowed range (--allow) client=198.51.100.99"), 1);
}

/* Loopback of another machine must not pass for loopback of this one, which may reach local services. */
static void loopback_elsewhere_is_not_loopback_here(void **state)
{
    struct desk *d = *state;
    static const char *const told[] = {"127.0.0.1", "0.0.0.0"};
    struct addr balancer;

    assert_int_equal(addr_parse(&balancer, slice_str("203.0.113.5:999")), 0);
    for (int own = 0; own < 2; own++) {
        if (own)
            add_range(&d->scene.own.ranges, "203.0.113.5");
        for (size_t i = 0; i < ARRAY_LEN(told); i++) {
            char line[80], named[80];
            int client = desk_client(d);
            d->session->peer = balancer;
            add_range(&d->access.clients, "0.0.0.0");
            (void)snprintf(line, sizeof line, "PROXY TCP4 %s 198.51.100.7 77 443\r\n", told[i]);
            (void)snprintf(named, sizeof named, "%s:77", told[i]);
            desk_say_str(client, line);
            desk_say(client, BYTES(GREETING));
            hear_greeting(d, client);
            assert_peer(d, own ? named : "203.0.113.5:999");
            desk_close(d, client);
            desk_await_closed(d);
        }
    }
    own_addresses_done(&d->scene.own);
    d->scene.own = (struct own_addresses){0};
}

/* --- addresses at accept -------------------------------------------------------------------------------- */

static bool lets_in(struct desk *d, const char *from, bool proxy_header)
{
    struct proxy_listener l = {.proxy = &d->proxy, .use = {.proxy_header = proxy_header}};
    struct addr a;

    assert_int_equal(addr_parse_ip(&a, slice_str(from), 1), 0);
    return gate_lets_in(&l, &a);
}

static void balancers_and_clients_come_by_listeners_of_their_own(void **state)
{
    struct desk *d = *state;

    assert_true(lets_in(d, "192.0.2.1", false));
    assert_false(lets_in(d, "198.51.100.1", false));
    assert_int_equal(fixture_log_count(d->f, "not in an allowed range (--allow) client=198.51.100.1"), 1);
    assert_true(lets_in(d, "127.0.0.1", true));
    assert_false(lets_in(d, "192.0.2.1", true)); /* a client, but not a balancer */
    assert_int_equal(
        fixture_log_count(d->f, "not from a named balancer (--proxy-protocol-from) client=192.0.2.1"), 1);
    d->proxy.settings.balancers = NULL;
    assert_false(lets_in(d, "127.0.0.1", true));
}

/* One kind of refusal must not hide another. */
static void refusals_are_limited_by_kind(void **state)
{
    struct desk *d = *state;

    for (int i = 0; i < 2 * PROXY_LINES_IN_WINDOW; i++)
        assert_false(lets_in(d, "198.51.100.1", true));
    assert_int_equal(fixture_log_count(d->f, "not from a named balancer"), PROXY_LINES_IN_WINDOW);
    assert_false(lets_in(d, "198.51.100.1", false));
    assert_int_equal(fixture_log_count(d->f, "not in an allowed range"), 1);
}

/* --- fronts of a listener ------------------------------------------------------------------------------- */

static void greet(struct session *s)
{
    if (session_send(s, s->listener->use.setting, 5))
        session_end(s);
}

static void a_front_of_the_listener_begins_behind_the_header(void **state)
{
    static const struct front front = {.name = "greeter", .first_byte = 'x', .begin = greet};
    struct desk *d = *state;

    d->use.front = &front;
    d->use.setting = "hello";
    int client = desk_client(d);
    desk_say(client, slice_of(HEADER, 20));
    desk_turn_until(d, has_input, 20, "a part of the header did not come");
    desk_hear_nothing(d, client);
    desk_say(client, slice_of(&HEADER[20], sizeof(HEADER) - 1 - 20));
    desk_hear(d, client, "hello");
    desk_close(d, client);
    desk_await_closed(d);
}

/* --- listeners with a front of their own ---------------------------------------------------------------- */

static void begin_nothing(struct session *s)
{
    (void)s;
}

/* They ask for no login, so they have ranges of their own. */
static void a_front_of_a_listener_has_its_own_clients(void **state)
{
    static const struct front front = {.name = "own", .first_byte = FRONT_NO_BYTE, .begin = begin_nothing};
    struct desk *d = *state;
    struct access few = {.n_users = 0};
    struct proxy_listener l = {.proxy = &d->proxy};
    struct addr in, out;

    add_range(&few.clients, "192.0.2.0/24");
    assert_int_equal(addr_parse_ip(&in, slice_str("192.0.2.1"), 1), 0);
    assert_int_equal(addr_parse_ip(&out, slice_str("203.0.113.1"), 1), 0);
    d->proxy.settings.unasked = &few;
    assert_true(gate_lets_in(&l, &in) && gate_lets_in(&l, &out));
    l.use.front = &front;
    assert_true(gate_lets_in(&l, &in));
    assert_false(gate_lets_in(&l, &out));
    add_range(&d->scene.own.ranges, "203.0.113.0/24");
    assert_false(gate_lets_in(&l, &out));
    l.use.own_clients = true; /* this machine's own programs, whose connections are captured */
    assert_true(gate_lets_in(&l, &out));
    d->proxy.settings.unasked = NULL;
    own_addresses_done(&d->scene.own);
    access_done(&few);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(the_header_names_the_client),
        ONE(the_header_may_be_split_anywhere),
        ONE(an_address_that_is_not_told_stays),
        ONE(only_the_first_bytes_are_a_header),
        ONE(elsewhere_a_header_is_a_malformed_request),
        ONE(a_front_of_the_listener_begins_behind_the_header),
        ONE(what_is_not_a_header_ends_the_connection),
        ONE(half_a_header_ends_by_the_handshake_timeout),
        ONE(the_named_client_must_be_allowed),
        ONE(loopback_elsewhere_is_not_loopback_here),
        ONE(balancers_and_clients_come_by_listeners_of_their_own),
        ONE(refusals_are_limited_by_kind),
        ONE(a_front_of_a_listener_has_its_own_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
