/* Opens the listeners that a config wants: those of the proxy, forwards, and transparent ones. The config may
 * be read again while the proxy runs. Each reading is a wave: new listeners are opened first. Those that the
 * wave does not want are removed when all else of the config is accepted. */
#include "serve/app.h"

#include "captured/forward.h"
#include "captured/transparent.h"
#include "inbound/proxy_listener.h"
#include "inbound/proxy_listeners.h"

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

/* --- the listeners of a group --------------------------------------------------------------------------- */

static bool same_place(const struct listen_place *a, const struct listen_place *b)
{
    char one[LISTEN_TEXT_MAX], other[LISTEN_TEXT_MAX];

    return strcmp(listen_place_text(a, one), listen_place_text(b, other)) == 0;
}

static bool same_use(const struct proxy_use *a, const struct proxy_use *b)
{
    return a->front == b->front && a->transparent == b->transparent;
}

/* A listening socket can get another use, except that TPROXY's is another kind of socket, and that of
 * datagrams. */
static bool same_socket(const struct group *g, const struct proxy_listener *l)
{
    return g->udp ? same_use(&l->use, &g->use) : l->use.transparent == g->use.transparent;
}

/* @return a listener of an earlier wave for this place of the group, or NULL */
static struct proxy_listener *heard(const struct app *a, const struct group *g,
                                    const struct listen_place *place)
{
    struct proxy_listener *const *list = g->udp ? a->proxy.udp_listeners : a->proxy.listeners;
    size_t n = g->udp ? a->proxy.n_udp_listeners : a->proxy.n_listeners;

    for (size_t i = 0; i < n; i++)
        if (list[i]->wave != a->wave && same_place(&list[i]->asked, place) && same_socket(g, list[i]))
            return list[i];
    return NULL;
}

static struct proxy_use use_at(const struct group *g, const struct listen_place *place)
{
    struct proxy_use use = g->use;

    use.proxy_header = place->proxy_protocol;
    return use;
}

/* Listeners that wait for their address get the port later. */
static void share_port(struct app *a, const struct group *g, uint16_t port)
{
    for (size_t i = 0; i < a->proxy.n_listeners; i++) {
        struct proxy_listener *l = a->proxy.listeners[i];
        if (l->fresh && l->wave == a->wave && same_use(&l->use, &g->use) && addr_port(&l->place.addr) == 0)
            proxy_set_port(l, port);
    }
}

/* Listeners of ours that have the port, and are perhaps about to be removed. */
static int share_ports(struct app *a, uint16_t port, bool on)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < a->proxy.n_listeners; i++)
        if (addr_port(&a->proxy.listeners[i]->place.addr) == port)
            err = listener_share_port(&a->proxy.listeners[i]->listener, on);
    return err;
}

/* "localhost" may become "*", or the reverse: for a moment both have the port, and no client is refused. */
static int listen_beside(struct app *a, const struct listen_place *place, struct proxy_use use,
                         const struct proxy_opening *how, struct proxy_listener **ret)
{
    uint16_t port = addr_port(&place->addr);
    int err = share_ports(a, port, true);

    use.beside = true;
    if (err == 0)
        err = proxy_listen(&a->proxy, place, &use, how, ret);
    int closed = share_ports(a, port, false);
    return err < 0 ? err : closed;
}

/* @param asked  the place as the user gave it, by which another process hands over its socket */
static int open_one(struct app *a, const struct group *g, const struct listen_place *place,
                    const struct listen_place *asked, struct proxy_listener **ret)
{
    const struct proxy_use use = use_at(g, place);
    struct proxy_opening how = {.absent = a->strict ? LISTENER_REFUSES : LISTENER_WAITS};
    char text[LISTEN_TEXT_MAX];
    int fd = handed_take(&a->takeover.before.handed, g->udp ? HANDED_DATAGRAMS : HANDED_LISTENER,
                         listen_place_text(asked, text), use.name ? use.name : "");

    if (fd < 0 && !use.name && !g->udp) /* of a service manager, by its name */
        fd = handed_take(&a->takeover.before.handed, HANDED_LISTENER, "proxy", HANDED_ANY_USE);
    if (fd >= 0)
        how.bound = &fd;
    if (g->udp)
        return proxy_listen_udp(&a->proxy, place, &use, use.transparent ? &g->tproxy : NULL, &how, ret);
    int err = proxy_listen(&a->proxy, place, &use, &how, ret);
    return err == -EADDRINUSE && a->wave > 1 && !how.bound ? listen_beside(a, place, use, &how, ret) : err;
}

