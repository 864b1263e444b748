#include "udp/udp_state.h"

#include "base/clock.h"
#include "base/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* --- the socket ----------------------------------------------------------------------------------------- */

static int bind_at(int fd, const struct addr *at, uint16_t port)
{
    struct addr a = *at;

    addr_set_port(&a, port);
    return bind(fd, &a.sa, addr_len(&a)) == 0 ? 0 : -errno;
}

int udp_allow_beside(int fd, bool allow)
{
    const int on = allow;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 ? 0 : -errno;
}

/* A free port of the range, from a random one on. */
static int bind_in_range(int fd, const struct addr *at, uint16_t low, uint16_t high)
{
    unsigned n = (unsigned)high - low + 1, first = 0;
    int err = -EADDRINUSE;

    if (getrandom(&first, sizeof first, GRND_NONBLOCK) != sizeof first)
        first = 0;
    for (unsigned i = 0; i < n && err == -EADDRINUSE; i++)
        err = bind_at(fd, at, (uint16_t)(low + (first % n + i) % n));
    return err;
}

/* @param beside  a socket that allows it has the port still */
static int listen_at(const struct addr *at, uint16_t low, uint16_t high, bool waits, bool beside,
                     struct addr *ret_at)
{
    const int on = 1;
    int family = addr_family(at);
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;

    if (fd < 0)
        return -errno;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        err = -errno;
    if (err == 0 && waits && setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on) < 0)
        err = -errno;
    if (err == 0 && beside)
        err = udp_allow_beside(fd, true);
    if (err == 0)
        err = low > 0 ? bind_in_range(fd, at, low, high) : bind_at(fd, at, addr_port(at));
    if (err == 0 && beside) /* no other program may take it away */
        err = udp_allow_beside(fd, false);
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

int udp_listen_at(const struct addr *at, uint16_t low, uint16_t high, bool waits, struct addr *ret_at)
{
    return listen_at(at, low, high, waits, false, ret_at);
}

int udp_listen_beside(const struct addr *at, bool waits, struct addr *ret_at)
{
    return listen_at(at, 0, 0, waits, true, ret_at);
}

