#include "inbound/dead_lines.h"

#include "base/clock.h"
#include "health/health_note.h"
#include "inbound/session.h"
#include "outbound/candidates.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

#include <math.h>
#include <string.h>

/* How often to look again at connections that no other uplink could take. */
static const double AGAIN_S = 5;

static const int FAMILIES[2] = {AF_INET, AF_INET6};

/* --- lines that are down -------------------------------------------------------------------------------- */

static bool has_link(const struct uplink *u)
{
    return u->view.ipv4 || u->view.ipv6;
}

static bool is_down(const struct uplink *u, int family)
{
    return !has_link(u) || uplink_health_state(u, family) == HEALTH_DOWN;
}

/* Record when the line went down; received bytes end the outage. A line without connections is not looked
 * at. */
static void note(struct dead_line *l, const struct uplink *u, int family, double now)
{
    double received = uplink_received(u, family);

    if (!is_down(u, family))
        l->since_s = 0;
    else if (l->since_s <= 0 || received > l->received)
        *l = (struct dead_line){.since_s = now, .received = received};
}

static bool is_over(const struct dead_lines *d, const struct uplink *u, int family, double now)
{
    const struct dead_line *l = &d->lines[u->view.id - 1][family == AF_INET6 && !u->parent];

    return l->since_s > 0 && now - l->since_s >= d->proxy->settings.cut_after_s;
}

/* --- connections on such lines -------------------------------------------------------------------------- */

/* For a parent proxy that may be reached by any line: whether the connection leaves by this one. Its
 * source is an address of the line's link, or the one that the link's routes name. */
static bool leaves_by(const struct machine *m, const struct session *s, const struct uplink *line)
{
    struct addr own;
    int bound;

    if (!session_source(s, &own, &bound))
        return false;
    const struct machine_link *link = machine_link_of_addr(m, &own);
    return (link && strcmp(link->name, line->interface) == 0) || addr_same_ip(&own, &line->egress.source4) ||
           addr_same_ip(&own, &line->egress.source6);
}

/* Whether a parent proxy is reached by a line that has been down for too long. */
static bool leads_over_dead_line(const struct dead_lines *d, const struct uplink *u, int family, double now)
{
    const struct uplink_set *set = d->proxy->outbounds.uplinks;

    for (size_t i = 0; u->parent && u->interface[0] && i < set->n_all; i++) {
        const struct uplink *line = set->items[i];
        if (!line->parent && strcmp(u->interface, line->interface) == 0 && is_over(d, line, family, now))
            return true;
    }
    return false;
}

static bool is_on_dead_line(const struct dead_lines *d, const struct machine *m, const struct session *s,
                            double now)
{
    const struct uplink_set *set = d->proxy->outbounds.uplinks;
    const struct uplink *u = s->outbound->lease.uplink;
    int family = s->outbound->lease.family;

    if (is_over(d, u, family, now) || leads_over_dead_line(d, u, family, now))
        return true;
    for (size_t i = 0; u->parent && !u->interface[0] && i < set->n_all; i++)
        if (!set->items[i]->parent && is_over(d, set->items[i], family, now) &&
            leaves_by(m, s, set->items[i]))
            return true;
    return false;
}

static bool has_elsewhere(const struct dead_lines *d, const struct session *s, double now)
{
    const struct uplink_set *set = d->proxy->outbounds.uplinks;
    const struct outbound *o = s->outbound;
    const struct candidates_request r = {.family = health_family(&o->target),
                                         .now = 0}; /* suspects do not count */

    for (size_t i = 0; i < set->n; i++) {
        const struct uplink *u = set->items[i];
        if (u != o->lease.uplink && candidates_judge(u, &r).rank == CANDIDATE_FIT &&
            !leads_over_dead_line(d, u, AF_INET, now))
            return true;
    }
    return false;
}

static void log_cut(const struct uplink *u, size_t n)
{
    struct log_line l;

    if (n == 0)
        return;
    log_begin(&l, EVENT_CUT_LINE_DOWN);
    log_str(&l, "uplink", u->name);
    log_u64(&l, "connections", n);
    log_end(&l);
}

/* @return whether some connections were left, since no other uplink could take them */
static bool cut(struct dead_lines *d, double now)
{
    struct machine m;
    struct proxy *p = d->proxy;
    size_t n[UPLINK_MAX] = {0};
    bool left = false;

    if (machine_read_links(&m) < 0)
        return true;
    LIST_EACH(&p->sessions, node, next) {
        struct session *s = container_of(node, struct session, node);
        if (s->is_cut || !s->outbound || !s->outbound->connected || !s->outbound->lease.uplink ||
            !is_on_dead_line(d, &m, s, now))
            continue;
        if (!has_elsewhere(d, s, now)) {
            left = true;
            continue;
        }
        n[s->outbound->lease.uplink->view.id - 1]++;
        session_cut(s);
    }
    machine_done(&m);
    for (size_t i = 0; i < p->outbounds.uplinks->n_all; i++)
        log_cut(p->outbounds.uplinks->items[i], n[p->outbounds.uplinks->items[i]->view.id - 1]);
    return left;
}

/* --- time ----------------------------------------------------------------------------------------------- */

static bool carries(const struct uplink_set *set)
{
    for (size_t i = 0; i < set->n_all; i++)
        if (set->items[i]->view.active > 0)
            return true;
    return false;
}

void dead_lines_look(struct dead_lines *d)
{
    const struct uplink_set *set = d->proxy->outbounds.uplinks;
    double now = clock_now_s(), after = INFINITY, cut_after_s = d->proxy->settings.cut_after_s;
    bool over = false;

    if (cut_after_s <= 0)
        return;
    ev_timer_stop(d->proxy->loop, &d->timer);
    for (size_t i = 0; i < set->n_all; i++) {
        for (size_t k = 0; k < ARRAY_LEN(FAMILIES); k++) {
            struct dead_line *l = &d->lines[set->items[i]->view.id - 1][k];
            note(l, set->items[i], FAMILIES[k], now);
            double left = l->since_s > 0 ? l->since_s + cut_after_s - now : INFINITY;
            over = over || left <= 0;
            if (left > 0)
                after = fmin(after, left);
        }
    }
    if (over && carries(set) && cut(d, now))
        after = fmin(after, AGAIN_S);
    if (isinf(after) || !carries(set))
        return;
    ev_now_update(d->proxy->loop);
    ev_timer_set(&d->timer, after, 0.);
    ev_timer_start(d->proxy->loop, &d->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    dead_lines_look(container_of(w, struct dead_lines, timer));
}

void dead_lines_init(struct dead_lines *d, struct proxy *proxy)
{
    *d = (struct dead_lines){.proxy = proxy};
    ev_init(&d->timer, on_timer);
}

void dead_lines_done(struct dead_lines *d)
{
    ev_timer_stop(d->proxy->loop, &d->timer);
}
