#include "inbound/proxy.h"

#include "inbound/gate.h"
#include "inbound/session.h"
#include "outbound/search.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static void reap(struct proxy *p)
{
    LIST_EACH(&p->dead, node, next)
        session_free(container_of(node, struct session, node));
    if (p->draining && p->n_sessions == 0 && udp_is_idle(&p->udp) && p->drained) {
        void (*drained)(struct proxy *) = p->drained;
        p->drained = NULL;
        drained(p);
    }
}

/* It runs only when there is something to free; otherwise each turn of the loop would pay for it. */
static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
    (void)events;
    ev_prepare_stop(loop, w);
    reap(container_of(w, struct proxy, reaper));
}

static void on_accepted(struct listener *listener, int fd, const struct addr *peer)
{
    struct proxy_listener *pl = container_of(listener, struct proxy_listener, listener);

    if (gate_lets_in(pl, peer))
        return session_new(pl, fd, peer);
    (void)close(fd);
}

static void on_starved(struct listener *listener, int err)
{
    struct proxy_listener *pl = container_of(listener, struct proxy_listener, listener);
    struct proxy *p = pl->proxy;
    uint32_t hidden;

    if (!log_limit_pass(&p->starvation_limit, clock_now_s(), 1, &hidden))
        return;
    struct log_line l;
    log_begin(&l, EVENT_ACCEPT_FAILED);
    log_str(&l, "error", strerror(err));
    log_u64(&l, "sessions", p->n_sessions);
    log_hidden(&l, hidden);
    log_end(&l);
}

void proxy_init(struct proxy *p, const struct outbounds *outbounds, const struct proxy_settings *settings)
{
    struct ev_loop *loop = outbounds->loop;

    *p = (struct proxy){.loop = loop, .outbounds = *outbounds, .settings = *settings};
    workers_init(&p->workers, loop, settings->idle_timeout_s, &SESSION_TUNNEL_EVENTS);
    p->workers.room.ack_s = settings->ack_timeout_s;
    wheel_init(&p->deadlines, loop, session_deadline_came);
    dead_lines_init(&p->dead_lines, p);
    list_init(&p->sessions);
    list_init(&p->strangers);
    list_init(&p->dead);
    loops_init(&p->outbounds.loops, outbounds->settings.reach.own);
    ev_prepare_init(&p->reaper, on_prepare);
}

static void on_udp_ended(struct udp *u)
{
    struct proxy *p = container_of(u, struct proxy, udp);

    if (p->draining)
        ev_prepare_start(p->loop, &p->reaper);
}

int proxy_open_udp(struct proxy *p, const struct udp_settings *settings)
{
    int err = udp_init(&p->udp, &p->outbounds, &p->workers, settings);

    p->udp.ended = on_udp_ended;
    return err;
}

static int open_listener(struct proxy_listener *l, enum listener_absent absent)
{
    int err = listener_open(&l->listener, l->proxy->loop, &l->place.addr,
                            &(struct listener_kind){.absent = absent, .transparent = l->use.transparent},
                            on_accepted, on_starved);

    if (err == 0)
        l->place.addr = l->listener.addr;
    return err;
}

int proxy_listen(struct proxy *p, const struct listen_place *place, const struct proxy_use *use,
                 enum listener_absent absent, struct addr *ret_bound)
{
    if (p->n_listeners == PROXY_LISTENERS_MAX)
        return -ENOSPC;
    struct proxy_listener *pl = &p->listeners[p->n_listeners];
    *pl = (struct proxy_listener){.proxy = p, .place = *place, .use = *use, .listener = {.absent = true}};
    bool awaited = listen_place_is_awaited(place);
    int err = !awaited ? open_listener(pl, absent) : absent == LISTENER_WAITS ? 0 : -ENODEV;
    if (err < 0)
        return err;
    (void)listen_place_text(&pl->place, pl->text);
    *ret_bound = pl->place.addr;
    p->n_listeners++;
    loops_listen(&p->outbounds.loops, &pl->listener.addr, use->front);
    return 0;
}

