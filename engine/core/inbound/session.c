#include "inbound/session.h"

#include "base/clock.h"
#include "inbound/front.h"
#include "inbound/reply.h"
#include "net/egress.h"
#include "proto/http_head.h"
#include "relay/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Unread input of a client: a whole HTTP head fits, and so do the early octets a relay takes. */
enum { IN_MAX = HTTP_HEAD_MAX };
_Static_assert((int)IN_MAX <= (int)RELAY_EARLY_MAX, "what a client sent early must fit the relay's buffer");
_Static_assert((int)IN_MAX >= (int)PUMP_BUFFER_MAX, "one read must fit");
/* Output that waits: a response head and what one read of destination brings. */
enum { OUT_MAX = 2 * HTTP_ANSWER_HEAD_MAX + 2 * 64 * 1024 };

/* --- state ---------------------------------------------------------------------------------------------- */

void session_enter(struct session *s, enum session_state next)
{
#define TO(x) (1u << SESSION_##x)
    static const unsigned allowed[] = {
        [SESSION_READING] = TO(CONNECTING) | TO(EXCHANGE) | TO(SLOWED) | TO(ENDING) | TO(CLOSED),
        [SESSION_SLOWED] = TO(READING) | TO(CLOSED),
        [SESSION_CONNECTING] = TO(EXCHANGE) | TO(REPLYING) | TO(READING) | TO(ENDING) | TO(CLOSED),
        [SESSION_EXCHANGE] =
            TO(READING) | TO(CONNECTING) | TO(REPLYING) | TO(ENDING) | TO(RESETTING) | TO(CLOSED),
        [SESSION_REPLYING] = TO(TUNNEL) | TO(CLOSED),
        [SESSION_TUNNEL] = TO(CLOSED),
        [SESSION_ENDING] = TO(CLOSED),
        [SESSION_RESETTING] = TO(CLOSED),
        [SESSION_CLOSED] = 0,
    };
#undef TO
    assert(allowed[s->state] & (1u << next));
    s->state = next;
    session_rearm(s);
    session_watch(s);
}

static bool wants_input(const struct session *s)
{
    if (s->client_ended)
        return false;
    switch (s->state) {
    case SESSION_READING:
    case SESSION_CONNECTING:
        return buf_room(&s->in) > 0;
    case SESSION_EXCHANGE:
        return buf_room(&s->in) > 0 && s->front->exchange->wants_input(s);
    case SESSION_ENDING:
        return true;
    case SESSION_SLOWED:
    case SESSION_REPLYING:
    case SESSION_TUNNEL:
    case SESSION_RESETTING:
    case SESSION_CLOSED:
        break;
    }
    return false;
}

static void watch_one(struct ev_loop *loop, ev_io *w, bool on)
{
    if (on && !ev_is_active(w))
        ev_io_start(loop, w);
    else if (!on && ev_is_active(w))
        ev_io_stop(loop, w);
}

void session_watch(struct session *s)
{
    assert(!s->is_tunnel);
    watch_one(s->proxy->loop, &s->read, s->fd >= 0 && wants_input(s));
    watch_one(s->proxy->loop, &s->write, s->fd >= 0 && s->state != SESSION_SLOWED && session_owed(s) > 0);
}

/* --- what the fronts do --------------------------------------------------------------------------------- */

static void advance(struct session *s)
{
    if (s->state != SESSION_READING && s->state != SESSION_EXCHANGE)
        return;
    if (!s->front && s->in.len > 0)
        s->front = front_of((unsigned char)buf_slice(&s->in).data[0]);
    if (s->front)
        s->front->advance(s);
}

static void on_connected(struct outbound *o, enum fault fault, int fd)
{
    struct session *s = o->owner;
    char refusal[REPLY_REFUSAL_MAX];

    s->dest_fd = fd;
    refusal[0] = '\0';
    if (fault != FAULT_NONE) {
        if (o->refused && o->reason)
            reply_refusal(refusal, o->reason);
        s->outbound = NULL;
        outbound_finish(o, NULL);
    }
    s->front->connected(s, fault, refusal);
}

