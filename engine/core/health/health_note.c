#include "health/health_note.h"

#include "base/clock.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"

#include <math.h>

/* Factor on the usual connect time, since destinations differ that much. RFC 8305 5 waits a quarter of a
 * second before the next address. */
static const double HEDGE_OF_USUAL = 3, HEDGE_LEAST_S = 0.25;

int health_family(const struct target *t)
{
    if (t->kind == TARGET_NAME)
        return AF_UNSPEC;
    return t->kind == TARGET_IPV4 ? AF_INET : AF_INET6;
}

void health_log(enum log_event event, const struct uplink *u, int family)
{
    struct log_line l;

    log_begin(&l, event);
    log_str(&l, "uplink", u->name);
    if (family != AF_UNSPEC)
        log_str(&l, "family", family == AF_INET ? "ipv4" : "ipv6");
    log_end(&l);
}

/* @param enough_s  an attempt of that length without an answer is a silence @return whether it was one */
static bool note_family(struct uplink *u, int family, const struct dial_family *f, double enough_s)
{
    struct health *h = uplink_health(u, family);
    bool silent = !f->answered && f->waited_s >= enough_s;

    if (f->answered && health_answered(h))
        health_log(EVENT_UPLINK_ANSWERS, u, family);
    if (silent && health_silent(h, uplink_received(u, family), clock_now_s()))
        health_log(EVENT_UPLINK_SILENT, u, family);
    return silent;
}

void health_note_silence(struct uplink *u, int family)
{
    if (health_silent(uplink_health(u, family), uplink_received(u, family), clock_now_s()))
        health_log(EVENT_UPLINK_SILENT, u, u->parent ? AF_UNSPEC : family);
}

void health_note_bytes(struct uplink *u, int family)
{
    struct health *h = uplink_health(u, family);

    if (h->silences >= HEALTH_SILENCES && !health_is_suspect(h, uplink_received(u, family)) &&
        health_answered(h))
        health_log(EVENT_UPLINK_ANSWERS, u, u->parent ? AF_UNSPEC : family);
}

bool health_note_dial(struct uplink *u, const struct dial *d, double enough_s)
{
    if (!u || !d->loop || u->parent) /* a connection to a parent proxy says little */
        return false;
    bool four = note_family(u, AF_INET, &d->four, enough_s),
         six = note_family(u, AF_INET6, &d->six, enough_s);
    return four || six;
}

void health_note_reset(struct uplink *u, int family)
{
    if (health_reset(uplink_health(u, family), uplink_received(u, family), clock_now_s()))
        health_log(EVENT_UPLINK_RESETS, u, u->parent ? AF_UNSPEC : family);
}

/* The usual connect time, or the delay before the next address; a longer wait is suspicious. */
double health_usual_s(const struct uplink *u)
{
    return u ? fmax(HEDGE_LEAST_S, HEDGE_OF_USUAL * u->view.connect_time) : HEDGE_LEAST_S;
}

void health_note_names(struct uplink *u, enum resolver_news news)
{
    if (news == RESOLVER_HEARD && health_answered(&u->names.health))
        health_log(EVENT_UPLINK_NAMES_ANSWER, u, AF_UNSPEC);
    if (news == RESOLVER_SILENCE && health_silent(&u->names.health, uplink_names_heard(u), clock_now_s()))
        health_log(EVENT_UPLINK_NAMES_SILENT, u, AF_UNSPEC);
}

/* Whether the parent proxy has answered about the destination; then it works itself. */
static bool is_heard(enum fault fault)
{
    switch (fault) {
    case FAULT_NONE:
    case FAULT_REFUSED:
    case FAULT_UNREACHABLE:
    case FAULT_HOST:
    case FAULT_REJECTED:
    case FAULT_EXPIRED:
    case FAULT_FAILED:
        return true;
    case FAULT_TIMEOUT:
    case FAULT_RESET:
    case FAULT_NAME:
    case FAULT_DNS:
    case FAULT_BIND:
    case FAULT_DENIED:
    case FAULT_NO_UPLINK:
    case FAULT_PARENT:
    case FAULT_RESOURCES:
    case FAULT_LIMIT:
    case FAULT_BUSY:
        break;
    }
    return false;
}

void health_note_parent(struct uplink *u, enum fault fault)
{
    struct health *h = &u->four.health; /* of both families */

    if (!u->parent)
        return;
    if (is_heard(fault)) {
        if (health_answered(h))
            health_log(EVENT_UPLINK_ANSWERS, u, AF_UNSPEC);
    } else if (health_silent(h, u->four.received, clock_now_s())) {
        health_log(EVENT_UPLINK_SILENT, u, AF_UNSPEC);
    }
}