int udp_listen_on(int fd, struct addr *ret_at)
{
    if (getsockname(fd, &ret_at->sa, &(socklen_t){sizeof *ret_at}) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    batch_tune(fd);
    return fd;
}

/* --- ports ---------------------------------------------------------------------------------------------- */

static void keep_whole(struct batch_socket *s)
{
    int family;

    if (getsockopt(s->fd, SOL_SOCKET, SO_DOMAIN, &family, &(socklen_t){sizeof family}) == 0)
        (void)batch_keep_whole(s, family); /* without it, the kernel sends fragments */
}

struct udp_port *udp_port_new(struct udp *u, enum port_kind kind, int fd)
{
    struct udp_port *p = calloc(1, sizeof *p);

    if (!p) {
        (void)close(fd);
        return NULL;
    }
    p->udp = u;
    p->port.kind = kind;
    p->port.socket.fd = fd;
    keep_whole(&p->port.socket);
    list_init(&p->associations);
    list_init(&p->ways);
    p->names.filter = p->clients.filter = UDP_FILTER_ADDRESS;
    p->names.key = p->clients.key = u->mappings.key;
    list_push_back(&u->ports, &p->node);
    return p;
}

bool udp_port_go(struct udp_port *p)
{
    struct datagram_room *room = udp_room(p->udp);

    if (!room)
        return false;
    p->port.room = room;
    room->n_ports++;
    port_begin(&p->port);
    return true;
}

void udp_start(struct udp *u)
{
    u->started = true;
    LIST_EACH(&u->ports, node, next) {
        struct udp_port *p = container_of(node, struct udp_port, node);
        if (!p->port.room && !udp_port_go(p))
            udp_port_close(p);
    }
}

/* It stays open for its next client: the fixed port of associations, a forward, captured datagrams. */
static bool is_spare(const struct udp_port *p)
{
    return p->service.admits ? list_is_empty(&p->ways) : p->shared && list_is_empty(&p->associations);
}

bool udp_is_idle(const struct udp *u)
{
    if (!u->loop)
        return true;
    LIST_EACH(&u->ports, node, next)
        if (!is_spare(container_of(node, struct udp_port, node)))
            return false;
    return true;
}

static void note_ended(struct udp *u)
{
    if (udp_is_idle(u) && u->ended)
        u->ended(u);
}

void udp_port_free(struct udp_port *p)
{
    struct udp *u = p->udp;

    if (p->port.room)
        p->port.room->n_ports--;
    list_remove(&p->node);
    LIST_EACH(&p->associations, node, next) {
        struct udp_association *a = container_of(node, struct udp_association, node);
        a->closing = true;
        udp_association_rest(a);
    }
    port_done(&p->port);
    contacts_done(&p->names);
    contacts_done(&p->clients);
    free(p->to);
    free(p);
    note_ended(u);
}

void udp_port_close(struct udp_port *p)
{
    if (p->closing)
        return;
    p->closing = true;
    LIST_EACH(&p->ways, node, next) {
        struct udp_way *w = container_of(node, struct udp_way, node);
        udp_refuse_waiting(w);
        if (!w->outcome)
            udp_way_retire(w, "closed");
        if (!w->given)
            udp_way_ended(w); /* the room does not know it */
    }
    if (p->port.room)
        return mailbox_send(&p->port.room->orders, &p->port.order.message, ORDER_END);
    (void)close(p->port.socket.fd); /* it has not begun */
    udp_port_free(p);
}

/* --- associations --------------------------------------------------------------------------------------- */

struct udp_association *udp_association_new(struct udp_port *p, const struct udp_request *r)
{
    struct udp_association *a = calloc(1, sizeof *a);
    char *user = r->user ? strdup(r->user) : NULL;

    if (!a || (r->user && !user)) {
        free(a);
        free(user);
        return NULL;
    }
    *a = (struct udp_association){
        .port = p, .client = r->client, .hint = r->hint, .user = user, .listener = r->listener};
    list_init(&a->ways);
    list_push_back(&p->associations, &a->node);
    return a;
}

/* Hints of a shared port are found by the client's end: with port 0 where none was told. */
static struct addr hinted(const struct addr *client, uint16_t hint)
{
    struct addr end = *client;

    addr_set_port(&end, hint);
    return end;
}

static struct udp_association *with_hint(struct udp_port *p, const struct addr *client, uint16_t hint)
{
    struct addr end = hinted(client, hint);
    struct udp_index_entry *e = udp_index_find(&p->udp->by_hint, p, &end);

    return e ? container_of(e, struct udp_association, by_hint) : NULL;
}

/* @return false without memory */
static bool show(struct udp_association *a)
{
    struct udp_port *p = a->port;
    struct addr end = hinted(&a->client, a->hint);

    if (!p->shared)
        return true;
    a->client_of = contacts_hold(&p->clients, &a->client);
    return a->client_of && udp_index_put(&p->udp->by_hint, &a->by_hint, p, &end);
}

static void hide(struct udp_association *a)
{
    udp_index_remove(&a->port->udp->by_hint, &a->by_hint);
    contacts_release(&a->port->clients, a->client_of);
    a->client_of = NULL;
}

void udp_association_rest(struct udp_association *a)
{
    struct udp_port *p = a->port;

    if (a->closing)
        hide(a);
    if (a->closing && a->n_ways == 0) {
        list_remove(&a->node);
        free(a->user);
        free(a);
    }
    if (is_spare(p))
        note_ended(p->udp);
}

/* Whether the datagrams of another association of that address could be mixed up with its own. */
static bool has_alike(struct udp_port *p, const struct udp_request *r)
{
    if (r->hint == 0)
        return contacts_find(&p->clients, &r->client);
    return with_hint(p, &r->client, r->hint) || with_hint(p, &r->client, 0);
}

struct udp_association *udp_association_of(struct udp_port *p, const struct addr *client)
{
    if (p->shared) {
        struct udp_association *a = with_hint(p, client, addr_port(client));
        return a ? a : with_hint(p, client, 0);
    }
    if (list_is_empty(&p->associations))
        return NULL;
    /* A port of its own takes all ports of the client: some programs use several. */
    struct udp_association *a = container_of(p->associations.next, struct udp_association, node);
    bool admitted = addr_family(&a->client) != AF_UNSPEC ? addr_same_ip(&a->client, client)
                                                         : p->service.admits(p->service.arg, client);
    return admitted && !a->closing ? a : NULL;
}

static int open_own(struct udp *u, const struct udp_request *r, struct udp_port **ret, struct addr *ret_at)
{
    struct addr at = r->at;

    addr_set_port(&at, 0);
    int fd = udp_listen_at(&at, u->settings.port_low, u->settings.port_high, false, ret_at);
    if (fd < 0)
        return fd;
    *ret = udp_port_new(u, PORT_SOCKS, fd);
    if (!*ret)
        return -ENOMEM;
    (*ret)->port.client = r->client;
    return 0;
}

/* The fixed port at an address of the machine; NULL: not open. */
static struct udp_port *fixed_at(const struct udp *u, const struct addr *at)
{
    LIST_EACH(&u->ports, node, next) {
        struct udp_port *p = container_of(node, struct udp_port, node);
        if (p->shared && !p->closing && addr_same_ip(&p->at, at))
            return p;
    }
    return NULL;
}

const struct udp_port *udp_fixed(const struct udp *u, size_t i)
{
    if (!u->loop)
        return NULL;
    LIST_EACH(&u->ports, node, next) {
        const struct udp_port *p = container_of(node, struct udp_port, node);
        if (p->shared && !p->closing && i-- == 0)
            return p;
    }
    return NULL;
}

const struct addr *udp_fixed_port(const struct udp *u, size_t i)
{
    const struct udp_port *p = udp_fixed(u, i);

    return p ? &p->at : NULL;
}

int udp_port_socket(const struct udp_port *p)
{
    return p->port.socket.fd;
}

/* Takes fd. @return NULL without memory */
static struct udp_port *make_fixed(struct udp *u, int fd, const struct addr *bound)
{
    struct udp_port *p = udp_port_new(u, PORT_SOCKS, fd);

    if (!p)
        return NULL;
    p->shared = true;
    p->at = *bound;
    return p;
}

int udp_take_fixed(struct udp *u, int fd)
{
    struct addr bound;

    fd = udp_listen_on(fd, &bound);
    if (fd < 0)
        return fd;
    if (u->settings.port_low != u->settings.port_high || addr_port(&bound) != u->settings.port_low ||
        fixed_at(u, &bound)) {
        (void)close(fd);
        return -EINVAL;
    }
    return make_fixed(u, fd, &bound) ? 0 : -ENOMEM;
}

/* One port for all associations, with a socket for each address that control connections come to: replies
 * leave from the address that the client knows. */
static int open_fixed(struct udp *u, const struct udp_request *r, struct udp_port **ret, struct addr *ret_at)
{
    struct udp_port *p = fixed_at(u, &r->at);
    struct addr bound;

    if (!p) {
        int fd = udp_listen_at(&r->at, u->settings.port_low, u->settings.port_high, false, &bound);
        if (fd < 0)
            return fd;
        p = make_fixed(u, fd, &bound);
        if (!p)
            return -ENOMEM;
        if (!udp_port_go(p)) {
            udp_port_close(p);
            return -ENOMEM;
        }
    }
    if (has_alike(p, r))
        return -EEXIST;
    *ret = p;
    *ret_at = p->at;
    return 0;
}

static void advertise(const struct udp_settings *s, struct addr *at)
{
    const struct addr *told = addr_family(at) == AF_INET ? &s->advertise4 : &s->advertise6;
    uint16_t port = addr_port(at);

    if (addr_family(told) == AF_UNSPEC)
        return;
    *at = *told;
    addr_set_port(at, port);
}

int udp_associate(struct udp *u, const struct udp_request *r, struct udp_association **ret,
                  struct addr *ret_at)
{
    struct contact *others = contacts_find(&u->associations_of, &r->client);
    bool fixed = u->settings.port_low > 0 && u->settings.port_low == u->settings.port_high;
    const char *came_by = loops_uplink_of(&u->outbounds->loops, &r->client);
    struct udp_port *p;

    if (came_by) {
        loops_tell(&u->outbounds->loops, came_by, "a request for an association by it has arrived here");
        return -ELOOP;
    }
    if (others && others->holders >= u->settings.client_max)
        return -EDQUOT;
    int err = fixed ? open_fixed(u, r, &p, ret_at) : open_own(u, r, &p, ret_at);
    if (err < 0)
        return err;
    struct udp_association *a = udp_association_new(p, r);
    bool begun = fixed || udp_port_go(p);
    if (!a || !begun || !show(a) || !contacts_hold(&u->associations_of, &r->client)) {
        if (a)
            a->closing = true;
        if (a)
            udp_association_rest(a);
        if (!fixed)
            udp_port_close(p);
        return -ENOMEM;
    }
    u->n_associations++;
    advertise(&u->settings, ret_at);
    *ret = a;
    return 0;
}

void udp_association_close(struct udp_association *a)
{
    if (!a || a->closing)
        return;
    struct udp_port *p = a->port;
    struct udp *u = p->udp;
    u->n_associations--;
    contacts_release(&u->associations_of, contacts_find(&u->associations_of, &a->client));
    a->closing = true;
    if (!p->shared)
        return udp_port_close(p); /* which frees it */
    a->n_ways++;                  /* it lives until this loop is over */
    LIST_EACH(&a->ways, node, next)
        udp_way_end(container_of(node, struct udp_way, sibling), "closed");
    a->n_ways--;
    udp_association_rest(a);
}

uint64_t udp_association_moved(const struct udp_association *a)
{
    uint64_t moved = a->ended_bytes;

    LIST_EACH(&a->ways, node, next) {
        const struct counters *c = &container_of(node, struct udp_way, sibling)->mapping.counters;
        moved += counters_get(&c->tx) + counters_get(&c->rx);
    }
    return moved;
}