/* It is a stranger no more, or is gone. */
static void leave_strangers(struct session *s)
{
    if (s->admitted)
        return;
    list_remove(&s->stranger);
    s->proxy->n_strangers--;
}

static void admit(struct session *s)
{
    leave_strangers(s);
    s->admitted = true;
}

void session_connect(struct session *s, const struct target *target, enum policy_proto proto,
                     struct buf *early)
{
    const struct outbound_request request = {
        .target = target,
        .proto = proto,
        .client = &s->peer,
        .user = s->user,
        .listener = s->listener,
        .early = early,
    };

    assert(!s->outbound);
    admit(s);
    if (outbound_new(&s->outbound, &s->proxy->outbounds, &request, on_connected, s) < 0)
        return session_close(s, NULL);
    session_enter(s, SESSION_CONNECTING);
}

/* --- the end -------------------------------------------------------------------------------------------- */

void session_rejected(struct session *s, const char *reason)
{
    session_rejected_user(s, reason, slice_str(s->user ? s->user : ""));
}

void session_rejected_user(struct session *s, const char *reason, struct slice user)
{
    char client[ADDR_TEXT_MAX];
    uint32_t hidden;

    if (!log_limit_pass(&s->proxy->rejection_limit, clock_now_s(), PROXY_LINES_IN_WINDOW, &hidden))
        return;
    struct log_line l;
    log_begin(&l, EVENT_REJECTED);
    log_str(&l, "client", addr_format(&s->peer, client));
    log_str(&l, "proto", s->front ? s->front->name : "unknown");
    if (user.len > 0)
        log_slice(&l, "user", user);
    log_str(&l, "reason", reason);
    log_hidden(&l, hidden);
    log_end(&l);
}

void session_reset_on_close(struct session *s)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void session_close(struct session *s, const char *outcome)
{
    if (s->state == SESSION_CLOSED)
        return;
    if (s->is_tunnel)
        return tunnel_stop(&s->tunnel); /* comes back through on_ended */
    if (s->exchange)
        s->front->exchange->stop(s);
    if ((session_owed(s) > 0 || s->state == SESSION_RESETTING) && s->fd >= 0)
        session_reset_on_close(s); /* an orderly end would pass off a part as the whole */
    pump_done(&s->down, &s->proxy->workers.room.pump);
    if (s->dest_fd >= 0)
        (void)close(s->dest_fd);
    s->dest_fd = -1;
    outbound_finish(s->outbound, outcome);
    s->outbound = NULL;
    ev_io_stop(s->proxy->loop, &s->read);
    ev_io_stop(s->proxy->loop, &s->write);
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    leave_strangers(s);
    session_enter(s, SESSION_CLOSED);
    list_remove(&s->node);
    list_push_back(&s->proxy->dead, &s->node);
    s->proxy->n_sessions--;
    ev_prepare_start(s->proxy->loop, &s->proxy->reaper);
}

void session_free(struct session *s)
{
    assert(s->state == SESSION_CLOSED && !wheel_is_set(&s->deadline));
    list_remove(&s->node);
    buf_done(&s->in);
    buf_done(&s->out);
    buf_done(&s->early);
    if (s->exchange)
        s->front->exchange->free(s);
    free(s->user);
    free(s);
}

void session_end(struct session *s)
{
    if (s->state == SESSION_CLOSED)
        return;
    buf_done(&s->in);
    if (s->state != SESSION_ENDING)
        session_enter(s, SESSION_ENDING);
    if (!session_flush(s) || s->out.len > 0)
        return; /* on_writable comes back here */
    if (s->client_ended)
        return session_close(s, "closed");
    if (!s->fin_sent && shutdown(s->fd, SHUT_WR) < 0)
        return session_close(s, "closed");
    s->fin_sent = true;
    session_rearm(s);
    session_watch(s);
}

/* Of what the front keeps beside the session; -1 for none. */
static int front_dest_fd(const struct session *s)
{
    return s->exchange ? s->front->exchange->dest_fd(s) : -1;
}

