/* The states of an exchange, and the kept connection to the destination. */
#include "http/exchange_desk.h"

/* --- the states ----------------------------------------------------------------------------------------- */

/* The states that may follow each state: an x for each, in the order of the enum. */
static void assert_steps(bool (*may)(int, int), const char *const *rows, int n)
{
    for (int from = 0; from < n; from++)
        for (int to = 0; to < n; to++)
            if (may(from, to) != (rows[from][to] == 'x'))
                fail_msg("from state %d to state %d", from, to);
}

static bool request_may(int from, int to)
{
    return exchange_request_may((enum exchange_request_state)from, (enum exchange_request_state)to);
}

static bool response_may(int from, int to)
{
    return exchange_response_may((enum exchange_response_state)from, (enum exchange_response_state)to);
}

static bool dest_may(int from, int to)
{
    return exchange_dest_may((enum exchange_dest_state)from, (enum exchange_dest_state)to);
}

static void the_tables_allow_these_steps_and_no_others(void **state)
{
    static const char *const requests[] = {
        [REQUEST_NONE] = ".xx",
        [REQUEST_COMING] = "x.x",
        [REQUEST_WHOLE] = "x..",
    };
    static const char *const responses[] = {
        [RESPONSE_NONE] = ".x...", [RESPONSE_AWAITED] = "x.x..", /* no body before a head */
        [RESPONSE_HEAD] = "x..xx", [RESPONSE_BODY] = "x...x",    [RESPONSE_WHOLE] = "x....",
    };
    static const char *const dests[] = {
        [DEST_NONE] = ".x...",    [DEST_BUSY] = "x.xxx",
        [DEST_RESTING] = "xx...", [DEST_BROKEN] = "x...x", /* it never carries another request */
        [DEST_RESET] = "x...x",
    };
    (void)state;
    assert_steps(request_may, requests, ARRAY_LEN(requests));
    assert_steps(response_may, responses, ARRAY_LEN(responses));
    assert_steps(dest_may, dests, ARRAY_LEN(dests));
}

static void a_request_opens_and_closes_the_door_of_its_response(void **state)
{
    struct exchange x = {.fd = -1};
    (void)state;
    exchange_enter_request(&x, REQUEST_COMING);
    assert_int_equal(x.response_state, RESPONSE_AWAITED);
    exchange_enter_response(&x, RESPONSE_HEAD);
    exchange_enter_request(&x, REQUEST_WHOLE);
    assert_int_equal(x.response_state, RESPONSE_HEAD);
    exchange_enter_request(&x, REQUEST_NONE);
    assert_int_equal(x.response_state, RESPONSE_NONE);
}

/* --- the kept connection -------------------------------------------------------------------------------- */

static void a_kept_connection_serves_again(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    assert_true(exchange_of_last(d)->served == 1);
    desk_ask(d, client, GET("/again"));
    (void)desk_hear_head(d, dest, "GET /again HTTP/1.1\r\n");
    desk_say_str(dest, OK("again", 5));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "again");
    await_rest(d);
    assert_true(exchange_of_last(d)->served == 2);
    desk_no_connection(d);
}

static bool has_no_dest(const struct desk *d, size_t unused)
{
    (void)unused;
    return exchange_of_last(d)->dest_state == DEST_NONE;
}

static void one_that_ends_or_speaks_unasked_is_dropped(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    desk_close(d, dest);
    desk_turn_until(d, has_no_dest, 0, "the connection is kept");
    assert_null(d->session->outbound);
    dest = serve_one(d, client);
    desk_say_str(dest,
                 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); /* it would be taken for the next answer */
    desk_turn_until(d, has_no_dest, 0, "the connection is kept");
    (void)serve_one(d, client);
    desk_hear_nothing(d, client);
}

static bool has_asked_more(const struct desk *d, size_t unused)
{
    (void)unused;
    return d->session->in.len > 0;
}

