#include "session/exchange_state.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_STEP = 16 * 1024 };

void exchange_watch_upstream(struct exchange *x)
{
    struct session *s = x->session;
    struct ev_loop *loop = s->proxy->loop;
    /* Between requests it is watched for its end; else as long as there is room for what it says. */
    bool read =
        x->fd >= 0 && (!x->active || (s->out.len < EXCHANGE_HIGH_WATER && buf_room(&x->from_upstream) > 0));
    bool write = x->fd >= 0 && x->to_upstream.len > 0;

    if (read != (bool)ev_is_active(&x->read)) {
        if (read)
            ev_io_start(loop, &x->read);
        else
            ev_io_stop(loop, &x->read);
    }
    if (write != (bool)ev_is_active(&x->write)) {
        if (write)
            ev_io_start(loop, &x->write);
        else
            ev_io_stop(loop, &x->write);
    }
}

static void close_upstream(struct exchange *x)
{
    struct ev_loop *loop = x->session->proxy->loop;

    ev_io_stop(loop, &x->read);
    ev_io_stop(loop, &x->write);
    if (x->fd >= 0)
        (void)close(x->fd);
    x->fd = -1;
    x->reused = false;
    buf_done(&x->to_upstream);
    buf_done(&x->from_upstream);
}

void exchange_drop_upstream(struct session *s, const char *outcome)
{
    if (!s->exchange || s->exchange->fd < 0)
        return;
    struct outbound *o = s->outbound;
    s->outbound = NULL;
    close_upstream(s->exchange);
    outbound_finish(o, outcome);
}

int exchange_upstream_fd(const struct exchange *x)
{
    return x ? x->fd : -1;
}

void exchange_cut(struct exchange *x)
{
    if (x->active)
        return exchange_upstream_ended(x, false);
    exchange_drop_upstream(x->session, "cut");
}

bool exchange_end_would_mislead(const struct exchange *x)
{
    enum http_body_kind kind = x->response.body.kind;

    return x->active && x->head_done && !x->response_done &&
           (kind == HTTP_BODY_UNTIL_CLOSE || (kind == HTTP_BODY_CHUNKED && x->client_minor == 0));
}

void exchange_stop(struct exchange *x)
{
    if (!x)
        return;
    if (exchange_end_would_mislead(x) && x->session->fd >= 0)
        session_reset_on_close(x->session);
    x->active = false;
    close_upstream(x);
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    close_upstream(x);
    buf_done(&x->replay);
    free(x);
}

bool exchange_flush_upstream(struct exchange *x)
{
    while (x->to_upstream.len > 0) {
        struct slice waiting = buf_slice(&x->to_upstream);
        ssize_t n = send(x->fd, waiting.data, waiting.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0)
            return false;
        outbound_note(x->session->outbound, (uint64_t)n, 0);
        buf_consume(&x->to_upstream, (size_t)n);
        x->last_activity_s = clock_now_s();
    }
    return true;
}

static void on_upstream_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct exchange *x = container_of(w, struct exchange, read);

    (void)loop;
    (void)events;
    size_t room = buf_room(&x->from_upstream);
    size_t want = room < READ_STEP ? room : READ_STEP;
    char *space;
    if (buf_reserve(&x->from_upstream, want, &space) < 0)
        return session_close(x->session, fault_name(FAULT_RESOURCES));
    ssize_t n = recv(x->fd, space, want, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0)
        return exchange_upstream_ended(x, n == 0);
    if (!x->active) /* it speaks unasked: of no use any more */
        return exchange_drop_upstream(x->session, "closed");
    buf_commit(&x->from_upstream, (size_t)n);
    outbound_note(x->session->outbound, 0, (uint64_t)n);
    x->answered = true;
    buf_done(&x->replay);
    x->last_activity_s = clock_now_s();
    exchange_pump_response(x);
}

static void on_upstream_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct exchange *x = container_of(w, struct exchange, write);

    (void)loop;
    (void)events;
    exchange_pump_request(x);
}

struct exchange *exchange_of(struct session *s)
{
    if (s->exchange)
        return s->exchange;
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->session = s;
    x->fd = -1;
    ev_io_init(&x->read, on_upstream_readable, -1, EV_READ);
    ev_io_init(&x->write, on_upstream_writable, -1, EV_WRITE);
    buf_init(&x->to_upstream, 2 * (HTTP_HEAD_MAX + EXCHANGE_HIGH_WATER));
    buf_init(&x->from_upstream, HTTP_HEAD_MAX);
    buf_init(&x->replay, 2 * HTTP_HEAD_MAX);
    s->exchange = x;
    return x;
}
