/* Opens the listeners: those of the proxy, forwards, and transparent ones. */
#include "serve/app.h"

#include "captured/forward.h"
#include "captured/transparent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With port 0, all addresses need the same free port; another program may take it first. */
enum { PORT_TRIES = 8 };

/* Listeners that belong together, on one port if it is 0. */
struct group {
    const struct listen_place *places;
    size_t n;
    struct proxy_use use;
    bool udp;
    struct udp_tproxy tproxy;
};

/* Listeners that wait for their address get the port later. */
static void share_port(struct proxy *p, size_t first, uint16_t port)
{
    for (size_t i = first; i < p->n_listeners; i++)
        if (addr_port(&p->listeners[i].place.addr) == 0)
            proxy_set_port(&p->listeners[i], port);
}

/* Addresses with port 0 all get the port that the first one was given. */
static int listen_once(struct app *a, const struct group *g, const struct listen_place **ret_failed)
{
    const enum listener_absent absent = a->config->listen_strict ? LISTENER_REFUSES : LISTENER_WAITS;
    size_t first = a->proxy.n_listeners;
    uint16_t shared = 0;
    bool any = false;
    int err = 0;

    for (size_t i = 0; i < g->n; i++) {
        struct listen_place place = g->places[i];
        struct addr bound;
        bool free_port = addr_port(&place.addr) == 0;
        if (free_port)
            addr_set_port(&place.addr, shared);
        struct proxy_use use = g->use;
        use.proxy_header = place.proxy_protocol;
        err = g->udp ? proxy_listen_udp(&a->proxy, &place, &use, use.transparent ? &g->tproxy : NULL, absent,
                                        &bound)
                     : proxy_listen(&a->proxy, &place, &use, absent, &bound);
        /* On a machine without IPv6, 127.0.0.1 still serves. */
        if ((err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT) && g->n > 1 && addr_is_loopback(&place.addr) &&
            addr_family(&place.addr) == AF_INET6)
            continue;
        if (err < 0) {
            *ret_failed = &g->places[i];
            return err;
        }
        any = true;
        if (free_port)
            shared = addr_port(&bound);
    }
    share_port(&a->proxy, first, shared);
    return any ? 0 : err;
}

static const char *listen_hint(int err, const struct proxy_use *use)
{
    switch (-err) {
    case EADDRINUSE:
        return use->front ? " (another program, or another listener of this one, has the port)"
                          : " (is another proxy running? choose a port with --port)";
    case EACCES:
        return " (ports below 1024 need root or CAP_NET_BIND_SERVICE: choose another with --port, or run "
               "setcap cap_net_bind_service+ep on the program)";
    case EPERM:
        return " (tproxy needs CAP_NET_ADMIN: run as root, or run setcap cap_net_admin+ep on the program)";
    case ENODEV:
        return " (the interface does not exist)";
    case EADDRNOTAVAIL:
        return " (this machine does not have the address; without --listen-strict the proxy waits for it)";
    default:
        return "";
    }
}

static int listen_group(struct app *a, const struct group *g, char *err)
{
    size_t before = a->proxy.n_listeners;
    const struct listen_place *failed = &g->places[0];
    int e = 0;

    for (int i = 0; i < PORT_TRIES; i++) {
        e = listen_once(a, g, &failed);
        if (e == 0)
            return 0;
        proxy_unlisten(&a->proxy, before);
        if (e != -EADDRINUSE || addr_port(&failed->addr) != 0)
            break;
    }
    char text[LISTEN_TEXT_MAX];
    (void)snprintf(err, CONFIG_ERROR_MAX, "cannot listen on %s: %s%s", listen_place_text(failed, text),
                   strerror(-e), listen_hint(e, &g->use));
    return e;
}

static int set_transparent(struct app *a, char *err)
{
    const struct config *c = a->config;

    for (int tproxy = 0; tproxy < 2; tproxy++)
        a->transparent[tproxy] = (struct transparent){
            .tproxy = tproxy, .resolve = c->transparent_resolve, .peek_s = c->peek_timeout_s};
    if (c->n_transparents == 0)
        return 0;
    a->own_ends = calloc(1, sizeof *a->own_ends);
    a->proxy.outbounds.own_ends = a->own_ends;
    if (a->own_ends)
        return 0;
    (void)snprintf(err, CONFIG_ERROR_MAX, "out of memory");
    return -ENOMEM;
}

/* Captured datagrams come to the ports of the listeners that take captured connections. */
static int listen_datagrams(struct app *a, const struct group *like, size_t first, char *err)
{
    for (size_t i = first; i < a->proxy.n_listeners; i++) {
        if (listen_place_is_awaited(&a->proxy.listeners[i].place))
            continue;
        const struct group g = {.places = &a->proxy.listeners[i].place,
                                .n = 1,
                                .use = like->use,
                                .udp = true,
                                .tproxy = {.resolve = a->config->transparent_resolve,
                                           .peek_s = a->config->peek_timeout_s,
                                           .mark = egress_own_mark()}};
        int r = listen_group(a, &g, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The socket of datagrams does not tell. */
static void note_absent(struct proxy *p, const struct machine *m)
{
    for (size_t i = 0; i < p->n_udp_listeners; i++)
        p->udp_listeners[i].listener.absent = !listen_place_is_there(&p->udp_listeners[i].place, m);
}

int app_listen(struct app *a, const struct machine *m, char *err)
{
    const struct config *c = a->config;
    const struct group proxy = {.places = c->listen, .n = c->n_listen};
    int r = listen_group(a, &proxy, err);

    for (size_t i = 0; r == 0 && i < c->n_forwards; i++) {
        const struct config_forward *f = &c->forwards[i];
        const struct group g = {.places = f->ports.places,
                                .n = f->ports.n_places,
                                .use = {.front = &FRONT_FORWARD, .setting = &f->to, .name = "forward"},
                                .udp = f->udp};
        r = listen_group(a, &g, err);
    }
    if (r == 0)
        r = set_transparent(a, err);
    for (size_t i = 0; r == 0 && i < c->n_transparents; i++) {
        const struct config_transparent *t = &c->transparents[i];
        size_t before = a->proxy.n_listeners;
        const struct group g = {.places = t->ports.places,
                                .n = t->ports.n_places,
                                .use = {.front = &FRONT_TRANSPARENT,
                                        .setting = &a->transparent[t->tproxy],
                                        .transparent = t->tproxy,
                                        .own_clients = true,
                                        .name = t->tproxy ? "tproxy" : "redirect"}};
        r = listen_group(a, &g, err);
        if (r == 0 && t->tproxy)
            r = listen_datagrams(a, &g, before, err);
    }
    note_absent(&a->proxy, m);
    return r;
}