/* The next request comes before the loop has looked at the connection. */
static void what_comes_behind_a_response_is_not_the_next_one(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/1") GET("/2"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET /1 HTTP/1.1\r\n");
    desk_say_str(dest, OK("1", 1) OK("unasked", 7));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "1");
    dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET /2 HTTP/1.1\r\n");
    desk_say_str(dest, OK("2", 3));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "2");
    desk_ask(d, client, GET("/3"));
    desk_turn_until(d, has_asked_more, 0, "the next request is not read");
    desk_say_str(dest, "22" OK("unasked", 7));
    desk_hear(d, client, "22");
    int fresh = desk_accept(d);
    (void)desk_hear_head(d, fresh, "GET /3 HTTP/1.1\r\n");
    desk_say_str(fresh, OK("3", 1));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "3");
}

/* It is closed just when the request arrives: by FIN, or by a reset. The proxy learns of it by sending or by
 * reading. */
static void one_that_is_closed_in_use_is_replaced(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    for (int i = 0; i < 4; i++) {
        bool reset = i % 2 == 1;
        desk_ask(d, client, GET("/again"));
        (void)desk_hear_head(d, dest, "GET /again HTTP/1.1\r\n");
        assert_true(exchange_of_last(d)->replay.len > 0);
        if (i >= 2)
            exchange_note_broken(d->session->exchange, reset ? ECONNRESET : EPIPE);
        if (reset)
            desk_reset(d, dest);
        else
            desk_close(d, dest);
        dest = desk_accept(d);
        (void)desk_hear_head(d, dest, "GET /again HTTP/1.1\r\n");
        desk_say_str(dest, OK("again", 5));
        (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
        desk_hear(d, client, "again");
        await_rest(d);
        assert_true(exchange_of_last(d)->served == 1);
    }
}

/* Only the client knows whether a repetition does harm, so it gets no answer, as from a server that closes
 * (RFC 9110 9.2.2). */
static void a_post_is_not_sent_twice(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    desk_ask(d, client, "POST http://$/ HTTP/1.1\r\nHost: $\r\nContent-Length: 0\r\n\r\n");
    (void)desk_hear_head(d, dest, "POST / HTTP/1.1\r\n");
    desk_close(d, dest);
    desk_hear_end(d, client, 0);
    desk_no_connection(d);
}

/* A server that has begun to answer has the request. */
static void an_answer_that_has_begun_is_not_asked_for_again(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    desk_ask(d, client, GET("/again"));
    (void)desk_hear_head(d, dest, "GET /again HTTP/1.1\r\n");
    desk_say_str(dest, "HTTP/1.1 20");
    desk_turn_until(d, has_response_state, RESPONSE_HEAD, "the head has not begun");
    desk_close(d, dest);
    assert_non_null(strstr(desk_hear_head(d, client, "HTTP/1.1 502 "), "error=http_response_incomplete"));
    desk_no_connection(d);
}

static void another_destination_gets_another_connection(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), dest = serve_one(d, client);
    char other[sizeof d->to];
    (void)snprintf(other, sizeof other, "127.0.0.2:%u", (unsigned)addr_port(&d->at));
    struct addr at;
    assert_int_equal(addr_parse_ip(&at, slice_str("127.0.0.2"), addr_port(&d->at)), 0);
    int place = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), first = d->listener;
    assert_int_equal(bind(place, &at.sa, addr_len(&at)), 0);
    assert_int_equal(listen(place, 1), 0);
    memcpy(d->to, other, sizeof other);
    d->listener = place;
    (void)serve_one(d, client);
    desk_hear_end(d, dest, 0);
    (void)close(place);
    d->listener = first;
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_allow_these_steps_and_no_others),
        cmocka_unit_test(a_request_opens_and_closes_the_door_of_its_response),
        ONE(a_kept_connection_serves_again),
        ONE(one_that_ends_or_speaks_unasked_is_dropped),
        ONE(what_comes_behind_a_response_is_not_the_next_one),
        ONE(one_that_is_closed_in_use_is_replaced),
        ONE(a_post_is_not_sent_twice),
        ONE(an_answer_that_has_begun_is_not_asked_for_again),
        ONE(another_destination_gets_another_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