/* Addresses with port 0 all get the port that the first one was given. */
static int listen_once(struct app *a, const struct group *g, const struct listen_place **ret_failed)
{
    uint16_t shared = 0;
    bool any = false;
    int err = 0;

    for (size_t i = 0; i < g->n; i++) {
        struct listen_place place = g->places[i];
        bool free_port = addr_port(&place.addr) == 0;
        struct proxy_listener *l = heard(a, g, &place);
        bool fresh = !l;
        if (free_port)
            addr_set_port(&place.addr, shared);
        err = l ? 0 : open_one(a, g, &place, &g->places[i], &l);
        /* On a machine without IPv6, 127.0.0.1 still serves. */
        if ((err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT) && g->n > 1 && addr_is_loopback(&place.addr) &&
            addr_family(&place.addr) == AF_INET6)
            continue;
        if (err < 0) {
            *ret_failed = &g->places[i];
            return err;
        }
        any = true;
        l->asked = g->places[i];
        l->wave = a->wave;
        l->fresh = fresh;
        if (free_port)
            shared = addr_port(&l->place.addr);
    }
    share_port(a, g, shared);
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

/* Close what this try of the group has opened. */
static void close_fresh(struct app *a, const struct group *g)
{
    struct proxy_listener **list = g->udp ? a->proxy.udp_listeners : a->proxy.listeners;
    size_t *n = g->udp ? &a->proxy.n_udp_listeners : &a->proxy.n_listeners;

    for (size_t i = *n; i-- > 0;) {
        if (list[i]->wave != a->wave || !same_use(&list[i]->use, &g->use))
            continue;
        if (list[i]->fresh)
            proxy_remove_listener(list[i]);
        else
            list[i]->wave--;
    }
}

static int listen_group(struct app *a, const struct group *g, char *err)
{
    const struct listen_place *failed = &g->places[0];
    int e = 0;

    for (int i = 0; i < PORT_TRIES; i++) {
        e = listen_once(a, g, &failed);
        if (e == 0)
            return 0;
        if (e != -EADDRINUSE || addr_port(&failed->addr) != 0)
            break;
        close_fresh(a, g);
    }
    char text[LISTEN_TEXT_MAX];
    (void)snprintf(err, CONFIG_ERROR_MAX, "cannot listen on %s: %s%s", listen_place_text(failed, text),
                   strerror(-e), listen_hint(e, &g->use));
    return e;
}

/* --- the groups of a config ----------------------------------------------------------------------------- */

typedef int group_fn(struct app *a, const struct group *g, char *err);

static int need_own_ends(struct app *a, char *err)
{
    if (!a->own_ends)
        a->own_ends = calloc(1, sizeof *a->own_ends);
    a->proxy.outbounds.own_ends = a->own_ends;
    if (a->own_ends)
        return 0;
    (void)snprintf(err, CONFIG_ERROR_MAX, "out of memory");
    return -ENOMEM;
}

/* Captured datagrams come to the ports of the listeners that take captured connections. */
static int each_datagram_group(struct app *a, const struct config *c, const struct group *like,
                               group_fn *step, char *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < a->proxy.n_listeners; i++) {
        const struct proxy_listener *l = a->proxy.listeners[i];
        if (listen_place_is_awaited(&l->place) || l->wave != a->wave || !same_use(&l->use, &like->use))
            continue; /* its link is not there yet, or it is not of this group */
        const struct group g = {.places = &l->place,
                                .n = 1,
                                .use = like->use,
                                .udp = true,
                                .tproxy = {.resolve = c->transparent_resolve,
                                           .peek_s = c->peek_timeout_s,
                                           .mark = egress_own_mark()}};
        r = step(a, &g, err);
    }
    return r;
}

static int each_transparent_group(struct app *a, const struct config *c, bool tproxy, group_fn *step,
                                  char *err)
{
    struct transparent setting;

    memset(&setting, 0, sizeof setting); /* also what is between the members: settle_datagrams compares it */
    setting.tproxy = tproxy;
    setting.resolve = c->transparent_resolve;
    setting.peek_s = c->peek_timeout_s;
    struct group g = {.use = {.front = &FRONT_TRANSPARENT,
                              .setting = &setting,
                              .setting_size = sizeof setting,
                              .transparent = tproxy,
                              .own_clients = true,
                              .name = tproxy ? "tproxy" : "redirect"}};
    bool any = false;
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->n_transparents; i++) {
        if (c->transparents[i].tproxy != tproxy)
            continue;
        g.places = c->transparents[i].ports.places;
        g.n = c->transparents[i].ports.n_places;
        any = true;
        r = need_own_ends(a, err);
        if (r == 0)
            r = step(a, &g, err);
    }
    return r == 0 && any && tproxy ? each_datagram_group(a, c, &g, step, err) : r;
}

