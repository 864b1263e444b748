/* One request and its response at a time, between a client and a destination that the test plays, over real
 * sockets on loopback. */
#include "http/exchange_desk.h"

/* --- responses ------------------------------------------------------------------------------------------ */

static void a_body_of_known_length(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/a"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET /a HTTP/1.1\r\n");
    assert_int_equal(exchange_of_last(d)->request_state, REQUEST_WHOLE);
    assert_int_equal(exchange_of_last(d)->response_state, RESPONSE_AWAITED);
    desk_say_str(dest, "HTTP/1.1 200 O");
    desk_turn_until(d, has_response_state, RESPONSE_HEAD, "the head has not begun");
    desk_say_str(dest, "K\r\nContent-Length: 10\r\n\r\nfirst");
    const char *head = desk_hear_head(d, client, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n");
    assert_null(strstr(head, "close"));
    desk_hear(d, client, "first");
    assert_int_equal(exchange_of_last(d)->response_state, RESPONSE_BODY);
    desk_say_str(dest, "other");
    desk_hear(d, client, "other");
    await_rest(d);
}

static void chunks_pass_as_they_are(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
    assert_non_null(
        strstr(desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n"), "Transfer-Encoding: chunked\r\n"));
    desk_hear(d, client, "5\r\nhel");
    desk_say_str(dest, "lo\r\n0\r\n\r\n");
    desk_hear(d, client, "lo\r\n0\r\n\r\n");
    await_rest(d);
}

static void a_response_to_head_has_no_body(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, "HEAD http://$/ HTTP/1.1\r\nHost: $\r\n\r\n");
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "HEAD / HTTP/1.1\r\n");
    desk_say_str(dest, OK("", 4000));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n");
    await_rest(d);
    desk_hear_nothing(d, client);
}

static void an_interim_response_goes_before_the_final_one(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client,
             "POST http://$/ HTTP/1.1\r\nHost: $\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "POST / HTTP/1.1\r\n");
    desk_say_str(dest, "HTTP/1.1 100 Continue\r\n\r\n");
    (void)desk_hear_head(d, client, "HTTP/1.1 100 Continue\r\n");
    assert_int_equal(exchange_of_last(d)->response_state, RESPONSE_HEAD);
    assert_int_equal(exchange_of_last(d)->request_state, REQUEST_COMING);
    desk_say_str(client, "body");
    desk_hear(d, dest, "body");
    desk_say_str(dest, OK("done", 4));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "done");
    await_rest(d);
}

