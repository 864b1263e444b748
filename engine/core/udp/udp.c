#include "udp/udp.h"

#include "base/clock.h"
#include "base/counters.h"
#include "machine/addr_places.h"
#include "udp/udp_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const double TICK_S = 1;

/* --- news of the rooms ---------------------------------------------------------------------------------- */

static void free_port(struct udp_port *p)
{
    struct udp *u = p->udp;

    p->port.room->n_ports--;
    list_remove(&p->node);
    if (p->port.kind == PORT_SOCKS)
        contacts_release(&u->ports_of, contacts_find(&u->ports_of, &p->port.client));
    free(p->port.buckets);
    free(p->to);
    free(p->user);
    free(p);
    if (udp_is_idle(u) && u->ended)
        u->ended(u);
}

static void on_mapping_news(struct udp_way *w, unsigned bits)
{
    if (bits & NEWS_ENDED_DATAGRAMS)
        return udp_way_ended(w);
    if (bits & NEWS_WOKE_DATAGRAMS)
        outbound_wake(w->account);
    if (bits & NEWS_IDLE)
        udp_way_end(w, "idle");
}

static void on_news(struct mailbox *m, struct message *message, unsigned bits)
{
    struct letter *l = container_of(message, struct letter, message);

    (void)m;
    switch (l->of) {
    case LETTER_PORT:
        return free_port(container_of(container_of(l, struct port, news), struct udp_port, port));
    case LETTER_FLOW: {
        struct flow *f = container_of(l, struct flow, news);
        return udp_decide(container_of(f->port, struct udp_port, port), f);
    }
    case LETTER_MAPPING:
        return on_mapping_news(container_of(container_of(l, struct mapping, news), struct udp_way, mapping),
                               bits);
    }
}

/* --- rooms ---------------------------------------------------------------------------------------------- */

static int add_room(struct udp *u, struct ev_loop *loop)
{
    struct datagram_room *room = calloc(1, sizeof *room);
    int err = room ? datagram_room_init(room, loop, &u->news) : -ENOMEM;

    if (err < 0) {
        free(room);
        return err;
    }
    u->rooms[u->n_rooms++] = room;
    return 0;
}

static void drop_room(struct udp *u)
{
    struct datagram_room *room = u->rooms[--u->n_rooms];

    datagram_room_done(room);
    free(room);
}

static int on_worker_joins(struct workers_guest *g, struct ev_loop *loop)
{
    return add_room(container_of(g, struct udp, guest), loop);
}

static void on_worker_leaves(struct workers_guest *g)
{
    drop_room(container_of(g, struct udp, guest));
}

/* Orders and news that are under way, until all ports have reported their end. */
static void settle(struct udp *u)
{
    while (!list_is_empty(&u->ports)) {
        for (size_t i = 0; i < u->n_rooms; i++)
            mailbox_empty(&u->rooms[i]->orders);
        mailbox_empty(&u->news);
    }
}

static void on_workers_ended(struct workers_guest *g)
{
    struct udp *u = container_of(g, struct udp, guest);

    settle(u);
    while (u->n_rooms > 0)
        drop_room(u);
}

static struct datagram_room *least_laden(struct udp *u)
{
    if (u->n_rooms == 0 && add_room(u, u->loop) < 0)
        return NULL; /* without workers, the main loop has the only room */
    struct datagram_room *least = u->rooms[0];
    for (size_t i = 1; i < u->n_rooms; i++)
        if (u->rooms[i]->n_ports < least->n_ports)
            least = u->rooms[i];
    return least;
}

/* --- ports ---------------------------------------------------------------------------------------------- */

static int bind_at(int fd, const struct addr *at, uint16_t port)
{
    struct addr a = *at;

    addr_set_port(&a, port);
    return bind(fd, &a.sa, addr_len(&a)) == 0 ? 0 : -errno;
}

/* A free port of the range, from a random one on. */
static int bind_in_range(int fd, const struct addr *at, uint16_t low, uint16_t high)
{
    unsigned n = (unsigned)high - low + 1, first = 0;
    int err = -EADDRINUSE;

    if (getrandom(&first, sizeof first, GRND_NONBLOCK) != sizeof first)
        first = 0;
    for (unsigned i = 0; i < n && err == -EADDRINUSE; i++)
        err = bind_at(fd, at, (uint16_t)(low + (first + i) % n));
    return err;
}

static int listen_at(const struct udp_settings *s, const struct addr *at, struct addr *ret_at)
{
    const int on = 1;
    int family = addr_family(at);
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;

    if (fd < 0)
        return -errno;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        err = -errno;
    if (err == 0)
        err = addr_port(at) == 0 && s->port_low > 0 ? bind_in_range(fd, at, s->port_low, s->port_high)
                                                    : bind_at(fd, at, addr_port(at));
    *ret_at = *at;
    if (err == 0 && getsockname(fd, &ret_at->sa, &(socklen_t){sizeof *ret_at}) < 0)
        err = -errno;
    if (err < 0) {
        (void)close(fd);
        return err;
    }
    batch_tune(fd);
    return fd;
}

static const struct addr *advertised(const struct udp_settings *s, const struct addr *at)
{
    return addr_family(at) == AF_INET ? &s->advertise4 : &s->advertise6;
}

static int fill_port(struct udp_port *p, const struct udp_port_request *r)
{
    p->port.kind = r->kind;
    p->port.client = r->client;
    p->listener = r->listener;
    p->user = r->user ? strdup(r->user) : NULL;
    if (r->user && !p->user)
        return -ENOMEM;
    if (r->kind != PORT_FORWARD)
        return 0;
    p->to = malloc(sizeof *p->to);
    if (!p->to)
        return -ENOMEM;
    *p->to = *r->to;
    p->port.to_port = r->to->port;
    if (r->to->kind == TARGET_NAME) {
        p->port.to_name = slice_str(p->to->host);
        return 0;
    }
    return addr_from_ip(&p->port.to, r->to->ip, r->to->kind == TARGET_IPV4 ? 4 : 16, r->to->port);
}

