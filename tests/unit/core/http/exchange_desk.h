/* Shared by the tests of an exchange: requests and answers, and a first request that was served. */
#ifndef STEERWAY_TEST_HTTP_EXCHANGE_DESK_H
#define STEERWAY_TEST_HTTP_EXCHANGE_DESK_H

#include "inbound/desk.h"

#define GET(path) "GET http://$" path " HTTP/1.1\r\nHost: $\r\n\r\n"
#define OK(body, len) "HTTP/1.1 200 OK\r\nContent-Length: " #len "\r\n\r\n" body

static inline const struct exchange *exchange_of_last(const struct desk *d)
{
    assert_non_null(d->session->exchange);
    return d->session->exchange;
}

static inline bool is_at_rest(const struct desk *d, size_t unused)
{
    (void)unused;
    return d->session->state == SESSION_READING;
}

/* The proxy has finished the request and keeps its connections. */
static inline void await_rest(struct desk *d)
{
    desk_turn_until(d, is_at_rest, 0, "the request is under way");
    const struct exchange *x = exchange_of_last(d);
    assert_int_equal(x->request_state, REQUEST_NONE);
    assert_int_equal(x->response_state, RESPONSE_NONE);
    assert_true(x->dest_state == DEST_RESTING && x->fd >= 0 && d->session->outbound);
    assert_true(exchange_waiting(x) == 0 && x->from_dest.len == 0 && x->replay.len == 0);
}

static inline bool has_response_state(const struct desk *d, size_t state)
{
    return exchange_of_last(d)->response_state == (enum exchange_response_state)state;
}

/* Serve a first request, so that the next one meets a kept connection. @return the destination's end */
static inline int serve_one(struct desk *d, int client)
{
    desk_ask(d, client, GET("/first"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET /first HTTP/1.1\r\n");
    desk_say_str(dest, OK("first", 5));
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    desk_hear(d, client, "first");
    await_rest(d);
    return dest;
}

#endif
