#include "follow/machine_follow.h"

#include "base/log.h"
#include "health/checks.h"
#include "inbound/proxy_listeners.h"
#include "uplink/discover.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

#include <errno.h>
#include <string.h>

/* A link that comes up gets its address before its route. */
static const double ROUTES_AFTER_S = 3;
static const double RECHECK_S = 10;

/* --- routes --------------------------------------------------------------------------------------------- */

static void log_route(const struct uplink *u, const char *advice)
{
    struct log_line l;

    log_begin(&l, EVENT_UPLINK_ROUTE_MISSING);
    log_str(&l, "uplink", u->name);
    log_str(&l, "advice", advice);
    log_end(&l);
}

void machine_follow_warn_of_routes(struct machine_follow *f, const struct uplink_set *uplinks,
                                   const struct machine *m)
{
    char text[512];

    for (size_t i = 0; i < uplinks->n; i++) {
        const struct uplink *u = uplinks->items[i];
        bool routeless = discover_route_warning(u, m, text, sizeof text);
        bool *told = &f->told_routeless[u->view.id - 1];
        if (routeless && !*told)
            log_route(u, text);
        *told = routeless;
    }
}

/* --- links and addresses -------------------------------------------------------------------------------- */

static void log_link(const struct uplink *u)
{
    struct log_line l;

    log_begin(&l, u->view.up ? EVENT_UPLINK_UP : EVENT_UPLINK_DOWN);
    log_str(&l, "uplink", u->name);
    log_end(&l);
}

/* @param u  NULL: direct connections */
static void log_cut(const struct uplink *u, size_t n)
{
    struct log_line l;

    log_begin(&l, EVENT_CUT_ADDRESS_GONE);
    log_str(&l, "uplink", u ? u->name : "direct");
    log_u64(&l, "connections", n);
    log_end(&l);
}

/* An uplink at the last look. */
struct uplink_before {
    struct egress egress;
    bool up, had_link;
};

static struct uplink_before as_it_is(const struct uplink *u)
{
    return (struct uplink_before){
        .egress = u->egress, .up = u->view.up, .had_link = u->view.ipv4 || u->view.ipv6};
}

static void tell_change(const struct machine_follow *f, struct uplink *u, const struct uplink_before *before)
{
    bool moved = !egress_same_sources(&before->egress, &u->egress);

    if (before->up != u->view.up)
        log_link(u);
    if (!before->up || moved)
        checks_hurry(f->proxy->outbounds.checks, u, AF_UNSPEC);
    if (before->up != u->view.up)
        policy_uplink_changed(f->proxy->outbounds.policy, u, u->view.up ? "up" : "down");
    else if (moved)
        policy_uplink_changed(f->proxy->outbounds.policy, u, "address");
    if (before->had_link && !u->view.ipv4 && !u->view.ipv6)
        proxy_lose_uplink(f->proxy, u);
}

/* Update all uplinks before anything is told, since connections that leave one try the next at once. */
static void refresh_and_tell(struct machine_follow *f, const struct machine *m)
{
    struct uplink_set *uplinks = f->surroundings->uplinks;
    struct uplink_before before[UPLINK_MAX];

    for (size_t i = 0; i < uplinks->n; i++)
        before[i] = as_it_is(uplinks->items[i]);
    surroundings_refresh(f->surroundings, m);
    for (size_t i = 0; i < uplinks->n; i++)
        tell_change(f, uplinks->items[i], &before[i]);
}

/* --- new links ------------------------------------------------------------------------------------------ */

int machine_follow_add(struct machine_follow *f, const struct uplink_spec *spec, const struct machine *m,
                       struct uplink **ret)
{
    struct uplink_set *set = f->proxy->outbounds.uplinks;
    int r = surroundings_add(f->surroundings, spec, m);

    if (r < 0)
        return r;
    struct uplink *u = set->items[set->n - 1];
    r = checks_add(f->proxy->outbounds.checks, u);
    if (r < 0) {
        surroundings_drop_last(f->surroundings);
        return r;
    }
    f->told_routeless[u->view.id - 1] = false;
    if (f->ledger)
        ledger_add(f->ledger, u);
    *ret = u;
    return 0;
}

void machine_follow_remove(struct machine_follow *f, struct uplink *u)
{
    if (f->ledger)
        ledger_remove(f->ledger, u);
    checks_remove(f->proxy->outbounds.checks, u);
    struct uplink *held = uplink_hold(u);
    uplink_set_remove(f->proxy->outbounds.uplinks, u);
    proxy_lose_uplink(f->proxy, held);
    uplink_let_go(held);
}

void machine_follow_restore(struct machine_follow *f, struct uplink *u)
{
    if (!uplink_set_restore(f->proxy->outbounds.uplinks, u))
        return;
    if (checks_add(f->proxy->outbounds.checks, u) < 0)
        log_plain(EVENT_NO_CHECKS);
    if (f->ledger)
        ledger_plan_changed(f->ledger);
}

static void log_added(const struct uplink_spec *spec, int err)
{
    struct log_line l;

    log_begin(&l, err == -ENOSPC ? EVENT_UPLINK_LIMIT
                  : err < 0      ? EVENT_UPLINK_NOT_ADDED
                                 : EVENT_UPLINK_ADDED);
    log_str(&l, "uplink", spec->interface);
    if (err < 0)
        log_str(&l, "error", strerror(-err));
    log_end(&l);
}

