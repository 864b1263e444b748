#include "inbound/session_state.h"

#include "base/clock.h"
#include "inbound/front.h"

#include <assert.h>

/* --- time limits of the states -------------------------------------------------------------------------- */

/* Until a client's first request is accepted, only the handshake timeout counts, from accept on, whatever
 * the client sends or reads. Otherwise a client without a password could hold its place by asking and not
 * reading, or by sending byte after byte. */

/* How long a kept HTTP connection may be idle between requests, unless --idle-timeout is shorter. Browsers
 * close theirs after one to five minutes. */
static const double KEEP_ALIVE_S = 75;
/* How long a client may take to answer our FIN with its own: a client that reads takes milliseconds. */
static const double ENDING_S = 5;

/* An association whose client has sent FIN lives while datagrams flow: some clients half-close early. */
static const double ASSOCIATION_AFTER_FIN_S = 30;

static double least(double a, double b)
{
    return a < b ? a : b;
}

bool session_is_owed(const struct session *s)
{
    return s->out.len > 0 && (s->state == SESSION_READING || s->state == SESSION_ENDING);
}

double session_owed_after(const struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;
    double left = s->taken_s + set->idle_timeout_s - clock_coarse_s();

    return set->ack_timeout_s > 0 ? least(left, set->ack_timeout_s / ACK_WAIT_LOOKS) : left;
}

bool session_rests(const struct session *s)
{
    return s->front && s->front->rests && s->in.len == 0;
}

bool session_is_looked_at(const struct session *s)
{
    return s->state == SESSION_READING && s->front && s->front->look_s;
}

static double reading_deadline(const struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;

    if (session_rests(s))
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
    if (session_is_looked_at(s))
        return least(s->front->look_s(s), left);
    return s->state == SESSION_SLOWED ? least(s->slowed_s, left) : left;
}

static double deadline_of(const struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;

    if (session_is_owed(s))
        return session_owed_after(s);
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

    if (session_is_owed(s))
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

size_t session_owed(const struct session *s)
{
    return s->out.len + pump_waiting(&s->down);
}
