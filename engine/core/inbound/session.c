#include "inbound/session.h"

#include "base/clock.h"
#include "inbound/front.h"
#include "inbound/reply.h"
#include "relay/wire.h"

#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- time limits of the states -------------------------------------------------------------------------- */

/* Until a client's first request is accepted, only the handshake timeout counts, from accept on, whatever
 * the client sends or reads. Otherwise a client without a password could hold its place by asking and not
 * reading, or by sending byte after byte. */

/* How long a kept HTTP connection may be idle between requests, unless --idle-timeout is shorter. Browsers
 * close theirs after one to five minutes. */
static const double KEEP_ALIVE_S = 75;
/* How long a client may take to answer our FIN with its own: a client that reads takes milliseconds. */
static const double ENDING_S = 5;

/* How often to look whether a client that is to be reset has read everything. If it pauses, the next look
 * comes after as much time as the pause has lasted, within these limits. */
static const double RESET_LOOK_MIN_S = 0.05, RESET_LOOK_MAX_S = 1;

/* An association whose client has sent FIN lives while datagrams flow: some clients half-close early. */
static const double ASSOCIATION_AFTER_FIN_S = 30;

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Whether the client has still to read the end of an answer, and nothing else is waited for. */
static bool is_owed(const struct session *s)
{
    return s->out.len > 0 && (s->state == SESSION_READING || s->state == SESSION_ENDING);
}

/* A slow client gets the idle timeout; a vanished one is noticed earlier. */
static double owed_deadline(const struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;
    double left = s->taken_s + set->idle_timeout_s - clock_coarse_s();

    return set->ack_timeout_s > 0 ? least(left, set->ack_timeout_s / ACK_WAIT_LOOKS) : left;
}

/* Whether the client is silent between two requests. */
static bool rests(const struct session *s)
{
    return s->front && s->front->rests && s->in.len == 0;
}

/* Whether only its first bytes are awaited, and it may go on without them. */
static bool is_looked_at(const struct session *s)
{
    return s->state == SESSION_READING && s->front && s->front->look_s;
}

static double reading_deadline(const struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;

    if (rests(s))
        return KEEP_ALIVE_S < set->idle_timeout_s ? KEEP_ALIVE_S : set->idle_timeout_s;
    return set->handshake_timeout_s;
}

/* For a client without an accepted request. SESSION_ENDING gets its few seconds in any case, so that the
 * last answer can arrive. */
static double stranger_deadline(const struct session *s)
{
    double left = s->admit_by_s - clock_coarse_s();

    if (s->state == SESSION_ENDING)
        return least(ENDING_S, left + ENDING_S);
    if (is_looked_at(s))
        return least(s->front->look_s(s), left);
    return s->state == SESSION_SLOWED ? least(s->slowed_s, left) : left;
}

static double deadline_of(const struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;

    if (is_owed(s))
        return owed_deadline(s);
    switch (s->state) {
    case SESSION_READING:
        return reading_deadline(s);
    case SESSION_SLOWED:
        return s->slowed_s;
    case SESSION_REPLYING:
        return set->handshake_timeout_s;
    case SESSION_EXCHANGE:
        return s->front->exchange->look_after(s);
    case SESSION_ENDING:
        return ENDING_S;
    case SESSION_ASSOCIATED:
        return s->client_ended ? ASSOCIATION_AFTER_FIN_S : set->idle_timeout_s;
    case SESSION_CONNECTING: /* the search has its own limits */
    case SESSION_AWAITING:   /* and so has the wait */
    case SESSION_TUNNEL:     /* the relay has its own limits */
    case SESSION_RESETTING:  /* session_reset_look sets it */
    case SESSION_CLOSED:
        break;
    }
    return 0;
}

void session_rearm(struct session *s)
{
    bool stranger = !s->admitted && s->state != SESSION_CLOSED;

    if (is_owed(s))
        s->taken_s = clock_coarse_s();
    double after = stranger ? stranger_deadline(s) : deadline_of(s);
    if (after > 0 || stranger)
        wheel_set(&s->proxy->deadlines, &s->deadline, after);
    else
        wheel_cancel(&s->deadline);
}

/* --- state ---------------------------------------------------------------------------------------------- */

bool session_may(enum session_state now, enum session_state next)
{
#define TO(x) (1u << SESSION_##x)
    static const unsigned allowed[] = {
        [SESSION_READING] =
            TO(CONNECTING) | TO(EXCHANGE) | TO(SLOWED) | TO(ASSOCIATED) | TO(ENDING) | TO(CLOSED),
        [SESSION_SLOWED] = TO(READING) | TO(CLOSED),
        [SESSION_CONNECTING] =
            TO(AWAITING) | TO(EXCHANGE) | TO(REPLYING) | TO(READING) | TO(ENDING) | TO(CLOSED),
        [SESSION_AWAITING] = TO(REPLYING) | TO(ENDING) | TO(CLOSED),
        [SESSION_EXCHANGE] =
            TO(READING) | TO(CONNECTING) | TO(REPLYING) | TO(ENDING) | TO(RESETTING) | TO(CLOSED),
        [SESSION_REPLYING] = TO(TUNNEL) | TO(CLOSED),
        [SESSION_TUNNEL] = TO(CLOSED),
        [SESSION_ASSOCIATED] = TO(CLOSED),
        [SESSION_ENDING] = TO(CLOSED),
        [SESSION_RESETTING] = TO(CLOSED),
        [SESSION_CLOSED] = 0,
    };
#undef TO
    return allowed[now] & (1u << next);
}

