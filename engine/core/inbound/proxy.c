#include "inbound/proxy.h"

#include "inbound/capacity.h"
#include "inbound/proxy_listeners.h"
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
    capacity_look(p);
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
    list_init(&p->removed_listeners);
    limits_init(&p->limits);
    capacity_init(p);
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

void proxy_drain(struct proxy *p)
{
    p->draining = true;
    proxy_close_listeners(p);
    LIST_EACH(&p->sessions, node, next)
        session_drain(container_of(node, struct session, node));
    ev_prepare_start(p->loop, &p->reaper); /* calls drained also without sessions */
}

void proxy_yield(struct proxy *p)
{
    p->draining = p->yielded = true;
    proxy_close_listeners(p);
    LIST_EACH(&p->sessions, node, next) {
        struct session *s = container_of(node, struct session, node);
        if (s->state == SESSION_ASSOCIATED)
            session_close(s, "takeover");
    }
    udp_stop(&p->udp);
    ev_prepare_start(p->loop, &p->reaper);
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
    proxy_close_listeners(p);
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
    ev_timer_stop(p->loop, &p->waiting);
    recorder_stop(&p->outbounds.recorder);
    recent_done(&p->outbounds.recent);
    wheel_done(&p->deadlines);
    dead_lines_done(&p->dead_lines);
    udp_done(&p->udp);
    workers_done(&p->workers);
    guesses_done(&p->guesses);
    limits_done(&p->limits);
    verifier_free(p->verifier);
    proxy_free_listeners(p);
}
