/* Requests that fail: the client gets an error, or is cut off so that it does not take a part for the
 * whole. */
#include "http/exchange_desk.h"

/* --- the client gets an error
 * ---------------------------------------------------------------------------- */

static void what_is_no_response_becomes_502(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, "220 mail.example.org ESMTP\r\n\r\n");
    const char *head = desk_hear_head(d, client, "HTTP/1.1 502 Bad Gateway\r\n");
    assert_non_null(strstr(head, "error=http_protocol_error"));
    desk_hear_end(d, dest, 0);
    desk_turn_until(d, is_at_rest, 0, "the request is under way"); /* the client keeps its connection */
    assert_int_equal(exchange_of_last(d)->dest_state, DEST_NONE);
    assert_null(d->session->outbound);
}

static void an_end_without_an_answer_becomes_502(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_close(d, dest);
    assert_non_null(strstr(desk_hear_head(d, client, "HTTP/1.1 502 "), "error=connection_terminated"));
    desk_no_connection(d); /* a request on a new connection is not repeated */
}

static void where_nothing_listens_the_client_is_told_and_kept(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d), listener = d->listener;
    d->listener = socket_at_loopback(AF_INET, SOCK_STREAM, &d->at);
    assert_int_equal(fcntl(d->listener, F_SETFL, O_NONBLOCK), 0);
    char open[sizeof d->to];
    memcpy(open, d->to, sizeof open);
    (void)snprintf(d->to, sizeof d->to, "127.0.0.1:%u", (unsigned)addr_port(&d->at));
    desk_ask(d, client, "HEAD http://$/ HTTP/1.1\r\nHost: $\r\n\r\n");
    (void)desk_hear_head(d, client, "HTTP/1.1 502 ");
    (void)close(d->listener);
    d->listener = listener;
    memcpy(d->to, open, sizeof open);
    (void)serve_one(d, client);
}

/* --- truncated responses -------------------------------------------------------------------------------- */

static void a_reset_amid_a_body_resets_the_client(void **state)
{
    static const char *const heads[] = {"Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n", ""};
    struct desk *d = *state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        int client = desk_client(d);
        char text[128];
        desk_ask(d, client, GET("/"));
        int dest = desk_accept(d);
        (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
        (void)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s\r\n8\r\nhalf", heads[i]);
        desk_say_str(dest, text);
        (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
        desk_hear(d, client, "8\r\nhalf");
        desk_reset(d, dest);
        desk_hear_end(d, client, ECONNRESET);
        desk_await_closed(d);
    }
}

/* With a length the client sees that something is missing. Without one, only a reset shows it. */
static void an_end_amid_a_body_does_not_pass_for_its_end(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, OK("half", 10));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "half");
    desk_close(d, dest);
    desk_hear_end(d, client, 0);

    client = desk_client(d);
    desk_ask(d, client,
             "GET http://$/ HTTP/1.0\r\n\r\n"); /* the client gets only the content of the chunks */
    dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "half");
    desk_close(d, dest);
    desk_hear_end(d, client, ECONNRESET);
}

static void broken_chunks_end_the_response(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    desk_ask(d, client, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "2\r\nok\r\n");
    desk_say_str(dest, "two\r\n");
    desk_hear_end(d, client, 0);
    desk_hear_end(d, dest, 0);
}

/* A send has failed: with EPIPE when the destination has sent FIN before, else by a reset. What it has
 * sent is read in both cases. */
static void a_destination_that_takes_no_more_may_have_said_why(void **state)
{
    static const int errors[] = {EPIPE, ECONNRESET};
    struct desk *d = *state;
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        int client = desk_client(d);
        desk_ask(d, client, "POST http://$/ HTTP/1.1\r\nHost: $\r\nContent-Length: 100\r\n\r\nbegin");
        int dest = desk_accept(d);
        (void)desk_hear_head(d, dest, "POST / HTTP/1.1\r\n");
        desk_hear(d, dest, "begin");
        exchange_note_broken(d->session->exchange, errors[i]);
        desk_say_str(client, "more");
        desk_say_str(dest, "HTTP/1.1 413 Too Large\r\n\r\nno");
        assert_non_null(
            strstr(desk_hear_head(d, client, "HTTP/1.1 413 Too Large\r\n"), "Connection: close\r\n"));
        desk_hear(d, client, "no");
        assert_int_equal(shutdown(dest, SHUT_WR), 0);
        desk_hear_end(d, client, errors[i] == EPIPE ? 0 : ECONNRESET);
        desk_hear_end(d, dest, 0); /* and nothing of what the client sent meanwhile */
    }
}

/* Its line is gone: the same call as in proxy_cut. */
static void a_connection_that_is_cut(void **state)
{
    struct desk *d = *state;
    int client = desk_client(d);
    int dest = serve_one(d, client);
    session_cut(d->session); /* between two requests: the client's connection stays */
    assert_int_equal(exchange_of_last(d)->dest_state, DEST_NONE);
    desk_hear_end(d, dest, 0);
    dest = serve_one(d, client);
    desk_ask(d, client, "POST http://$/ HTTP/1.1\r\nHost: $\r\nContent-Length: 1\r\n\r\n");
    (void)desk_hear_head(d, dest, "POST / HTTP/1.1\r\n");
    desk_say_str(dest, OK("half", 10));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "half");
    session_cut(d->session);
    desk_hear_end(d, client, ECONNRESET);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(what_is_no_response_becomes_502),
        ONE(an_end_without_an_answer_becomes_502),
        ONE(where_nothing_listens_the_client_is_told_and_kept),
        ONE(a_reset_amid_a_body_resets_the_client),
        ONE(an_end_amid_a_body_does_not_pass_for_its_end),
        ONE(broken_chunks_end_the_response),
        ONE(a_destination_that_takes_no_more_may_have_said_why),
        ONE(a_connection_that_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
