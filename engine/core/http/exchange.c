#include "http/exchange_state.h"

#include "base/clock.h"
#include "inbound/reply.h"
#include "net/keepalive.h"
#include "relay/wire.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room for a head, which can grow when it is forwarded, and for the body bytes of one read. */
enum { TO_DEST_MAX = 2 * HTTP_HEAD_MAX + PUMP_BUFFER_MAX };

/* First look at acknowledgements, in seconds: a kept connection may be on a line that has failed. */
static const double FIRST_ACK_LOOK_S = 2;

/* --- called by the loop --------------------------------------------------------------------------------- */

static void on_dest_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct exchange *x = container_of(w, struct exchange, read);
    struct session *s = x->session;

    (void)loop;
    (void)events;
    if (exchange_moves_response(x))
        return exchange_move_response(x);
    ssize_t n = wire_read(x->fd, &x->from_dest, &s->proxy->workers.room.pump);
    if (n == -ENOMEM)
        return session_close(s, fault_name(FAULT_RESOURCES));
    if (n == -EAGAIN)
        return;
    if (n <= 0)
        return exchange_dest_ended(x, n == 0);
    if (x->dest_state == DEST_RESTING) /* bytes without a request: the connection cannot be used */
        return exchange_drop_dest(s, "closed");
    exchange_note(x, 0, (uint64_t)n);
    if (x->response_state == RESPONSE_AWAITED)
        exchange_enter_response(x, RESPONSE_HEAD);
    buf_done(&x->replay);
    x->last_activity_s = clock_now_s();
    exchange_pump_response(x);
    if (buf_keep(&x->from_dest) < 0)
        return session_close(s, fault_name(FAULT_RESOURCES));
    buf_release_if_empty(&x->from_dest);
}

static void on_dest_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct exchange *x = container_of(w, struct exchange, write);

    (void)loop;
    (void)events;
    exchange_pump_request(x);
}

/* --- called by the front -------------------------------------------------------------------------------- */

/* The session's exchange, made on first use. NULL: out of memory. */
static struct exchange *exchange_of(struct session *s)
{
    if (s->exchange)
        return s->exchange;
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->session = s;
    x->fd = -1;
    ev_io_init(&x->read, on_dest_readable, -1, EV_READ);
    ev_io_init(&x->write, on_dest_writable, -1, EV_WRITE);
    buf_init(&x->to_dest, TO_DEST_MAX);
    buf_init(&x->from_dest, HTTP_ANSWER_HEAD_MAX);
    buf_init(&x->replay, TO_DEST_MAX);
    s->exchange = x;
    return x;
}

/* Requests that may be repeated (RFC 9110 9.2.2), if they have no body. */
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
    exchange_cap(x);
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

static bool exchange_wants_input(const struct session *s)
{
    const struct exchange *x = s->exchange;

    return !pace_waits(x->pace, true) && (x->request_state == REQUEST_WHOLE || exchange_waiting(x) == 0);
}

static bool take_input(struct session *s)
{
    if (!exchange_moves_request(s->exchange))
        return false;
    if (exchange_move_request(s->exchange))
        exchange_pump_request(s->exchange);
    return true;
}

static void writable(struct session *s)
{
    struct exchange *x = s->exchange;

    x->last_activity_s = clock_now_s();
    if (session_owed(s) == 0 && !exchange_settle(x))
        exchange_watch_dest(x);
}

/* Whether the request may be sent again. If the line of a kept connection has failed, missing
 * acknowledgements show it. */
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

/* @return whether the exchange continues; else it has ended, or the request is sent again */
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
    if (exchange_try_again(x))
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
    /* A client that has not sent its whole request gets no answer, as when it is silent before a request. */
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
    .wants_input = exchange_wants_input,
    .take_input = take_input,
    .writable = writable,
    .look_after = look_after,
    .deadline = deadline,
    .dest_fd = dest_fd,
    .cut = cut,
    .stop = stop,
    .free = free_exchange,
};