int udp_port_open(struct udp *u, const struct udp_port_request *request, struct udp_port **ret,
                  struct addr *ret_at)
{
    struct contact *others = contacts_find(&u->ports_of, &request->client);

    if (request->kind == PORT_SOCKS && others && others->holders >= u->settings.client_ports_max)
        return -EDQUOT;
    struct udp_port *p = calloc(1, sizeof *p);
    struct datagram_room *room = p ? least_laden(u) : NULL;
    int err = room ? fill_port(p, request) : -ENOMEM;
    int fd = err == 0 ? listen_at(&u->settings, &request->at, ret_at) : err;
    if (fd >= 0 && request->kind == PORT_SOCKS && !contacts_hold(&u->ports_of, &request->client)) {
        (void)close(fd);
        fd = -ENOMEM;
    }
    if (fd < 0) {
        free(p ? p->to : NULL);
        free(p ? p->user : NULL);
        free(p);
        return fd;
    }
    const struct addr *told = advertised(&u->settings, ret_at);
    if (request->kind == PORT_SOCKS && addr_family(told) != AF_UNSPEC) {
        uint16_t bound = addr_port(ret_at);
        *ret_at = *told;
        addr_set_port(ret_at, bound);
    }
    p->udp = u;
    p->port.room = room;
    p->port.socket.fd = fd;
    list_init(&p->ways);
    list_init(&p->asks);
    list_push_back(&u->ports, &p->node);
    room->n_ports++;
    port_begin(&p->port);
    *ret = p;
    return 0;
}

void udp_port_close(struct udp_port *p)
{
    if (!p || p->closing)
        return;
    p->closing = true;
    LIST_EACH(&p->asks, node, next)
        udp_ask_cancel(container_of(node, struct udp_ask, node));
    LIST_EACH(&p->ways, node, next) {
        struct udp_way *w = container_of(node, struct udp_way, node);
        if (!w->outcome)
            w->outcome = "closed";
        if (!w->given)
            udp_way_ended(w); /* the room does not know it */
    }
    mailbox_send(&p->port.room->orders, &p->port.order.message, ORDER_END);
}

bool udp_is_idle(const struct udp *u)
{
    return !u->loop || list_is_empty(&u->ports);
}

uint64_t udp_port_moved(const struct udp_port *p)
{
    return counters_get(&p->port.moved);
}

/* --- all of them ---------------------------------------------------------------------------------------- */

static bool loses(const struct udp_way *w, const struct addr_change *change)
{
    return (addr_family(&w->source4) != AF_UNSPEC && addr_change_loses(change, &w->source4, 0)) ||
           (addr_family(&w->source6) != AF_UNSPEC && addr_change_loses(change, &w->source6, 0));
}

size_t udp_cut(struct udp *udp, const struct uplink *u, const struct addr_change *change)
{
    size_t n = 0;

    if (!udp->loop)
        return 0;
    LIST_EACH(&udp->ports, port, next_port) {
        LIST_EACH(&container_of(port, struct udp_port, node)->ways, node, next) {
            struct udp_way *w = container_of(node, struct udp_way, node);
            if (w->outcome || w->account->lease.uplink != u || (change && !loses(w, change)))
                continue;
            udp_way_end(w, "cut");
            n++;
        }
    }
    return n;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct udp *u = container_of(w, struct udp, tick);

    (void)events;
    udp_silence_look(u);
    if (u->n_ways == 0)
        ev_timer_stop(loop, w);
}

struct udp_counts udp_counts(const struct udp *u)
{
    struct udp_counts c = {.mappings = u->n_ways};

    for (size_t i = 0; i < u->n_rooms; i++) {
        const struct datagram_room *room = u->rooms[i];
        c.ports += room->n_ports;
        c.moved += counters_get(&room->moved);
        c.in_fragments += counters_get(&room->in_fragments);
        for (size_t k = 0; k < N_DATAGRAM_DROPS; k++)
            c.drops[k] += counters_get(&room->drops[k]);
    }
    return c;
}

int udp_init(struct udp *u, struct outbounds *outbounds, struct workers *workers,
             const struct udp_settings *settings)
{
    *u = (struct udp){
        .loop = outbounds->loop, .outbounds = outbounds, .workers = workers, .settings = *settings};
    u->guest = (struct workers_guest){
        .joins = on_worker_joins, .leaves = on_worker_leaves, .ended = on_workers_ended};
    u->mappings_of.filter = u->ports_of.filter = UDP_FILTER_ADDRESS;
    int err = hash_key_make(&u->mappings_of.key);
    if (err < 0)
        return err;
    u->ports_of.key = u->mappings_of.key;
    list_init(&u->ports);
    mailbox_init(&u->news, u->loop, on_news);
    ev_timer_init(&u->tick, on_tick, TICK_S, TICK_S);
    workers->guest = &u->guest;
    return 0;
}

void udp_stop(struct udp *u)
{
    if (!u->loop)
        return;
    LIST_EACH(&u->ports, node, next)
        udp_port_close(container_of(node, struct udp_port, node));
}

void udp_done(struct udp *u)
{
    if (!u->loop)
        return;
    settle(u); /* without workers */
    while (u->n_rooms > 0)
        drop_room(u);
    ev_timer_stop(u->loop, &u->tick);
    mailbox_done(&u->news);
    contacts_done(&u->mappings_of);
    contacts_done(&u->ports_of);
}
