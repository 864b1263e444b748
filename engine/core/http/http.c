/* The HTTP front: reads request heads, checks logins, and starts a CONNECT or an exchange.
 *
 * After a refusal the connection is kept where that is safe. The next request in the buffer is served in the
 * same turn of the loop. REFUSALS_FREE limits that: further answers are delayed by a second each, without
 * reading meanwhile, and REFUSALS_MAX ends the connection. So neither guesses nor other refused requests
 * block the loop. */
#include "http/http.h"

#include "http/exchange.h"
#include "http/pac.h"
#include "inbound/login.h"
#include "inbound/reply.h"

#include <stdlib.h>
#include <string.h>

/* In a row on one connection. Programs that first ask without their password stay far below, since an
 * accepted request resets the count (unless a wrong password was given before). */
enum { REFUSALS_FREE = 10, REFUSALS_MAX = 15 };
/* The delay of an answer: one guess a second is useless to an attacker. */
static const double HELD_S = 1;

/* The proxy's own answer to the request at the front of s->in, whose head took `consumed` bytes. The
 * connection is kept where that is safe: the body of a refused request must not be taken for the next
 * request. */
static void answer(struct session *s, int status, const char *error, const char *text,
                   const struct http_head *head, const struct http_request *request)
{
    bool keep = request && request->keep_alive && request->body.kind == HTTP_BODY_NONE &&
                !s->proxy->draining && !s->client_ended;
    bool head_only = head && slice_eq(head->method, slice_str("HEAD"));
    bool hold = keep && ++s->refusals > REFUSALS_FREE && !s->waited;

    s->waited = false;
    keep = keep && s->refusals < REFUSALS_MAX;
    if (http_write_error(&s->out, status, error, text, keep, head_only) < 0)
        return session_close(s, NULL);
    if (hold)
        buf_consume(&s->in, head->consumed);
    if (hold)
        return session_slow_down(s, HELD_S);
    if (!keep)
        return session_end(s);
    buf_consume(&s->in, head->consumed);
    session_rearm(s);
    (void)session_flush(s);
}

/* @return whether the request may continue; else it was answered, or waits */
static bool authorized(struct session *s, const struct http_head *head, const struct http_request *request)
{
    switch (session_login(s, request->has_auth, request->user, request->pass)) {
    case LOGIN_WAITS:
        return false;
    case LOGIN_WRONG:
        s->guessed = s->guessed || request->has_auth;
        if (request->has_auth) /* without a password: browsers ask that way first */
            session_rejected_user(s, "bad-credentials", request->user);
        answer(s, 407, NULL, "This proxy needs a user name and a password.", head, request);
        return false;
    case LOGIN_RIGHT:
        break;
    }
    s->waited = false;
    s->refusals = s->guessed ? s->refusals : 0;
    free(s->user);
    s->user = request->user.len ? strndup(request->user.data, request->user.len) : NULL;
    return true;
}

static void http_refuse(struct session *s, enum http_objection why, const struct http_head *head,
                        const struct http_request *request)
{
    session_rejected(s, why == HTTP_BAD_REQUEST ? "malformed" : "unsupported");
    switch (why) {
    case HTTP_NOT_A_PROXY_REQUEST:
        return answer(s, (int)why, NULL,
                      "This is a proxy: set it as the HTTP or SOCKS proxy of your browser, then ask again.",
                      head, NULL);
    case HTTP_NOT_SUPPORTED:
        if (request->body.coded) /* the end of the body is not known */
            return answer(s, (int)why, "http_request_error",
                          "This proxy accepts only chunked as the transfer coding of a request.", head, NULL);
        return answer(s, (int)why, "http_request_error",
                      "This proxy forwards http:// requests and CONNECT only.", head, request);
    case HTTP_BAD_EXPECTATION:
        return answer(s, (int)why, "http_request_error", "Only 100-continue can be expected.", head, NULL);
    case HTTP_BAD_REQUEST:
    case HTTP_FINE:
        break;
    }
    answer(s, HTTP_BAD_REQUEST, "http_request_error", "The request is malformed.", head, NULL);
}

static void serve(struct session *s, const struct http_head *head)
{
    struct http_request request;
    enum http_objection why = http_interpret(&request, head);

    if (why == HTTP_NOT_A_PROXY_REQUEST && s->proxy->settings.pac && pac_is_asked(head))
        return pac_answer(s, head);
    if (why != HTTP_FINE)
        return http_refuse(s, why, head, &request);
    if (!authorized(s, head, &request))
        return;
    if (request.kind == HTTP_FORWARD)
        return exchange_begin(s, head, &request);
    exchange_drop_dest(s, "closed");
    buf_consume(&s->in, head->consumed);
    session_connect(s, &request.target, POLICY_CONNECT, &s->in);
}

static void http_advance(struct session *s)
{
    if (s->state == SESSION_EXCHANGE)
        return exchange_client_readable(s);
    /* One round for each request: after an answer the session is still reading. */
    while (s->state == SESSION_READING && s->in.len > 0) {
        struct http_head head;
        struct slice in = buf_slice(&s->in);

        switch (http_parse_request(&head, in.data, in.len)) {
        case PARSE_OK:
            serve(s, &head);
            continue;
        case PARSE_NEED_MORE:
            if (s->client_ended)
                return session_end(s);
            if (buf_room(&s->in) > 0)
                return;
            session_rejected(s, "malformed");
            return answer(s, 431, "http_request_error", "The request's head is too large.", NULL, NULL);
        case PARSE_BAD:
            session_rejected(s, "malformed");
            if (in.len >= HTTP_HEAD_MAX)
                return answer(s, 431, "http_request_error", "The request's head is too large.", NULL, NULL);
            return answer(s, HTTP_BAD_REQUEST, "http_request_error",
                          "This is neither an HTTP request nor SOCKS.", NULL, NULL);
        }
    }
    if (s->state == SESSION_READING && s->client_ended)
        session_end(s);
}

static void http_connected(struct session *s, enum fault fault, const char *refusal)
{
    static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";

    if (exchange_pending(s))
        return fault == FAULT_NONE ? exchange_connected(s) : exchange_failed(s, fault, refusal);
    if (fault != FAULT_NONE) {
        struct reply_http r = reply_http(fault);
        return answer(s, r.status, r.error, *refusal ? refusal : r.text, NULL, NULL);
    }
    if (session_send(s, established, sizeof established - 1))
        session_tunnel(s);
}

static void http_timed_out(struct session *s)
{
    answer(s, 408, "http_request_error", "The request was not complete in time.", NULL, NULL);
}

static void http_hold_over(struct session *s)
{
    session_enter(s, SESSION_READING);
    if (s->waited || s->checked)
        return http_advance(s);
    if (s->refusals >= REFUSALS_MAX || s->proxy->draining)
        return session_end(s);
    if (session_flush(s))
        http_advance(s);
}

const struct front FRONT_HTTP = {
    .name = "http",
    .first_byte = FRONT_ANY_BYTE, /* its parser refuses anything except HTTP */
    .rests = true,
    .advance = http_advance,
    .connected = http_connected,
    .timed_out = http_timed_out,
    .hold_over = http_hold_over,
    .exchange = &EXCHANGE_FUNCTIONS,
};
