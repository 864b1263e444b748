#include "base/clock.h"
#include "net/keepalive.h"
#include "relay/relay_internal.h"

#include <linux/sockios.h>
#include <math.h>
#include <poll.h>
#include <sys/ioctl.h>

/* Looks in one idle time. What a slow peer takes from the kernel shows only when somebody looks, so idleness
 * is noticed late by up to this part of its time. */
enum { LOOKS_AN_IDLE_TIME = 8 };

/* How often a half-closed side is looked at: nobody reads it any more, so nothing else tells of its reset. */
static const double HALF_CLOSED_LOOK_S = 2;

/* The first look comes no later: few connections live so long, and only those need keepalives. */
static const double FIRST_LOOK_S = KEEPALIVE_IDLE_S / 2;

size_t relay_undelivered(const struct relay_side *s)
{
    int queued = 0;

    if (ioctl(relay_side_fd(s), SIOCOUTQ, &queued) < 0 || queued < 0)
        queued = 0;
    return (size_t)queued + pump_waiting(&s->in);
}

/* Octets that the other side has sent for it. */
static uint64_t sent_to(struct relay_side *s)
{
    struct relay *r = relay_of_side(s);

    return counters_get(s->is_client ? &r->counters.rx : &r->counters.tx);
}

/* Whether a side has been reset. One that ended both directions in good order hangs up as well, but has no
 * error; asking does not take the error away. */
static bool was_reset(const struct relay_side *s)
{
    struct pollfd p = {.fd = relay_side_fd(s)};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

/* Note how much the peer's kernel has taken in all; what was sent before the relay began makes that a
 * constant too little. @return whether it has changed since the last look, if there was one */
static bool note_delivered(struct relay_side *s)
{
    uint64_t delivered = sent_to(s) - relay_undelivered(s);
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
        if (note_delivered(s))
            r->last_activity_s = clock_now_s();
        /* A peer that is slow to take what came before the reset keeps its time, up to idleness. */
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