static int each_group(struct app *a, const struct config *c, group_fn *step, char *err)
{
    const struct group proxy = {.places = c->listen, .n = c->n_listen};
    int r = step(a, &proxy, err);

    for (size_t i = 0; r == 0 && i < c->n_forwards; i++) {
        const struct config_forward *f = &c->forwards[i];
        const struct group g = {.places = f->ports.places,
                                .n = f->ports.n_places,
                                .use = {.front = &FRONT_FORWARD,
                                        .setting = &f->to,
                                        .setting_size = sizeof f->to,
                                        .name = "forward"},
                                .udp = f->udp};
        r = step(a, &g, err);
    }
    for (int tproxy = 0; r == 0 && tproxy < 2; tproxy++)
        r = each_transparent_group(a, c, tproxy, step, err);
    return r;
}

/* The socket of datagrams does not tell. */
static void note_absent(struct proxy *p, const struct machine *m)
{
    for (size_t i = 0; i < p->n_listeners; i++) /* nor does one of another process */
        if (!listen_place_is_there(&p->listeners[i]->place, m))
            p->listeners[i]->listener.absent = true;
    for (size_t i = 0; i < p->n_udp_listeners; i++)
        p->udp_listeners[i]->listener.absent = !listen_place_is_there(&p->udp_listeners[i]->place, m);
}

int app_listen(struct app *a, const struct config *c, const struct machine *m, char *err)
{
    a->wave++;
    a->strict = c->listen_strict;
    int r = each_group(a, c, listen_group, err);
    if (r < 0)
        app_listen_undo(a);
    note_absent(&a->proxy, m);
    return r;
}

/* --- the end of a wave ---------------------------------------------------------------------------------- */

static void remove_where(struct proxy_listener **list, const size_t *n, uint32_t wave, bool fresh)
{
    for (size_t i = *n; i-- > 0;)
        if (fresh ? list[i]->wave == wave && list[i]->fresh : list[i]->wave != wave)
            proxy_remove_listener(list[i]);
}

void app_listen_undo(struct app *a)
{
    remove_where(a->proxy.listeners, &a->proxy.n_listeners, a->wave, true);
    remove_where(a->proxy.udp_listeners, &a->proxy.n_udp_listeners, a->wave, true);
}

/* A port of datagrams cannot change: it is closed, and opened again. */
static int settle_datagrams(struct app *a, const struct group *g, struct proxy_listener *l, char *err)
{
    const struct listen_place place = l->asked;
    struct proxy_listener *again;
    int r;

    if (memcmp(l->use.setting, g->use.setting, g->use.setting_size) == 0)
        return 0;
    proxy_remove_listener(l);
    r = open_one(a, g, &place, &place, &again);
    if (r == 0)
        again->wave = a->wave;
    else
        (void)snprintf(err, CONFIG_ERROR_MAX, "cannot listen again: %s", strerror(-r));
    return r;
}

/* Existing listeners of the wave get the config's settings. */
static int settle_group(struct app *a, const struct group *g, char *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < g->n; i++) {
        struct proxy_listener *const *list = g->udp ? a->proxy.udp_listeners : a->proxy.listeners;
        size_t n = g->udp ? a->proxy.n_udp_listeners : a->proxy.n_listeners;
        for (size_t k = 0; k < n; k++) {
            struct proxy_listener *l = list[k];
            if (l->fresh || l->wave != a->wave || !same_place(&l->asked, &g->places[i]) || !same_socket(g, l))
                continue;
            const struct proxy_use use = use_at(g, &g->places[i]);
            r = g->udp ? settle_datagrams(a, g, l, err) : proxy_listener_change(l, &use);
            break;
        }
    }
    return r;
}

void app_listen_settle(struct app *a, const struct config *c)
{
    char err[CONFIG_ERROR_MAX] = "out of memory";
    struct log_line l;

    remove_where(a->proxy.listeners, &a->proxy.n_listeners, a->wave, false);
    remove_where(a->proxy.udp_listeners, &a->proxy.n_udp_listeners, a->wave, false);
    if (each_group(a, c, settle_group, err) == 0)
        return;
    log_begin(&l, EVENT_LISTEN_FAILED);
    log_str(&l, "error", err);
    log_end(&l);
}
