/* Events of a session: bytes come or can be sent, the client leaves, the deadline comes, the tunnel ends, the
 * destination's line fails, the proxy stops. */
#include "inbound/front.h"

#include "inbound/capacity.h"
#include "inbound/gate.h"
#include "inbound/session_state.h"

#include "base/clock.h"
#include "net/egress.h"
#include "proto/http_head.h"
#include "relay/wire.h"
#include "udp/udp.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Limit for unread input of a client: a whole HTTP head fits, and so do the early bytes for a relay. */
enum { IN_MAX = HTTP_HEAD_MAX };
_Static_assert((int)IN_MAX <= (int)RELAY_EARLY_MAX, "what a client sent early must fit the relay's buffer");
_Static_assert((int)IN_MAX >= (int)PUMP_BUFFER_MAX, "one read must fit");
/* Limit for waiting output: a response head, and one read of the destination. */
enum { OUT_MAX = 2 * HTTP_ANSWER_HEAD_MAX + 2 * 64 * 1024 };

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
    session_close(s, end == RELAY_CUT && s->cut_as ? s->cut_as : relay_end_name(end));
}

const struct tunnel_events SESSION_TUNNEL_EVENTS = {.ended = on_ended, .woke = on_woke};

static void hand_over(struct session *s)
{
    int client_fd = s->fd, dest_fd = s->dest_fd;

    session_enter(s, SESSION_TUNNEL);
    pump_done(&s->down, &s->proxy->workers.room.pump);
    struct buf in = s->in, early_to_client = s->early_to_client;
    size_t counted = early_to_client.len;
    s->fd = s->dest_fd = -1;
    s->is_tunnel = true;
    int err = tunnel_start(&s->tunnel, &s->proxy->workers, client_fd, dest_fd, buf_slice(&in),
                           buf_slice(&early_to_client));
    buf_done(&in);
    buf_done(&early_to_client);
    const struct pace_caps caps = gate_caps(s);
    if (err == 0)
        relay_cap(&s->tunnel.relay, &caps);
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

/* @return whether the header is complete, so that the client's own bytes come next */
static bool read_header(struct session *s)
{
    switch (gate_read_header(s)) {
    case PARSE_NEED_MORE:
        return false;
    case PARSE_BAD:
        session_close(s, NULL);
        return false;
    case PARSE_OK:
        break;
    }
    if (!gate_enter(s)) {
        session_close(s, NULL);
        return false;
    }
    session_begin(s);
    return true;
}

static void advance(struct session *s)
{
    if (s->awaits_header && !read_header(s))
        return;
    if (s->state != SESSION_READING && s->state != SESSION_EXCHANGE)
        return;
    if (!s->front && s->in.len > 0)
        s->front = front_of(s->proxy->settings.fronts, (unsigned char)buf_slice(&s->in).data[0]);
    if (s->front)
        s->front->advance(s);
}

static void on_client_ended(struct session *s)
{
    s->client_ended = true;
    session_watch(s);
    switch (s->state) {
    case SESSION_READING: /* an incomplete request, or the end of a kept connection */
        if (s->front && s->front->look_over)
            return s->front->look_over(s);
        return s->out.len > 0 ? session_end(s) : session_close(s, "closed");
    case SESSION_ENDING:
        return s->out.len > 0 ? session_end(s) : session_close(s, "closed");
    case SESSION_EXCHANGE:
        return advance(s);
    case SESSION_ASSOCIATED:
        s->moved = udp_association_moved(s->association); /* what came before the FIN keeps nothing alive */
        return session_rearm(s);
    case SESSION_AWAITING: /* nobody else could use the peer's connection */
        return session_close(s, NULL);
    case SESSION_CONNECTING: /* half-closed: it may still wait for its answer */
    case SESSION_SLOWED:
    case SESSION_REPLYING:
    case SESSION_TUNNEL:
    case SESSION_RESETTING:
    case SESSION_CLOSED:
        return;
    }
}

/* The client has been answered for the last time. Its further bytes are read, since unread bytes would
 * turn the close into a reset that could destroy the answer. */
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
    if (s->state == SESSION_ENDING || s->state == SESSION_ASSOCIATED)
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
    assert(!s->is_tunnel); /* the tunnel begins later, when the outbound connection is there */
    if (rested && s->state == SESSION_READING && s->in.len > 0)
        session_rearm(s); /* from now on a whole request is expected */
    if (buf_keep(&s->in) < 0)
        return session_close(s, fault_name(FAULT_RESOURCES));
    buf_release_if_empty(&s->in);
    if (buf_room(&s->in) == 0)
        session_watch(s); /* other changes have set the watchers themselves */
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

/* --- the deadline of the state -------------------------------------------------------------------------- */

static void associated_look(struct session *s)
{
    uint64_t moved = udp_association_moved(s->association);

    if (moved == s->moved)
        return session_close(s, "idle");
    s->moved = moved;
    session_rearm(s);
}

static void owed_deadline_came(struct session *s)
{
    if (ack_wait_look(&s->client_wait, s->fd, s->proxy->settings.ack_timeout_s))
        return session_close(s, "unacknowledged");
    double after = session_owed_after(s);
    if (after <= 0 || !s->admitted)
        return session_close(s, "idle");
    wheel_set(&s->proxy->deadlines, &s->deadline, after);
}

void session_deadline_came(struct wheel *w, struct wheel_entry *e)
{
    struct session *s = container_of(e, struct session, deadline);

    (void)w;
    if (s->state == SESSION_EXCHANGE)
        return s->front->exchange->deadline(s);
    if (s->state == SESSION_SLOWED)
        return s->front->hold_over(s);
    if (s->state == SESSION_RESETTING)
        return session_reset_look(s);
    if (session_is_owed(s))
        return owed_deadline_came(s);
    if (s->state == SESSION_ASSOCIATED)
        return associated_look(s);
    if (s->state != SESSION_READING)
        return session_close(s, "idle");
    if (session_is_looked_at(s))
        return s->front->look_over(s);
    if (session_rests(s))
        return session_close(s, "idle");
    session_rejected(s, "timeout");
    if (s->front)
        return s->front->timed_out(s);
    session_close(s, NULL);
}

/* --- called from outside -------------------------------------------------------------------------------- */

/* The front's socket to the destination; -1 for none. */
static int front_dest_fd(const struct session *s)
{
    return s->exchange ? s->front->exchange->dest_fd(s) : -1;
}

bool session_source(const struct session *s, struct addr *ret, int *ret_link)
{
    if (s->is_tunnel)
        return tunnel_source(&s->tunnel, ret, ret_link);
    if (s->state == SESSION_AWAITING)
        return outbound_listens_at(s->outbound, ret, ret_link);
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
    if (s->state == SESSION_AWAITING)
        return session_stop_waiting(s, "cut");
    session_reset_on_close(s);
    session_close(s, "cut");
}

void session_close_cut_off(struct session *s, const char *outcome)
{
    if (s->is_tunnel) {
        s->cut_as = outcome;
        return session_cut(s);
    }
    if (s->state == SESSION_AWAITING)
        return session_stop_waiting(s, outcome);
    if (s->state != SESSION_READING) /* a kept connection lacks nothing */
        session_reset_on_close(s);
    session_close(s, outcome);
}

void session_drain(struct session *s)
{
    if (s->state == SESSION_ASSOCIATED && s->client_ended)
        return session_close(s, "shutdown");
    if (s->state == SESSION_AWAITING)
        return session_stop_waiting(s, "shutdown");
    if (s->state != SESSION_READING || s->in.len > 0)
        return;
    if (s->out.len > 0)
        return session_end(s); /* the client is still reading its answer */
    session_close(s, "shutdown");
}

/* --- the beginning -------------------------------------------------------------------------------------- */

static void talk_init(struct session *s)
{
    s->is_tunnel = false;
    ev_io_init(&s->read, on_readable, s->fd, EV_READ);
    ev_io_init(&s->write, on_writable, s->fd, EV_WRITE);
    s->deadline = (struct wheel_entry){.due = 0};
    buf_init(&s->in, IN_MAX);
    buf_init(&s->out, OUT_MAX);
    buf_init(&s->early_to_client, RELAY_EARLY_MAX);
    s->down = (struct pump){.waiting = NULL};
    s->association = NULL;
    s->check = NULL;
    s->moved = 0;
}

void session_begin(struct session *s)
{
    s->front = s->listener->use.front;
    if (s->front)
        s->front->begin(s);
}

void session_new(struct proxy_listener *listener, int fd, const struct addr *peer)
{
    struct proxy *proxy = listener->proxy;
    struct session *s = malloc(sizeof *s);

    if (!s) {
        (void)close(fd);
        return;
    }
    *s = (struct session){.proxy = proxy, .fd = fd, .dest_fd = -1, .peer = *peer, .listener = listener};
    s->awaits_header = listener->use.proxy_header;
    talk_init(s);
    s->admit_by_s = clock_coarse_s() + proxy->settings.handshake_timeout_s;
    session_rearm(s);
    listener->clients++;
    list_push_back(&proxy->sessions, &s->node);
    proxy->n_sessions++;
    list_push_back(&proxy->strangers, &s->stranger);
    proxy->n_strangers++;
    session_watch(s);
    if (s->awaits_header)
        ; /* the client is not known yet */
    else if (gate_enter(s))
        session_begin(s);
    else
        session_close(s, NULL);
    capacity_bound_strangers(proxy);
}
