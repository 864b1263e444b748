#include "inbound/proxy_listeners.h"

#include "inbound/capacity.h"
#include "inbound/gate.h"
#include "inbound/proxy_listener.h"
#include "inbound/session.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- clients come --------------------------------------------------------------------------------------- */

static void on_accepted(struct listener *listener, int fd, const struct addr *peer)
{
    struct proxy_listener *pl = container_of(listener, struct proxy_listener, listener);

    if (!gate_lets_in(pl, peer)) {
        (void)close(fd);
        return;
    }
    session_new(pl, fd, peer);
    capacity_look(pl->proxy);
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

static bool on_datagrams_of(void *arg, const struct addr *client)
{
    struct proxy_listener *pl = arg;

    return !pl->removed && gate_lets_in(pl, client);
}

/* --- new ones ------------------------------------------------------------------------------------------- */

static int open_listener(struct proxy_listener *l, const struct proxy_opening *how)
{
    const struct listener_kind kind = {.absent = how->absent,
                                       .transparent = l->use.transparent,
                                       .beside = l->use.beside,
                                       .bound = how->bound};
    int err = listener_open(&l->listener, l->proxy->loop, &l->place.addr, &kind, on_accepted, on_starved);

    if (err == 0)
        l->place.addr = l->listener.addr;
    return err;
}

/* @return 0 or negative errno; the bound socket is taken in either case */
static int refuse_opening(const struct proxy_opening *how, int err)
{
    if (how->bound)
        (void)close(*how->bound);
    return err;
}

int proxy_listen(struct proxy *p, const struct listen_place *place, const struct proxy_use *use,
                 const struct proxy_opening *how, struct proxy_listener **ret)
{
    if (p->n_listeners == PROXY_LISTENERS_MAX)
        return refuse_opening(how, -ENOSPC);
    struct proxy_listener *l = proxy_listener_new(p, place, use);
    if (!l)
        return refuse_opening(how, -ENOMEM);
    bool awaited = listen_place_is_awaited(place) && !how->bound;
    int err = !awaited ? open_listener(l, how) : how->absent == LISTENER_WAITS ? 0 : -ENODEV;
    if (err < 0) {
        proxy_listener_free(l);
        return err;
    }
    (void)listen_place_text(&l->place, l->text);
    p->listeners[p->n_listeners++] = l;
    loops_listen(&p->outbounds.loops, &l->listener.addr, use->front);
    if (ret)
        *ret = l;
    return 0;
}

int proxy_listen_udp(struct proxy *p, const struct listen_place *place, const struct proxy_use *use,
                     const struct udp_tproxy *tproxy, const struct proxy_opening *how,
                     struct proxy_listener **ret)
{
    if (listen_place_is_awaited(place))
        return refuse_opening(how, -ENODEV);
    if (p->n_udp_listeners == PROXY_LISTENERS_MAX)
        return refuse_opening(how, -ENOSPC);
    struct proxy_listener *l = proxy_listener_new(p, place, use);
    if (!l)
        return refuse_opening(how, -ENOMEM);
    const struct udp_service service = {.admits = on_datagrams_of,
                                        .arg = l,
                                        .listener = l->text,
                                        .waits = how->absent == LISTENER_WAITS,
                                        .bound = how->bound};
    int err = tproxy ? udp_tproxy(&p->udp, &place->addr, tproxy, &service, &l->port, &l->place.addr)
                     : udp_forward(&p->udp, &place->addr, use->setting, &service, &l->port, &l->place.addr);
    if (err < 0) {
        proxy_listener_free(l);
        return err;
    }
    (void)listen_place_text(&l->place, l->text);
    p->udp_listeners[p->n_udp_listeners++] = l;
    if (ret)
        *ret = l;
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
    int err = open_listener(l, &(struct proxy_opening){.absent = LISTENER_WAITS});
    l->listener.absent = true; /* until the machine is looked at again */
    (void)listen_place_text(&l->place, l->text);
    return err;
}

/* --- and their end -------------------------------------------------------------------------------------- */

/* @return the new number */
static size_t take_out(struct proxy_listener **list, size_t n, const struct proxy_listener *l)
{
    size_t i = 0;

    while (i < n && list[i] != l)
        i++;
    assert(i < n);
    memmove(&list[i], &list[i + 1], (n - i - 1) * sizeof(struct proxy_listener *));
    return n - 1;
}

/* Accounts of mappings name the listener of a UDP port until they have ended, so it stays. */
void proxy_remove_listener(struct proxy_listener *l)
{
    struct proxy *p = l->proxy;

    l->removed = true;
    list_push_back(&p->removed_listeners, &l->node);
    if (l->port) {
        p->n_udp_listeners = take_out(p->udp_listeners, p->n_udp_listeners, l);
        return udp_service_close(l->port);
    }
    p->n_listeners = take_out(p->listeners, p->n_listeners, l);
    loops_unlisten(&p->outbounds.loops, &l->listener.addr);
    listener_take_waiting(&l->listener);
    listener_close(&l->listener);
    l->clients++;
    proxy_listener_leave(l);
}

void proxy_close_listeners(struct proxy *p)
{
    for (size_t i = 0; i < p->n_listeners; i++)
        listener_close(&p->listeners[i]->listener);
}

void proxy_free_listeners(struct proxy *p)
{
    for (size_t i = 0; i < p->n_listeners; i++)
        proxy_listener_free(p->listeners[i]);
    for (size_t i = 0; i < p->n_udp_listeners; i++)
        proxy_listener_free(p->udp_listeners[i]);
    p->n_listeners = p->n_udp_listeners = 0;
    LIST_EACH(&p->removed_listeners, node, next) {
        list_remove(node);
        proxy_listener_free(container_of(node, struct proxy_listener, node));
    }
}
