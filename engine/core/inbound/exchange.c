#include "inbound/exchange_state.h"

#include "base/clock.h"
#include "inbound/reply.h"
#include "net/keepalive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A line is given that long at first to acknowledge what a kept connection sends. */
static const double FIRST_ACK_LOOK_S = 2;

/* --- the end of a request ------------------------------------------------------------------------------- */

void exchange_abort(struct exchange *x, const char *outcome)
{
    struct session *s = x->session;
    bool broken_off = x->dest_state == DEST_RESET && exchange_head_went(x);
    bool reset = broken_off || pump_waiting(&s->down) > 0 || exchange_end_would_mislead(x);

    exchange_drop_dest(s, outcome);
    exchange_enter_request(x, REQUEST_NONE);
    if (reset)
        return session_reset(s);
    session_end(s);
}

void exchange_answer(struct exchange *x, int status, const char *error, const char *text)
{
    struct session *s = x->session;
    bool whole = x->request_state == REQUEST_WHOLE;
    bool keep = x->client_keeps && whole && !s->client_ended && !s->proxy->draining;

    exchange_enter_request(x, REQUEST_NONE);
    if (http_write_error(&s->out, status, error, text, keep, strcmp(x->method, "HEAD") == 0) < 0)
        return session_close(s, NULL);
    if (!keep)
        return session_end(s);
    session_enter(s, SESSION_READING);
    if (session_flush(s))
        s->front->advance(s);
}

void exchange_dest_failed(struct exchange *x, const char *error, const char *text)
{
    if (exchange_head_went(x))
        return exchange_abort(x, "reset");
    exchange_drop_dest(x->session, "reset");
    exchange_answer(x, 502, error, text);
}

static bool may_keep_dest(const struct exchange *x)
{
    return x->response.keep_alive && x->request_state == REQUEST_WHOLE && x->from_dest.len == 0 &&
           x->dest_state == DEST_BUSY && !x->session->proxy->draining;
}

bool exchange_settle(struct exchange *x)
{
    if (x->response_state != RESPONSE_WHOLE || pump_waiting(&x->session->down) > 0)
        return false;
    /* An answer can be there before its request has gone out as a whole; the next must not go before that. */
    if (may_keep_dest(x) && exchange_waiting(x) > 0)
        return false;
    exchange_finish(x);
    return true;
}

void exchange_finish(struct exchange *x)
{
    struct session *s = x->session;
    /* A client that has said its last may have said several requests before. */
    bool whole = x->request_state == REQUEST_WHOLE;
    bool client_stays = x->client_keeps && whole && (!s->client_ended || s->in.len > 0);
    bool keep = may_keep_dest(x) && exchange_waiting(x) == 0;

    exchange_enter_request(x, REQUEST_NONE);
    buf_done(&x->replay);
    if (keep)
        exchange_rest_dest(x);
    else
        exchange_drop_dest(s, "closed");
    if (!client_stays || s->proxy->draining)
        return session_end(s);
    session_enter(s, SESSION_READING);
    s->front->advance(s);
}

/* A connection that had rested was closed by its server just as we used it again; ask on a fresh one. */
static bool try_again(struct exchange *x)
{
    struct session *s = x->session;

    if (x->replay.len == 0)
        return false;
    exchange_drop_dest(s, "closed");
    x->to_dest = x->replay;
    buf_init(&x->replay, x->to_dest.max);
    session_connect(s, &x->target, POLICY_HTTP, &x->to_dest);
    return true;
}

void exchange_dest_ended(struct exchange *x, bool orderly)
{
    if (x->dest_state == DEST_RESTING)
        return exchange_drop_dest(x->session, "closed");
    if (!orderly)
        exchange_enter_dest(x, DEST_RESET);
    bool was_reset = x->dest_state == DEST_RESET;
    if (was_reset)
        outbound_note_reset(x->session->outbound);
    if (exchange_head_went(x) && !was_reset && x->response.body.kind == HTTP_BODY_UNTIL_CLOSE) {
        exchange_enter_response(x, RESPONSE_WHOLE);
        x->response.keep_alive = x->client_keeps = false;
        return exchange_finish(x);
    }
    if (try_again(x))
        return;
    bool answered = x->response_state != RESPONSE_AWAITED;
    if (!answered && x->served > 0) /* not ours to repeat; the client may (RFC 9110 9.2.2) */
        return exchange_abort(x, "reset");
    if (!answered)
        return exchange_dest_failed(x, "connection_terminated", "The destination closed without an answer.");
    exchange_dest_failed(x, "http_response_incomplete", "The destination closed in the midst of its answer.");
}

/* --- called by the front -------------------------------------------------------------------------------- */

/* Requests that do the same when they are done twice (RFC 9110 9.2.2), as far as they have no body. */
static bool repeatable(const struct exchange *x)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

    if (x->request_state != REQUEST_WHOLE || x->upgrade)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(x->method, methods[i]) == 0)
            return true;
    return false;
}