static bool on_datagrams_of(void *arg, const struct addr *client)
{
    return gate_lets_in(arg, client);
}

int proxy_listen_udp(struct proxy *p, const struct listen_place *place, const struct proxy_use *use,
                     const struct udp_tproxy *tproxy, enum listener_absent absent, struct addr *ret_bound)
{
    if (p->n_udp_listeners == PROXY_LISTENERS_MAX)
        return -ENOSPC;
    if (listen_place_is_awaited(place))
        return -ENODEV;
    struct proxy_listener *pl = &p->udp_listeners[p->n_udp_listeners];
    *pl = (struct proxy_listener){.proxy = p, .place = *place, .use = *use};
    const struct udp_service service = {
        .admits = on_datagrams_of, .arg = pl, .listener = pl->text, .waits = absent == LISTENER_WAITS};
    int err = tproxy ? udp_tproxy(&p->udp, &place->addr, tproxy, &service, ret_bound)
                     : udp_forward(&p->udp, &place->addr, use->setting, &service, ret_bound);
    if (err < 0)
        return err;
    pl->place.addr = *ret_bound;
    (void)listen_place_text(&pl->place, pl->text);
    p->n_udp_listeners++;
    return 0;
}

void proxy_set_port(struct proxy_listener *l, uint16_t port)
{
    addr_set_port(&l->place.addr, port);
    (void)listen_place_text(&l->place, l->text);
}

int proxy_follow_place(struct proxy_listener *l)
{
    if (!listen_place_find(&l->place))
        return 0;
    listener_close(&l->listener);
    int err = open_listener(l, LISTENER_WAITS);
    l->listener.absent = true; /* until the machine is looked at again */
    (void)listen_place_text(&l->place, l->text);
    return err;
}

static void close_listeners(struct proxy *p, size_t first)
{
    for (size_t i = first; i < p->n_listeners; i++)
        listener_close(&p->listeners[i].listener);
}

void proxy_unlisten(struct proxy *p, size_t n)
{
    close_listeners(p, n);
    p->n_listeners = n;
    loops_unlisten(&p->outbounds.loops, n);
}

void proxy_drain(struct proxy *p)
{
    p->draining = true;
    close_listeners(p, 0);
    LIST_EACH(&p->sessions, node, next)
        session_drain(container_of(node, struct session, node));
    ev_prepare_start(p->loop, &p->reaper); /* calls drained also without sessions */
}

size_t proxy_cut(struct proxy *p, const struct uplink *u, const struct addr_change *change)
{
    struct addr source;
    size_t n = 0;
    int link;

    LIST_EACH(&p->sessions, node, next) {
        struct session *s = container_of(node, struct session, node);
        if (!s->outbound || !(s->outbound->connected || s->outbound->listens) ||
            outbound_uplink(s->outbound) != u ||
            (change && !(session_source(s, &source, &link) && addr_change_loses(change, &source, link))))
            continue;
        session_cut(s);
        n++;
    }
    return n + udp_cut(&p->udp, u, change);
}

void proxy_lose_uplink(struct proxy *p, const struct uplink *u)
{
    LIST_EACH(&p->sessions, node, next) {
        struct session *s = container_of(node, struct session, node);
        /* The uplink is down, so none of these starts another attempt by it. */
        while (s->outbound && s->outbound->search && search_lose_uplink(s->outbound->search, u))
            ;
    }
}

void proxy_stop(struct proxy *p)
{
    p->draining = true;
    close_listeners(p, 0);
    LIST_EACH(&p->sessions, node, next)
        session_close(container_of(node, struct session, node), "shutdown");
    udp_stop(&p->udp);
    workers_stop(&p->workers);
}

void proxy_done(struct proxy *p)
{
    p->drained = NULL;
    reap(p);
    assert(p->n_sessions == 0);
    ev_prepare_stop(p->loop, &p->reaper);
    recorder_stop(&p->outbounds.recorder);
    wheel_done(&p->deadlines);
    dead_lines_done(&p->dead_lines);
    udp_done(&p->udp);
    workers_done(&p->workers);
    guesses_done(&p->guesses);
}
