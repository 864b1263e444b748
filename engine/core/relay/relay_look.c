#include "base/clock.h"
#include "net/keepalive.h"
#include "relay/relay_internal.h"

#include <linux/sockios.h>
#include <math.h>
#include <poll.h>
#include <sys/ioctl.h>

/* Looks per idle time. Only a look shows that a slow peer has taken bytes from the kernel. So idleness is
 * detected up to this part of its time late. */
enum { LOOKS_AN_IDLE_TIME = 8 };

/* How often to look at a half-closed side. It is not read any more, so no event reports its reset. */
static const double HALF_CLOSED_LOOK_S = 2;

/* Latest first look. Few connections live that long, and only those need keepalives. */
static const double FIRST_LOOK_S = KEEPALIVE_IDLE_S / 2;

size_t relay_undelivered(const struct relay_side *s)
{
    int queued = 0;

    if (ioctl(relay_side_fd(s), SIOCOUTQ, &queued) < 0 || queued < 0)
        queued = 0;
    return (size_t)queued + pump_waiting(&s->in);
}

/* Bytes that the other side has sent to it. */
static uint64_t sent_to(struct relay_side *s)
{
    struct relay *r = relay_of_side(s);

    return counters_get(s->is_client ? &r->counters.rx : &r->counters.tx);
}

/* Whether a side was reset. A side that ended both directions in order also reports a hang-up, but no
 * error. poll does not clear the error. */
static bool was_reset(const struct relay_side *s)
{
    struct pollfd p = {.fd = relay_side_fd(s)};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

/* Update the bytes that the peer has acknowledged. Bytes from before the relay are not counted, which
 * makes it too small by a constant. @return whether it has changed since an earlier look */
static bool note_delivered(struct relay_side *s)
{
    uint32_t delivered = (uint32_t)(sent_to(s) - relay_undelivered(s));
    bool changed = s->looked && delivered != s->delivered;

    s->delivered = delivered;
    s->looked = true;
    return changed;
}

static double ack_look_s(const struct relay *r)
{
    return r->room->ack_s > 0 ? r->room->ack_s / ACK_WAIT_LOOKS : INFINITY;
}

void relay_stir(struct relay *r)
{
    r->stirs = true;
    if (wheel_is_set(&r->look) && wheel_left_s(&r->look) > ack_look_s(r))
        wheel_set(&r->room->looks, &r->look, ack_look_s(r));
}

void relay_look_later(struct relay *r)
{
    double after = INFINITY, idle_s = r->room->idle_s;

    if (idle_s > 0)
        after = fmin(r->last_activity_s + idle_s - clock_now_s(), idle_s / LOOKS_AN_IDLE_TIME);
    if (r->client.read_ended || r->dest.read_ended)
        after = fmin(after, HALF_CLOSED_LOOK_S);
    if (!r->keeps_alive)
        after = fmin(after, FIRST_LOOK_S);
    if (r->stirs || ack_wait_is_on(&r->client.wait) || ack_wait_is_on(&r->dest.wait))
        after = fmin(after, ack_look_s(r));
    if (!isinf(after))
        wheel_set(&r->room->looks, &r->look, after);
}

void relay_on_look(struct wheel *w, struct wheel_entry *e)
{
    struct relay *r = container_of(e, struct relay, look);
    struct relay_side *sides[] = {&r->client, &r->dest};

    (void)w;
    if (!r->keeps_alive)
        keepalive_set(relay_side_fd(&r->dest));
    r->keeps_alive = true;
    r->stirs = false;
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        struct relay_side *s = sides[i];
        if (note_delivered(s)) {
            r->last_activity_s = clock_now_s();
            relay_upload_resume(r);
        }
        /* While the other side still takes bytes from before the reset, it gets the normal idle time. */
        if (s->read_ended && was_reset(s) && relay_undelivered(relay_other(s)) == 0)
            return relay_break(r, s);
        r->unacked = ack_wait_look(&s->wait, relay_side_fd(s), r->room->ack_s);
        if (r->unacked)
            return relay_break(r, s);
    }
    if (r->room->idle_s > 0 && clock_now_s() - r->last_activity_s >= r->room->idle_s)
        return relay_finish(r, RELAY_IDLE);
    relay_look_later(r);
}