void exchange_begin(struct session *s, const struct http_head *head, const struct http_request *request)
{
    struct exchange *x = exchange_of(s);

    if (!x)
        return session_close(s, NULL);
    bool whole = request->body.kind == HTTP_BODY_NONE || request->body.done;
    exchange_enter_request(x, whole ? REQUEST_WHOLE : REQUEST_COMING);
    size_t len = head->method.len < sizeof x->method - 1 ? head->method.len : sizeof x->method - 1;
    memcpy(x->method, head->method.data, len);
    x->method[len] = '\0';
    x->client_minor = head->minor;
    x->client_keeps = request->keep_alive;
    x->upgrade = request->upgrade;
    x->request_body = request->body;
    x->head_seen = 0;
    x->last_activity_s = clock_now_s();

    bool reuse = x->fd >= 0 && outbound_serves(s->outbound, &request->target, s->user, &x->objections) &&
                 exchange_dest_is_quiet(x);
    if (reuse)
        exchange_enter_dest(x, DEST_BUSY);
    else
        exchange_drop_dest(s, "closed");
    x->target = request->target;
    bool keep = reuse && repeatable(x);
    if (http_write_request(keep ? &x->replay : &x->to_dest, head, request, EXCHANGE_PSEUDONYM) < 0)
        return session_close(s, fault_name(FAULT_RESOURCES));
    buf_consume(&s->in, head->consumed);
    if (!reuse)
        return session_connect(s, &x->target, POLICY_HTTP, &x->to_dest);
    session_enter(s, SESSION_EXCHANGE);
    if (keep && !exchange_send(x, buf_slice(&x->replay)))
        return;
    exchange_pump_request(x);
}

bool exchange_pending(const struct session *s)
{
    return s->exchange && s->exchange->request_state != REQUEST_NONE;
}

void exchange_connected(struct session *s)
{
    struct exchange *x = s->exchange;

    x->fd = s->dest_fd;
    s->dest_fd = -1;
    keepalive_set(x->fd); /* it is kept for further requests */
    exchange_enter_dest(x, DEST_BUSY);
    x->served = 0;
    x->objections = outbound_objections(s->outbound);
    ev_io_set(&x->read, x->fd, EV_READ);
    ev_io_set(&x->write, x->fd, EV_WRITE);
    x->last_activity_s = clock_now_s();
    session_enter(s, SESSION_EXCHANGE);
    exchange_pump_request(x);
}

void exchange_failed(struct session *s, enum fault fault, const char *refusal)
{
    struct exchange *x = s->exchange;
    const struct reply_http r = reply_http(fault);

    buf_done(&x->to_dest);
    exchange_answer(x, r.status, r.error, *refusal ? refusal : r.text);
}

void exchange_client_readable(struct session *s)
{
    if (s->exchange->request_state == REQUEST_COMING)
        exchange_pump_request(s->exchange);
}

/* --- called by the session ------------------------------------------------------------------------------ */

static bool wants_input(const struct session *s)
{
    return s->exchange->request_state == REQUEST_WHOLE || exchange_waiting(s->exchange) == 0;
}

static bool take_input(struct session *s)
{
    if (!exchange_moves_request(s->exchange))
        return false;
    exchange_move_request(s->exchange);
    return true;
}

static void writable(struct session *s)
{
    struct exchange *x = s->exchange;

    x->last_activity_s = clock_now_s();
    if (session_owed(s) == 0 && !exchange_settle(x))
        exchange_watch_dest(x);
}

/* Of a request that may be sent again: a kept connection by a line that has died meanwhile shows by that its
 * data is not acknowledged. */
static bool awaits_first_ack(const struct exchange *x)
{
    return x->replay.len > 0;
}

static double look_after(const struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;
    double after = set->idle_timeout_s;

    if (set->ack_timeout_s > 0)
        after = fmin(after, set->ack_timeout_s / ACK_WAIT_LOOKS);
    return awaits_first_ack(s->exchange) ? fmin(after, FIRST_ACK_LOOK_S) : after;
}

/* @return whether it goes on; else it is at its end, or tried again */
static bool look_at_acks(struct session *s)
{
    struct exchange *x = s->exchange;
    double ack_s = s->proxy->settings.ack_timeout_s;

    if (ack_wait_look(&s->client_wait, s->fd, ack_s)) {
        session_reset_on_close(s);
        session_close(s, "unacknowledged");
        return false;
    }
    if (!(awaits_first_ack(x) && ack_wait_in_vain(x->fd)) && !ack_wait_look(&x->dest_wait, x->fd, ack_s))
        return true;
    outbound_note_unacked(s->outbound);
    if (try_again(x))
        return false;
    if (exchange_head_went(x)) {
        exchange_abort(x, "unacknowledged");
        return false;
    }
    exchange_drop_dest(s, "unacknowledged");
    x->client_keeps = false;
    exchange_answer(x, 504, "http_response_timeout", "The destination does not acknowledge the request.");
    return false;
}

static void deadline(struct session *s)
{
    double left = s->exchange->last_activity_s + s->proxy->settings.idle_timeout_s - clock_now_s();

    if (!look_at_acks(s))
        return;
    if (left > 0)
        return wheel_set(&s->proxy->deadlines, &s->deadline, fmin(left, look_after(s)));
    struct exchange *x = s->exchange;
    /* Who has not sent its request hears nothing either, as when it is silent before one. */
    if (exchange_head_went(x) || x->request_state == REQUEST_COMING)
        return session_close(s, "idle");
    exchange_drop_dest(s, "idle");
    x->client_keeps = false;
    exchange_answer(x, 504, "http_response_timeout", "The destination did not answer in time.");
}

static int dest_fd(const struct session *s)
{
    return s->exchange->fd;
}

static void cut(struct session *s)
{
    struct exchange *x = s->exchange;

    if (x->dest_state != DEST_RESTING)
        return exchange_dest_ended(x, false);
    exchange_drop_dest(s, "cut");
}

static void stop(struct session *s)
{
    exchange_stop(s->exchange);
}

static void free_exchange(struct session *s)
{
    exchange_stop(s->exchange);
    buf_done(&s->exchange->replay);
    free(s->exchange);
}

const struct front_exchange EXCHANGE_FUNCTIONS = {
    .wants_input = wants_input,
    .take_input = take_input,
    .writable = writable,
    .look_after = look_after,
    .deadline = deadline,
    .dest_fd = dest_fd,
    .cut = cut,
    .stop = stop,
    .free = free_exchange,
};