bool session_source(const struct session *s, struct addr *ret, int *ret_link)
{
    if (s->is_tunnel)
        return tunnel_source(&s->tunnel, ret, ret_link);
    int fd = s->dest_fd >= 0 ? s->dest_fd : front_dest_fd(s);
    return fd >= 0 && egress_source_of(fd, ret, ret_link);
}

void session_cut(struct session *s)
{
    s->is_cut = s->is_tunnel;
    if (s->is_tunnel)
        return tunnel_cut(&s->tunnel);
    if (front_dest_fd(s) >= 0)
        return s->front->exchange->cut(s);
    session_reset_on_close(s);
    session_close(s, "cut");
}

void session_drain(struct session *s)
{
    if (s->state != SESSION_READING || s->in.len > 0)
        return;
    if (s->out.len > 0)
        return session_end(s); /* the client is still taking its answer */
    session_close(s, "shutdown");
}

static void talk_init(struct session *s);

/* --- the tunnel ----------------------------------------------------------------------------------------- */

static struct session *session_of(struct tunnel *t)
{
    return container_of(t, struct session, tunnel);
}

static void on_woke(struct tunnel *t)
{
    outbound_wake(session_of(t)->outbound);
}

static void on_ended(struct tunnel *t, enum relay_end end)
{
    struct session *s = session_of(t);
    const struct relay *r = &t->relay;

    outbound_settle(s->outbound, &r->counters, r->first_rx_s);
    outbound_note_rtt(s->outbound, r->dest_rtt_s);
    if (end == RELAY_RESET && r->dest_broke)
        outbound_note_reset(s->outbound);
    if (end == RELAY_UNACKED && r->dest_broke)
        outbound_note_unacked(s->outbound);
    talk_init(s);
    session_close(s, relay_end_name(end));
}

const struct tunnel_events SESSION_TUNNEL_EVENTS = {.ended = on_ended, .woke = on_woke};

static void hand_over(struct session *s)
{
    int client_fd = s->fd, dest_fd = s->dest_fd;

    session_enter(s, SESSION_TUNNEL);
    pump_done(&s->down, &s->proxy->workers.room.pump);
    struct buf in = s->in, early = s->early;
    size_t counted = early.len;
    s->fd = s->dest_fd = -1;
    s->is_tunnel = true;
    int err =
        tunnel_start(&s->tunnel, &s->proxy->workers, client_fd, dest_fd, buf_slice(&in), buf_slice(&early));
    buf_done(&in);
    buf_done(&early);
    if (err == 0)
        return outbound_follow(s->outbound, &s->tunnel.relay.counters, counted);
    talk_init(s);
    session_close(s, fault_name(FAULT_RESOURCES));
}

void session_tunnel(struct session *s)
{
    session_enter(s, SESSION_REPLYING);
    if (session_flush(s) && s->out.len == 0)
        hand_over(s);
}

/* --- the client's socket -------------------------------------------------------------------------------- */

bool session_send(struct session *s, const void *data, size_t len)
{
    size_t sent;
    int err = wire_send(s->fd, &s->out, slice_of(data, len), &sent);

    if (err < 0) {
        session_close(s, err == -ENOBUFS || err == -ENOMEM ? fault_name(FAULT_RESOURCES) : "reset");
        return false;
    }
    buf_release_if_empty(&s->out);
    if (sent > 0 && (s->state == SESSION_READING || s->state == SESSION_ENDING))
        session_rearm(s); /* slow is not idle */
    session_watch(s);
    return true;
}

bool session_flush(struct session *s)
{
    if (s->out.len > 0 || pump_waiting(&s->down) == 0)
        return session_send(s, "", 0);
    if (pump_flush(&s->down, &s->proxy->workers.room.pump, s->fd) < 0) {
        session_close(s, "reset");
        return false;
    }
    session_watch(s);
    return true;
}

size_t session_owed(const struct session *s)
{
    return s->out.len + pump_waiting(&s->down);
}

