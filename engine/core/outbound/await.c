#include "outbound/await.h"

#include "net/defer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void turn_away(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    (void)close(fd);
}

bool await_expects(const struct await *w, const struct addr *peer)
{
    for (size_t i = 0; i < w->n_peers; i++)
        if (addr_same_ip(&w->peers[i], peer))
            return true;
    return w->n_peers == 0;
}

/* A listener must not be freed within its callback, so the peer is reported later. */
static void on_accepted(struct listener *l, int fd, const struct addr *peer)
{
    struct await *w = container_of(l, struct await, listener);

    if (!w->admits(w, peer))
        return turn_away(fd);
    listener_close(l);
    w->fd = fd;
    w->peer = *peer;
    defer(w->loop, &w->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct await *w = container_of(timer, struct await, timer);
    int fd = w->fd;

    (void)loop;
    (void)events;
    w->fd = -1;
    await_cancel(w);
    w->done(w, fd < 0 ? FAULT_TIMEOUT : FAULT_NONE, fd); /* w may be freed by now */
}

static bool is_unspecified(const struct addr *a)
{
    struct addr copy = *a;

    return addr_name_this_machine(&copy);
}

/* Without a known peer it is the address that the uplink has towards the internet. */
static int own_address(const struct egress *e, const struct addr *peer, struct addr *ret)
{
    if (!is_unspecified(peer))
        return egress_find_source(e, peer, ret);
    *ret = addr_family(peer) == AF_INET ? e->source4 : e->source6;
    return addr_family(ret) == AF_UNSPEC ? -EADDRNOTAVAIL : 0;
}

static int listen_by(struct await *w, const struct egress *egress, const struct addr *peer)
{
    struct egress bound = *egress;
    struct addr own;
    int r = own_address(egress, peer, &own);

    if (r < 0)
        return r;
    if (addr_family(peer) == AF_INET)
        bound.source4 = own;
    else
        bound.source6 = own;
    bound.floats4 = bound.floats6 = EGRESS_BOUND;
    int fd = egress_socket(&bound, peer, SOCK_STREAM);
    if (fd < 0)
        return fd;
    if (!is_unspecified(peer) && (r = egress_aim(&bound, fd, peer)) < 0) {
        (void)close(fd);
        return r;
    }
    return listener_open_on(&w->listener, w->loop, fd, on_accepted, NULL);
}

enum fault await_start(struct await *w, struct ev_loop *loop, const struct egress *egress,
                       const struct addr *peers, size_t n, double timeout_s)
{
    w->loop = loop;
    w->fd = -1;
    w->n_peers = 0;
    for (size_t i = 0; i < n && i < DIAL_ADDRS_MAX && !is_unspecified(&peers[0]); i++)
        if (addr_family(&peers[i]) == addr_family(&peers[0]))
            w->peers[w->n_peers++] = peers[i];
    int r = listen_by(w, egress, &peers[0]);
    if (r < 0)
        return fault_from_errno(-r);
    ev_now_update(loop);
    ev_timer_init(&w->timer, on_timer, timeout_s, 0.);
    ev_timer_start(loop, &w->timer);
    return FAULT_NONE;
}

void await_cancel(struct await *w)
{
    if (!w->loop)
        return;
    listener_close(&w->listener);
    ev_timer_stop(w->loop, &w->timer);
    if (w->fd >= 0)
        turn_away(w->fd);
    w->fd = -1;
}