static void a_body_may_end_with_its_connection(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, "HTTP/1.1 200 OK\r\n\r\nall of it");
    assert_non_null(strstr(desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n"), "Connection: close\r\n"));
    desk_hear(d, client, "all of it");
    desk_close(d, dest);
    desk_hear_end(d, client, 0);
    desk_close(d, client);
    desk_await_closed(d);
}

/* --- requests ------------------------------------------------------------------------------------------- */

static bool has_said(const struct desk *d, size_t bytes)
{
    return d->session->in.len >= bytes;
}

static bool has_answered(const struct desk *d, size_t bytes)
{
    return d->session->outbound->rx >= bytes;
}

static void every_split_of_a_head(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    char text[256];
    int len =
        snprintf(text, sizeof text, "GET http://%s/b HTTP/1.1\r\nHost: %s\r\nX: y\r\n\r\n", d->to, d->to);
    for (int at = 1; at < len; at++) {
        desk_say(client, slice_of(text, (size_t)at));
        desk_turn_until(d, has_said, (size_t)at, "the first part is not read");
        assert_int_equal(d->session->state, SESSION_READING);
        desk_say(client, slice_of(text + at, (size_t)(len - at)));
        (void)desk_hear_head(d, dest, "GET /b HTTP/1.1\r\n");
        desk_say_str(dest, OK("b", 1));
        (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
        desk_hear(d, client, "b");
        await_rest(d);
    }
    for (int at = 0; at < len; at++) { /* byte by byte */
        desk_say(client, slice_of(text + at, 1));
        if (at < len - 1)
            desk_turn_until(d, has_said, (size_t)at + 1, "a byte is not read");
    }
    (void)desk_hear_head(d, dest, "GET /b HTTP/1.1\r\n");
    desk_no_connection(d);
}

static void every_split_of_a_response(void **state)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    for (size_t at = 1; at < sizeof text - 1; at++) {
        desk_ask(d, client, GET("/c"));
        (void)desk_hear_head(d, dest, "GET /c HTTP/1.1\r\n");
        size_t before = (size_t)d->session->outbound->rx;
        desk_say(dest, slice_of(text, at));
        desk_turn_until(d, has_answered, before + at, "the first part is not read");
        desk_say_str(dest, text + at);
        (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
        desk_hear(d, client, "3\r\nabc\r\n0\r\nA: b\r\n\r\n");
        await_rest(d);
    }
}

static void requests_in_one_go_are_sent_one_by_one(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/1") GET("/2") GET("/3"));
    int dest = desk_accept(d);
    for (int i = 1; i <= 3; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "GET /%d HTTP/1.1\r\n", i);
        (void)desk_hear_head(d, dest, line);
        desk_hear_nothing(d, dest); /* no byte of the next request before this one is answered */
        (void)snprintf(line, sizeof line, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", i);
        desk_say_str(dest, line);
        (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
        desk_hear(d, client, line + strlen(line) - 1);
    }
    await_rest(d);
    assert_true(exchange_of_last(d)->served == 3);
    desk_no_connection(d);
}

static bool has_no_room(const struct desk *d, size_t unused)
{
    (void)unused;
    return buf_room(&d->session->in) == 0;
}

/* No read follows where nothing could be put: it would look like the client's end. */
static void a_client_that_asks_far_ahead_is_held_up(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    char path[2000], line[2100], text[2200];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    (void)snprintf(line, sizeof line, "GET /%s HTTP/1.1\r\n", path);
    (void)snprintf(text, sizeof text, "GET http://$/%s HTTP/1.1\r\nHost: $\r\n\r\n", path);
    for (int i = 0; i < 40; i++) /* 80 KiB and more */
        desk_ask(d, client, text);
    int dest = desk_accept(d);
    for (int i = 0; i < 40; i++) {
        (void)desk_hear_head(d, dest, line);
        if (i == 0) {
            desk_turn_until(d, has_no_room, 0, "it is read no further");
            assert_false(ev_is_active(&d->session->read));
        }
        desk_say_str(dest, OK("1", 1));
        (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
        desk_hear(d, client, "1");
    }
    await_rest(d);
}

static size_t hear_body(int fd, size_t got, size_t total)
{
    int end = 0;
    return drain_up_to(fd, got, total, &end);
}

/* Bytes that the proxy holds because the destination or the client does not take them. */
static bool keeps_for_dest(const struct desk *d, size_t bytes)
{
    return exchange_waiting(exchange_of_last(d)) >= bytes;
}

static bool keeps_for_client(const struct desk *d, size_t bytes)
{
    return session_owed(d->session) >= bytes;
}

/* By default the kernel buffers megabytes. */
static void let_the_kernel_take_little(const struct desk *d, int client, int dest, int bytes)
{
    const int fds[] = {client, d->session->fd, exchange_of_last(d)->fd, dest};

    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    }
}

enum { BODY = 4 * 1024 * 1024, KEPT_MAX = 512 * 1024 };

/* A body from one end to the other, which reads nothing until the proxy has stopped reading the first. */
static void carry_slowly(struct desk *d, int from, int to, desk_is_fn *keeps, const ev_io *source)
{
    double give_up_s = clock_now_s() + PATIENCE_S;
    size_t sent = 0, got = 0;

    while (!keeps(d, 1)) {
        sent = feed(from, sent, BODY);
        ev_run(d->loop, EVRUN_NOWAIT);
        assert_true(sent < BODY && clock_now_s() < give_up_s);
    }
    assert_false(ev_is_active(source));
    while (got < BODY) {
        sent = feed(from, sent, BODY);
        ev_run(d->loop, EVRUN_NOWAIT);
        got = hear_body(to, got, BODY);
        assert_true(!keeps(d, KEPT_MAX) && clock_now_s() < give_up_s);
    }
}

/* One kind of body is moved from socket to socket, the other is parsed. */
static void a_large_request_waits_for_a_slow_destination(void **state)
{
    struct desk *d = *state;
    for (int chunked = 0; chunked < 2; chunked++) {
        int client = desk_client(d);
        desk_ask(d, client, "POST http://$/ HTTP/1.1\r\nHost: $\r\n");
        desk_say_str(client, chunked ? "Transfer-Encoding: chunked\r\n\r\n400000\r\n"
                                     : "Content-Length: 4194304\r\n\r\n");
        int dest = desk_accept(d);
        (void)desk_hear_head(d, dest, "POST / HTTP/1.1\r\n");
        if (chunked)
            desk_hear(d, dest, "400000\r\n");
        let_the_kernel_take_little(d, client, dest, 64 * 1024);
        carry_slowly(d, client, dest, keeps_for_dest, &d->session->read);
        if (chunked) {
            assert_int_equal(exchange_of_last(d)->request_state, REQUEST_COMING);
            desk_say_str(client, "\r\n0\r\n\r\n");
            desk_hear(d, dest, "\r\n0\r\n\r\n");
        }
        assert_int_equal(exchange_of_last(d)->request_state, REQUEST_WHOLE);
        desk_say_str(dest, OK("got it", 6));
        (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
        desk_hear(d, client, "got it");
        await_rest(d);
    }
}

static void a_large_response_waits_for_a_slow_client(void **state)
{
    struct desk *d = *state;
    for (int chunked = 0; chunked < 2; chunked++) {
        int client = desk_client(d);
        desk_ask(d, client, GET("/"));
        int dest = desk_accept(d);
        (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
        desk_say_str(dest, "HTTP/1.1 200 OK\r\n");
        desk_say_str(dest, chunked ? "Transfer-Encoding: chunked\r\n\r\n400000\r\n"
                                   : "Content-Length: 4194304\r\n\r\n");
        (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
        if (chunked)
            desk_hear(d, client, "400000\r\n");
        let_the_kernel_take_little(d, client, dest, 64 * 1024);
        carry_slowly(d, dest, client, keeps_for_client, &exchange_of_last(d)->read);
        if (chunked) {
            assert_int_equal(exchange_of_last(d)->response_state, RESPONSE_BODY);
            desk_say_str(dest, "\r\n0\r\n\r\n");
            desk_hear(d, client, "\r\n0\r\n\r\n");
        }
        await_rest(d);
    }
}

/* The request is complete, and answered before the destination has taken it. The next request is sent
 * after its body. */
static void the_next_request_waits_until_this_one_has_gone_out(void **state)
{
    enum { LEN = 60000 };
    static const char post[] = "POST http://$/ HTTP/1.1\r\nHost: $\r\nContent-Length: 60000\r\n\r\n";
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/1"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET /1 HTTP/1.1\r\n");
    desk_ask(d, client, post);
    size_t head_len = strlen(post) - 2 + 2 * strlen(d->to);
    for (size_t sent = 0; sent < LEN;) {
        sent = feed(client, sent, LEN);
        desk_turn_until(d, has_said, head_len + sent, "the body is not read");
    }
    let_the_kernel_take_little(d, client, dest, 4 * 1024);
    desk_say_str(dest, OK("1", 1));
    (void)desk_hear_head(d, dest, "POST / HTTP/1.1\r\n");
    assert_true(exchange_waiting(exchange_of_last(d)) > 0);
    assert_int_equal(exchange_of_last(d)->request_state, REQUEST_WHOLE);
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "1");
    desk_say_str(dest, OK("early", 5));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "early");
    assert_int_equal(exchange_of_last(d)->response_state, RESPONSE_WHOLE);
    desk_ask(d, client, GET("/next"));
    double give_up_s = clock_now_s() + PATIENCE_S;
    for (size_t got = 0; got < LEN && clock_now_s() < give_up_s;) {
        got = hear_body(dest, got, LEN);
        ev_run(d->loop, EVRUN_NOWAIT);
    }
    (void)desk_hear_head(d, dest, "GET /next HTTP/1.1\r\n");
}

static void a_response_may_come_before_its_request_is_whole(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, "POST http://$/ HTTP/1.1\r\nHost: $\r\nContent-Length: 100\r\n\r\nbegin");
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "POST / HTTP/1.1\r\n");
    desk_hear(d, dest, "begin");
    desk_say_str(dest, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    /* In place of the rest of the body, no other request can follow. */
    assert_non_null(strstr(desk_hear_head(d, client, "HTTP/1.1 413 Too Large\r\n"), "Connection: close\r\n"));
    desk_hear(d, client, "no");
    desk_hear_end(d, client, 0);
    desk_hear_end(d, dest, 0);
    assert_int_equal(d->session->state, SESSION_ENDING);
}

static void a_malformed_body_becomes_400(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client,
             "POST http://$/ HTTP/1.1\r\nHost: $\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n");
    int dest = desk_accept(d);
    (void)desk_hear_head(d, client, "HTTP/1.1 400 ");
    (void)dest;
    desk_turn_until(d, desk_is_in_state, SESSION_ENDING, "the session goes on");
}

static void a_client_may_have_said_its_last(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/1") GET("/2"));
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET /1 HTTP/1.1\r\n");
    desk_say_str(dest, OK("1", 1));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "1");
    (void)desk_hear_head(d, dest, "GET /2 HTTP/1.1\r\n");
    desk_say_str(dest, OK("2", 1));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "2");
    desk_hear_end(d, client, 0);
    desk_await_closed(d);
}