static void take_up_new(struct machine_follow *f, const struct machine *m)
{
    struct uplink_spec spec;
    struct uplink *u;

    while (f->config->n_uplinks == 0 && discover_new(f->proxy->outbounds.uplinks, &f->ignored, m, &spec)) {
        int r = machine_follow_add(f, &spec, m, &u);
        if (r == 0 || !f->told_full)
            log_added(&spec, r);
        f->told_full = r < 0;
        if (r < 0)
            return;
        policy_uplink_changed(f->proxy->outbounds.policy, u, "up");
    }
}

/* --- lost addresses ------------------------------------------------------------------------------------- */

static void cut_by(struct machine_follow *f, const struct uplink *u, const struct addr_change *change)
{
    size_t n = proxy_cut(f->proxy, u, change);

    if (n > 0)
        log_cut(u, n);
}

/* There may be many connections, and most changes do not remove an address, so check for that first. */
static void cut_lost(struct machine_follow *f, const struct machine *m)
{
    struct uplink_set *uplinks = f->proxy->outbounds.uplinks;
    struct addr_places now;

    if (addr_places_init(&now, m) < 0)
        return; /* the next look finds it */
    const struct addr_change change = {.before = &f->places, .now = &now};
    if (addr_change_loses_any(&change)) {
        for (size_t i = 0; i < uplinks->n_all; i++)
            cut_by(f, uplinks->items[i], &change);
        cut_by(f, NULL, &change);
    }
    addr_places_done(&f->places);
    f->places = now;
}

static void log_listener(const struct proxy_listener *l, bool udp)
{
    struct log_line line;

    log_begin(&line, l->listener.absent ? EVENT_LISTEN_ADDRESS_GONE : EVENT_LISTENING);
    log_str(&line, "address", l->text);
    if (!l->listener.absent && l->use.name)
        log_str(&line, "use", l->use.name);
    if (udp)
        log_str(&line, "protocol", "udp");
    log_end(&line);
}

static void log_lost(const struct proxy_listener *l)
{
    struct log_line line;

    log_begin(&line, EVENT_LISTEN_FAILED);
    log_str(&line, "address", l->text);
    log_end(&line);
}

/* Listening sockets stay, except those of a link that comes back with another index. */
static void follow_listeners(struct proxy *p, const struct machine *m)
{
    for (size_t i = 0; i < p->n_listeners; i++) {
        struct proxy_listener *l = p->listeners[i];
        if (!p->draining && proxy_follow_place(l) < 0)
            log_lost(l);
        bool absent = !machine_can_listen(m, &l->listener.addr);
        if (!l->listener.open || absent == l->listener.absent)
            continue;
        l->listener.absent = absent;
        log_listener(l, false);
    }
}

static void follow_udp_listeners(struct proxy *p, const struct machine *m)
{
    for (size_t i = 0; i < p->n_udp_listeners; i++) {
        struct proxy_listener *l = p->udp_listeners[i];
        bool absent = !listen_place_is_there(&l->place, m);
        if (absent == l->listener.absent)
            continue;
        l->listener.absent = absent;
        log_listener(l, true);
    }
}

/* @param settled  some time after a change */
static void follow_look(struct machine_follow *f, bool routes, bool settled)
{
    struct machine m;

    if (machine_read_links(&m) < 0)
        return; /* the last known state is kept */
    refresh_and_tell(f, &m);
    take_up_new(f, &m);
    cut_lost(f, &m);
    dead_lines_look(&f->proxy->dead_lines);
    follow_listeners(f->proxy, &m);
    if (!f->proxy->draining)
        follow_udp_listeners(f->proxy, &m);
    if (routes)
        machine_follow_warn_of_routes(f, f->surroundings->uplinks, &m);
    if (f->looked)
        f->looked(f->arg, &m, settled);
    machine_done(&m);
}

void machine_follow_look(struct machine_follow *f)
{
    follow_look(f, false, false);
}

static void on_changed(struct machine_watch *w)
{
    struct machine_follow *f = container_of(w, struct machine_follow, watch);

    follow_look(f, false, false);
    if (!ev_is_active(&f->routes)) {
        ev_timer_set(&f->routes, ROUTES_AFTER_S, 0.);
        ev_timer_start(f->proxy->loop, &f->routes);
    }
}

static void on_routes(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    follow_look(container_of(w, struct machine_follow, routes), true, true);
}

static void on_recheck(struct ev_loop *loop, ev_timer *w, int events)
{
    struct machine_follow *f = container_of(w, struct machine_follow, recheck);

    (void)loop;
    (void)events;
    follow_look(f, !ev_is_active(&f->routes), false);
}

/* --- start and end -------------------------------------------------------------------------------------- */

int machine_follow_start(struct machine_follow *f, const struct config *config, struct proxy *proxy,
                         struct surroundings *surroundings)
{
    f->config = config;
    f->proxy = proxy;
    f->surroundings = surroundings;
    ev_timer_init(&f->routes, on_routes, 0., 0.);
    ev_timer_init(&f->recheck, on_recheck, RECHECK_S, RECHECK_S);
    ev_timer_start(proxy->loop, &f->recheck);
    int r = machine_watch_start(&f->watch, proxy->loop, on_changed);
    /* Changes since the uplinks were made caused no event. */
    follow_look(f, false, false);
    return r;
}

void machine_follow_stop(struct machine_follow *f)
{
    if (!f->proxy)
        return;
    machine_watch_stop(&f->watch);
    ev_timer_stop(f->proxy->loop, &f->routes);
    ev_timer_stop(f->proxy->loop, &f->recheck);
    addr_places_done(&f->places);
    f->proxy = NULL;
}
