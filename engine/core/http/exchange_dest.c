#include "http/exchange_state.h"

#include "base/clock.h"
#include "relay/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the states ----------------------------------------------------------------------------------------- */

bool exchange_request_may(enum exchange_request_state now, enum exchange_request_state next)
{
#define TO(x) (1u << REQUEST_##x)
    static const unsigned allowed[] = {
        [REQUEST_NONE] = TO(COMING) | TO(WHOLE),
        [REQUEST_COMING] = TO(WHOLE) | TO(NONE),
        [REQUEST_WHOLE] = TO(NONE),
    };
#undef TO
    return allowed[now] & (1u << next);
}

bool exchange_response_may(enum exchange_response_state now, enum exchange_response_state next)
{
#define TO(x) (1u << RESPONSE_##x)
    static const unsigned allowed[] = {
        [RESPONSE_NONE] = TO(AWAITED),
        [RESPONSE_AWAITED] = TO(HEAD) | TO(NONE),
        [RESPONSE_HEAD] = TO(BODY) | TO(WHOLE) | TO(NONE),
        [RESPONSE_BODY] = TO(WHOLE) | TO(NONE),
        [RESPONSE_WHOLE] = TO(NONE),
    };
#undef TO
    return allowed[now] & (1u << next);
}

bool exchange_dest_may(enum exchange_dest_state now, enum exchange_dest_state next)
{
#define TO(x) (1u << DEST_##x)
    static const unsigned allowed[] = {
        [DEST_NONE] = TO(BUSY),
        [DEST_BUSY] = TO(RESTING) | TO(BROKEN) | TO(RESET) | TO(NONE),
        [DEST_RESTING] = TO(BUSY) | TO(NONE),
        [DEST_BROKEN] = TO(RESET) | TO(NONE),
        [DEST_RESET] = TO(RESET) | TO(NONE), /* both sending and reading may report it */
    };
#undef TO
    return allowed[now] & (1u << next);
}

void exchange_enter_request(struct exchange *x, enum exchange_request_state next)
{
    assert(exchange_request_may(x->request_state, next));
    if (x->request_state == REQUEST_NONE)
        exchange_enter_response(x, RESPONSE_AWAITED);
    if (next == REQUEST_NONE)
        exchange_enter_response(x, RESPONSE_NONE);
    x->request_state = next;
}

void exchange_enter_response(struct exchange *x, enum exchange_response_state next)
{
    assert(exchange_response_may(x->response_state, next));
    x->response_state = next;
}

void exchange_enter_dest(struct exchange *x, enum exchange_dest_state next)
{
    assert(exchange_dest_may(x->dest_state, next));
    x->dest_state = next;
}

/* --- the connection ------------------------------------------------------------------------------------- */

void exchange_watch_dest(struct exchange *x)
{
    struct session *s = x->session;
    struct ev_loop *loop = s->proxy->loop;
    /* Between requests, watch for its end. Otherwise watch while none of its bytes wait. */
    bool awaited = x->response_state != RESPONSE_WHOLE && session_owed(s) == 0 && !pace_waits(x->pace, false);
    bool read = x->fd >= 0 && (x->dest_state == DEST_RESTING || awaited);
    bool write = x->fd >= 0 && exchange_waiting(x) > 0;

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

static void on_pace_woke(void *arg, bool up)
{
    struct exchange *x = arg;

    if (up)
        session_watch(x->session);
    else
        exchange_watch_dest(x);
}

void exchange_cap(struct exchange *x)
{
    const struct pace_caps caps = gate_caps(x->session);

    x->pace = pace_new(&caps, on_pace_woke, x);
    if (x->pace)
        pace_join(x->pace, x->session->proxy->loop);
}

uint64_t exchange_most(const struct exchange *x, uint64_t most)
{
    uint64_t paced = x->pace ? pace_most(x->pace) : PUMP_ALL;

    return paced < most ? paced : most;
}

void exchange_note(struct exchange *x, uint64_t tx, uint64_t rx)
{
    outbound_note(x->session->outbound, tx, rx);
    if (!x->pace)
        return;
    pace_note(x->pace, tx > 0, tx + rx);
    if (pace_waits(x->pace, true))
        session_watch(x->session);
    if (pace_waits(x->pace, false))
        exchange_watch_dest(x);
}

static void close_dest(struct exchange *x)
{
    struct ev_loop *loop = x->session->proxy->loop;

    ev_io_stop(loop, &x->read);
    ev_io_stop(loop, &x->write);
    if (x->fd >= 0)
        (void)close(x->fd);
    x->fd = -1;
    pace_free(x->pace);
    x->pace = NULL;
    if (x->dest_state != DEST_NONE)
        exchange_enter_dest(x, DEST_NONE);
    x->dest_wait = (struct ack_wait){.since_ms = 0};
    x->head_seen = 0;
    buf_done(&x->to_dest);
    buf_done(&x->from_dest);
    pump_done(&x->up, &x->session->proxy->workers.room.pump);
}

void exchange_drop_dest(struct session *s, const char *outcome)
{
    if (!s->exchange || s->exchange->fd < 0)
        return;
    struct outbound *o = s->outbound;
    s->outbound = NULL;
    close_dest(s->exchange);
    outbound_finish(o, outcome);
}

void exchange_rest_dest(struct exchange *x)
{
    exchange_enter_dest(x, DEST_RESTING);
    x->served++;
    x->rests_since = ev_iteration(x->session->proxy->loop);
    exchange_watch_dest(x);
}

bool exchange_dest_is_quiet(const struct exchange *x)
{
    char byte;

    if (ev_iteration(x->session->proxy->loop) != x->rests_since)
        return !ev_is_pending(&x->read);
    return recv(x->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool exchange_end_would_mislead(const struct exchange *x)
{
    enum http_body_kind kind = x->response.body.kind;

    return x->response_state == RESPONSE_BODY &&
           (kind == HTTP_BODY_UNTIL_CLOSE || (kind == HTTP_BODY_CHUNKED && x->client_minor == 0));
}

void exchange_stop(struct exchange *x)
{
    if (exchange_end_would_mislead(x) && x->session->fd >= 0)
        session_reset_on_close(x->session);
    if (x->request_state != REQUEST_NONE)
        exchange_enter_request(x, REQUEST_NONE);
    close_dest(x);
}

size_t exchange_waiting(const struct exchange *x)
{
    return x->to_dest.len + pump_waiting(&x->up);
}

void exchange_note_broken(struct exchange *x, int err)
{
    /* A reset after the peer's FIN is reported as EPIPE; the bytes before it are complete. */
    exchange_enter_dest(x, err == EPIPE ? DEST_BROKEN : DEST_RESET);
    buf_done(&x->to_dest);
    pump_done(&x->up, &x->session->proxy->workers.room.pump);
}

bool exchange_send(struct exchange *x, struct slice more)
{
    size_t sent;

    if (x->dest_state != DEST_BUSY) {
        buf_done(&x->to_dest);
        return true;
    }
    int err = wire_send(x->fd, &x->to_dest, more, &sent);
    if (err == -ENOBUFS || err == -ENOMEM) {
        session_close(x->session, fault_name(FAULT_RESOURCES));
        return false;
    }
    if (err < 0)
        exchange_note_broken(x, -err);
    if (sent > 0) {
        exchange_note(x, sent, 0);
        x->last_activity_s = clock_now_s();
    }
    buf_release_if_empty(&x->to_dest);
    return true;
}