static void a_client_that_leaves_amid_its_body_wants_no_answer(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, "POST http://$/ HTTP/1.1\r\nHost: $\r\nContent-Length: 10\r\n\r\nhalf");
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "POST / HTTP/1.1\r\n");
    desk_hear(d, dest, "half");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    desk_hear_end(d, dest, 0);
    desk_await_closed(d);
    desk_hear_end(d, client, 0);
}

/* --- upgrades ------------------------------------------------------------------------------------------- */

static void an_upgrade_makes_a_tunnel(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, "GET http://$/ HTTP/1.1\r\nHost: $\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n");
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello");
    (void)desk_hear_head(d, client, "HTTP/1.1 101 ");
    desk_hear(d, client, "hello");
    assert_int_equal(d->session->state, SESSION_TUNNEL);
    assert_int_equal(exchange_of_last(d)->request_state, REQUEST_NONE);
    assert_int_equal(exchange_of_last(d)->dest_state, DEST_NONE);
    desk_say_str(client, "and back");
    desk_hear(d, dest, "and back");
    desk_close(d, dest);
    desk_hear_end(d, client, 0);
    desk_close(d, client);
    desk_await_closed(d);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_body_of_known_length),
        ONE(chunks_pass_as_they_are),
        ONE(a_response_to_head_has_no_body),
        ONE(an_interim_response_goes_before_the_final_one),
        ONE(a_body_may_end_with_its_connection),
        ONE(every_split_of_a_head),
        ONE(every_split_of_a_response),
        ONE(requests_in_one_go_are_sent_one_by_one),
        ONE(a_client_that_asks_far_ahead_is_held_up),
        ONE(a_large_request_waits_for_a_slow_destination),
        ONE(a_large_response_waits_for_a_slow_client),
        ONE(the_next_request_waits_until_this_one_has_gone_out),
        ONE(a_response_may_come_before_its_request_is_whole),
        ONE(a_malformed_body_becomes_400),
        ONE(a_client_may_have_said_its_last),
        ONE(a_client_that_leaves_amid_its_body_wants_no_answer),
        ONE(an_upgrade_makes_a_tunnel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
