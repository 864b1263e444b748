/* Sessions whose client is to be reset: first it reads, and acknowledges, what came before the reset. */
#include "inbound/session.h"

#include "base/clock.h"

#include <linux/sockios.h>
#include <math.h>
#include <poll.h>
#include <sys/ioctl.h>

/* How often to look whether a client that is to be reset has read everything. If it pauses, the next look
 * comes after as much time as the pause has lasted, within these limits. */
static const double RESET_LOOK_MIN_S = 0.05, RESET_LOOK_MAX_S = 1;

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