void session_enter(struct session *s, enum session_state next)
{
    assert(session_may(s->state, next));
    s->state = next;
    session_rearm(s);
    session_watch(s);
}

void session_slow_down(struct session *s, double for_s)
{
    s->slowed_s = for_s;
    session_enter(s, SESSION_SLOWED);
}

static bool session_wants_input(const struct session *s)
{
    if (s->client_ended)
        return false;
    switch (s->state) {
    case SESSION_READING:
    case SESSION_CONNECTING:
    case SESSION_AWAITING:
        return buf_room(&s->in) > 0;
    case SESSION_EXCHANGE:
        return buf_room(&s->in) > 0 && s->front->exchange->wants_input(s);
    case SESSION_ENDING:
    case SESSION_ASSOCIATED:
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
    watch_one(s->proxy->loop, &s->read, s->fd >= 0 && session_wants_input(s));
    watch_one(s->proxy->loop, &s->write, s->fd >= 0 && s->state != SESSION_SLOWED && session_owed(s) > 0);
}

/* --- to the client -------------------------------------------------------------------------------------- */

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
        session_rearm(s); /* a slow client is not idle */
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

/* --- to the destination --------------------------------------------------------------------------------- */

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

/* It has an accepted request, or is closed. */
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

void session_start_outbound(struct session *s, struct outbound_request *request)
{
    request->client = &s->peer;
    request->user = s->user;
    request->listener = s->listener->text;

    assert(!s->outbound);
    admit(s);
    if (outbound_new(&s->outbound, &s->proxy->outbounds, request, on_connected, s) < 0)
        return session_close(s, NULL);
    session_enter(s, SESSION_CONNECTING);
}

void session_connect_named(struct session *s, const struct target *target, const char *name,
                           enum policy_proto proto, struct buf *early)
{
    session_start_outbound(
        s, &(struct outbound_request){.target = target, .name = name, .proto = proto, .early = early});
}

void session_associate(struct session *s, struct udp_association *a)
{
    admit(s);
    s->association = a;
    session_enter(s, SESSION_ASSOCIATED);
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
        return tunnel_stop(&s->tunnel); /* continues in on_ended */
    if (s->exchange)
        s->front->exchange->stop(s);
    udp_association_close(s->association);
    s->association = NULL;
    if ((session_owed(s) > 0 || s->state == SESSION_RESETTING) && s->fd >= 0)
        session_reset_on_close(s); /* a FIN would make a part look complete */
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
    buf_done(&s->early_to_client);
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
        return; /* on_writable calls this again */
    if (s->client_ended)
        return session_close(s, "closed");
    if (!s->fin_sent && shutdown(s->fd, SHUT_WR) < 0)
        return session_close(s, "closed");
    s->fin_sent = true;
    session_rearm(s);
    session_watch(s);
}

/* --- waiting for a reset -------------------------------------------------------------------------------- */

/* Bytes that the client has not acknowledged yet. Closing with a reset would discard them. */
static size_t undelivered(const struct session *s)
{
    int queued = 0;

    if (ioctl(s->fd, SIOCOUTQ, &queued) < 0 || queued < 0)
        queued = 0;
    return (size_t)queued + session_owed(s);
}

/* The client is not read any more, so only this shows its reset. */
static bool client_is_gone(const struct session *s)
{
    struct pollfd p = {.fd = s->fd};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

void session_reset(struct session *s)
{
    buf_done(&s->in);
    s->undelivered = undelivered(s);
    s->taken_s = clock_now_s();
    session_enter(s, SESSION_RESETTING);
    session_reset_look(s);
}

void session_reset_look(struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;
    double now = clock_now_s();

    if (!session_flush(s))
        return;
    size_t left = undelivered(s);
    if (left != s->undelivered)
        s->taken_s = now;
    s->undelivered = left;
    if (left == 0 || client_is_gone(s))
        return session_close(s, "reset");
    if (ack_wait_look(&s->client_wait, s->fd, set->ack_timeout_s))
        return session_close(s, "unacknowledged");
    if (now - s->taken_s >= set->idle_timeout_s)
        return session_close(s, "idle");
    wheel_set(&s->proxy->deadlines, &s->deadline,
              fmin(fmax(now - s->taken_s, RESET_LOOK_MIN_S), RESET_LOOK_MAX_S));
    session_watch(s);
}

/* --- associations --------------------------------------------------------------------------------------- */

static void associated_look(struct session *s)
{
    uint64_t moved = udp_association_moved(s->association);

    if (moved == s->moved)
        return session_close(s, "idle");
    s->moved = moved;
    session_rearm(s);
}

/* --- the deadline of each state ------------------------------------------------------------------------- */

static void owed_deadline_came(struct session *s)
{
    if (ack_wait_look(&s->client_wait, s->fd, s->proxy->settings.ack_timeout_s))
        return session_close(s, "unacknowledged");
    double after = owed_deadline(s);
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
    if (is_owed(s))
        return owed_deadline_came(s);
    if (s->state == SESSION_ASSOCIATED)
        return associated_look(s);
    if (s->state != SESSION_READING)
        return session_close(s, "idle");
    if (is_looked_at(s))
        return s->front->look_over(s);
    if (rests(s))
        return session_close(s, "idle");
    session_rejected(s, "timeout");
    if (s->front)
        return s->front->timed_out(s);
    session_close(s, NULL);
}