static void on_client_ended(struct session *s)
{
    s->client_ended = true;
    session_watch(s);
    switch (s->state) {
    case SESSION_READING: /* a request that will never be whole, or the end of a kept connection */
    case SESSION_ENDING:
        return s->out.len > 0 ? session_end(s) : session_close(s, "closed");
    case SESSION_EXCHANGE:
        return advance(s);
    case SESSION_CONNECTING: /* half-closed: it may still be waiting for its answer */
    case SESSION_SLOWED:
    case SESSION_REPLYING:
    case SESSION_TUNNEL:
    case SESSION_RESETTING:
    case SESSION_CLOSED:
        return;
    }
}

/* The client has said its last; what it still sends is read so that closing does not turn into a reset that
 * would destroy our answer on its way. */
static void discard(struct session *s)
{
    char data[16 * 1024];
    ssize_t n = recv(s->fd, data, sizeof data, 0);

    if (n == 0)
        return on_client_ended(s);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        session_close(s, "closed");
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct session *s = container_of(w, struct session, read);

    (void)loop;
    (void)events;
    if (s->state == SESSION_ENDING)
        return discard(s);
    if (s->state == SESSION_EXCHANGE && s->in.len == 0 && s->front->exchange->take_input(s))
        return;
    ssize_t n = wire_read(s->fd, &s->in, &s->proxy->workers.room.pump);
    if (n == -ENOMEM)
        return session_close(s, fault_name(FAULT_RESOURCES));
    if (n == -EAGAIN)
        return;
    if (n < 0)
        return session_close(s, "reset");
    if (n == 0)
        return on_client_ended(s);
    bool rested = s->state == SESSION_READING && s->front && s->front->rests && s->in.len == (size_t)n;
    advance(s);
    assert(!s->is_tunnel); /* which begins when the outbound connection is there, and not before */
    if (rested && s->state == SESSION_READING && s->in.len > 0)
        session_rearm(s); /* from now on a whole request is due */
    if (buf_keep(&s->in) < 0)
        return session_close(s, fault_name(FAULT_RESOURCES));
    buf_release_if_empty(&s->in);
    session_watch(s);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct session *s = container_of(w, struct session, write);

    (void)loop;
    (void)events;
    if (s->state == SESSION_ENDING)
        return session_end(s);
    if (s->state == SESSION_RESETTING)
        return session_reset_look(s);
    if (!session_flush(s))
        return;
    if (s->state == SESSION_EXCHANGE)
        return s->front->exchange->writable(s);
    if (s->state == SESSION_REPLYING && s->out.len == 0)
        hand_over(s);
}

static void talk_init(struct session *s)
{
    s->is_tunnel = false;
    ev_io_init(&s->read, on_readable, s->fd, EV_READ);
    ev_io_init(&s->write, on_writable, s->fd, EV_WRITE);
    s->deadline = (struct wheel_entry){.due = 0};
    buf_init(&s->in, IN_MAX);
    buf_init(&s->out, OUT_MAX);
    buf_init(&s->early, RELAY_EARLY_MAX);
    s->down = (struct pump){.waiting = NULL};
}

/* Not the new one: whoever means to ask does so within some milliseconds. */
static void bound_strangers(struct proxy *p)
{
    struct log_line l;
    uint32_t hidden;

    if (p->n_strangers <= p->settings.strangers_max)
        return;
    if (log_limit_pass(&p->starvation_limit, clock_now_s(), 1, &hidden)) {
        log_begin(&l, EVENT_IDLE_CLIENTS_CLOSED);
        log_u64(&l, "most", p->settings.strangers_max);
        log_end(&l);
    }
    session_close(container_of(p->strangers.next, struct session, stranger), NULL);
}

void session_new(struct proxy *proxy, int fd, const struct addr *peer, const char *listener)
{
    struct session *s = malloc(sizeof *s);

    if (!s) {
        (void)close(fd);
        return;
    }
    *s = (struct session){.proxy = proxy, .fd = fd, .dest_fd = -1, .peer = *peer, .listener = listener};
    talk_init(s);
    s->admit_by_s = clock_coarse_s() + proxy->settings.handshake_timeout_s;
    session_rearm(s);
    list_push_back(&proxy->sessions, &s->node);
    proxy->n_sessions++;
    list_push_back(&proxy->strangers, &s->stranger);
    proxy->n_strangers++;
    session_watch(s);
    bound_strangers(proxy);
}
