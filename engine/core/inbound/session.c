#include "inbound/session.h"
#include "inbound/proxy_listener.h"

#include "base/clock.h"
#include "inbound/front.h"
#include "inbound/gate.h"
#include "inbound/reply.h"
#include "relay/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

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
    gate_end_handshake(s);
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
    enum fault fault = gate_serves(s);
    if (fault != FAULT_NONE) {
        session_enter(s, SESSION_CONNECTING);
        return s->front->connected(s, fault, "");
    }
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
    gate_end_check(s);
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
    gate_leave(s);
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
    proxy_listener_leave(s->listener);
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
