/* How long a session may stay in each of its states. Until a client has been let through once, whatever it
 * sends or takes, only the handshake timeout counts, from accept on: nothing starts it anew. Else a client
 * that has no password could hold its place by asking and not reading, or byte by byte. */
#include "base/clock.h"
#include "inbound/front.h"

#include <linux/sockios.h>
#include <math.h>
#include <poll.h>
#include <sys/ioctl.h>

/* How long a kept HTTP connection may rest between requests, unless idle connections are to go sooner.
 * Browsers give up theirs after one to five minutes. */
static const double KEEP_ALIVE_S = 75;
/* How long a client may take to answer our FIN with its own: one that reads at all takes milliseconds. */
static const double ENDING_S = 5;

/* How often to look whether a client that is to be reset has taken all. A client that pauses is looked at as
 * long after the last look as it has paused by then, within these bounds. */
static const double RESET_LOOK_MIN_S = 0.05, RESET_LOOK_MAX_S = 1;

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Whether the client has yet to take the end of an answer: nothing but that is waited for. */
static bool is_owed(const struct session *s)
{
    return s->out.len > 0 && (s->state == SESSION_READING || s->state == SESSION_ENDING);
}

/* A slow client has the time of an idle one; one that has vanished shows earlier. */
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

static double reading_deadline(const struct session *s)
{
    const struct proxy_settings *set = &s->proxy->settings;

    if (rests(s))
        return KEEP_ALIVE_S < set->idle_timeout_s ? KEEP_ALIVE_S : set->idle_timeout_s;
    return set->handshake_timeout_s;
}

/* Of a client that has not been let through yet. The end gets its few seconds in any case: so the last answer
 * has a chance. */
static double stranger_deadline(const struct session *s)
{
    double left = s->admit_by_s - clock_coarse_s();

    if (s->state == SESSION_ENDING)
        return least(ENDING_S, left + ENDING_S);
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
    case SESSION_CONNECTING: /* the search has deadlines of its own */
    case SESSION_TUNNEL:     /* so has the relay */
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

void session_slow_down(struct session *s, double for_s)
{
    s->slowed_s = for_s;
    session_enter(s, SESSION_SLOWED);
}

static void owed_deadline_came(struct session *s)
{
    if (ack_wait_look(&s->client_wait, s->fd, s->proxy->settings.ack_timeout_s))
        return session_close(s, "unacknowledged");
    double after = owed_deadline(s);
    if (after <= 0 || !s->admitted)
        return session_close(s, "idle");
    wheel_set(&s->proxy->deadlines, &s->deadline, after);
}

/* --- until a reset -------------------------------------------------------------------------------------- */

/* Octets that the client has not acknowledged yet. Closing with a reset would throw them away. */
static size_t undelivered(const struct session *s)
{
    int queued = 0;

    if (ioctl(s->fd, SIOCOUTQ, &queued) < 0 || queued < 0)
        queued = 0;
    return (size_t)queued + session_owed(s);
}

/* Nobody reads from it any more, so nothing else tells that it has been reset. */
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

/* --- all of them ---------------------------------------------------------------------------------------- */

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
    if (s->state != SESSION_READING)
        return session_close(s, "idle");
    if (rests(s))
        return session_close(s, "idle");
    session_rejected(s, "timeout");
    if (s->front)
        return s->front->timed_out(s);
    session_close(s, NULL);
}
