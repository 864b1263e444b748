#include "udp/udp_state.h"

#include "base/clock.h"
#include "net/egress.h"
#include "uplink/uplink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ports whose exchanges need no common address, and gain from being spread: DNS, QUIC, DNS over TLS or QUIC.
 */
static bool is_spread(uint16_t port)
{
    return port == 53 || port == 443 || port == 853;
}

/* --- logging -------------------------------------------------------------------------------------------- */

void udp_log_refused(struct udp *u, const struct addr *client, const struct target *target, const char *why)
{
    struct log_line l;
    char text[ADDR_TEXT_MAX];
    uint32_t hidden;

    if (!log_limit_pass(&u->refusal_limit, clock_now_s(), 5, &hidden))
        return;
    log_begin(&l, EVENT_DATAGRAMS_REFUSED);
    log_str(&l, "client", addr_format(client, text));
    log_str(&l, "host", target->host);
    log_u64(&l, "port", target->port);
    log_str(&l, "reason", why);
    log_hidden(&l, hidden);
    log_end(&l);
}

/* --- making --------------------------------------------------------------------------------------------- */

static struct udp_way *make(struct udp_association *a, const struct flow *f, const struct target *target)
{
    struct udp_port *p = a->port;
    struct udp *u = p->udp;

    struct udp_way *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->port = p;
    w->association = a;
    list_init(&w->asks);
    list_init(&w->node);
    list_init(&w->sibling);
    list_init(&w->in_share);
    w->mapping.port = &p->port;
    w->mapping.client = f->client;
    w->mapping.idle_s = u->settings.idle_s;
    w->mapping.contacts.filter = p->port.kind == PORT_FORWARD ? UDP_FILTER_ADDRESS_PORT : u->settings.filter;
    mapping_init(&w->mapping);
    if (!udp_limit_enter(w)) {
        udp_log_refused(u, &f->client, target, "the client, or the proxy, has too many mappings");
        free(w);
        return NULL;
    }
    const char *name =
        f->host ? f->host : udp_learned_name(&u->learned, &f->client, &f->to, clock_coarse_s());
    const struct outbound_request request = {.target = target,
                                             .name = target->kind == TARGET_NAME ? NULL : name,
                                             .proto = POLICY_UDP,
                                             .captured = p->port.kind == PORT_TPROXY,
                                             .client = &w->mapping.client,
                                             .user = a->user,
                                             .listener = a->listener};
    if (outbound_open(&w->account, u->outbounds, &request) < 0) {
        udp_limit_leave(w);
        free(w);
        return NULL;
    }
    w->account->owner = w;
    return w;
}

static void unmake(struct udp_way *w)
{
    struct udp *u = w->port->udp;

    udp_parent_free(w);
    udp_index_remove(&u->by_client, &w->by_client);
    udp_index_remove(&u->by_source, &w->by_source4);
    udp_index_remove(&u->by_source, &w->by_source6);
    udp_limit_leave(w);
    free(w);
}

static void begin(struct udp_way *w)
{
    struct udp *u = w->port->udp;
    struct udp_way *displaced = udp_limit_displaced(w);

    if (displaced)
        udp_way_end(displaced, "displaced");
    /* Other programs of the client may share one that is not for this destination alone. */
    if (w->account->target.port == 53 && (w->per_destination || w->port->port.kind == PORT_FORWARD))
        w->mapping.idle_s = UDP_DNS_IDLE_S;
    list_push_back(&w->port->ways, &w->node);
    list_push_back(&w->association->ways, &w->sibling);
    w->association->n_ways++;
    if (u->n_ways++ == 0) {
        ev_now_update(u->loop);
        ev_timer_again(u->loop, &u->tick);
    }
}

static struct udp_way *of_client(struct udp_port *p, const struct addr *client)
{
    struct udp_index_entry *e = udp_index_find(&p->udp->by_client, p, client);

    return e ? container_of(e, struct udp_way, by_client) : NULL;
}

static struct udp_way *refuse(struct udp_way *w, const struct target *target, const char *why,
                              enum fault fault)
{
    udp_log_refused(w->port->udp, &w->mapping.client, target, why);
    outbound_finish(w->account, fault_name(fault));
    unmake(w);
    return NULL;
}

void udp_way_follow(struct udp_way *w)
{
    outbound_follow(w->account, &w->mapping.counters, 0);
}

struct udp_way *udp_way_for(struct udp_association *a, const struct flow *f, const struct target *target,
                            bool alone)
{
    struct udp_port *p = a->port;
    bool spread = alone || (is_spread(target->port) && p->port.kind != PORT_FORWARD);
    struct udp_way *w = spread ? NULL : of_client(p, &f->client);

    if (w)
        return w;
    w = make(a, f, target);
    if (!w)
        return NULL;
    enum policy_per per;
    w->account->costs_little = spread;
    enum fault fault = outbound_pick(w->account, &per);
    if (fault != FAULT_NONE)
        return refuse(w, target, w->account->reason ? w->account->reason : "no uplink", fault);
    w->per_destination = alone || per == POLICY_PER_DESTINATION || (per == POLICY_PER_DEFAULT && spread);
    struct udp_way *present = w->per_destination ? NULL : of_client(p, &f->client);
    if (present) {
        outbound_discard(w->account);
        unmake(w);
        return present;
    }
    const char *why = "no memory";
    if (!w->per_destination && !udp_index_put(&p->udp->by_client, &w->by_client, p, &f->client))
        return refuse(w, target, why, FAULT_RESOURCES);
    if (!w->account->lease.uplink->parent) {
        outbound_opened(w->account);
        udp_way_follow(w);
    } else {
        fault = udp_parent_ask(w, &why);
    }
    if (fault != FAULT_NONE)
        return refuse(w, target, why, fault);
    begin(w);
    return w;
}

struct udp_way *udp_way_direct(struct udp_association *a, const struct flow *f, const struct target *target)
{
    struct udp_way *w = make(a, f, target);

    if (!w)
        return NULL;
    outbound_go_direct(w->account);
    udp_way_follow(w);
    w->per_destination = true;
    begin(w);
    return w;
}

/* Where datagrams are captured, ours must be known again: so its port is fixed now, and not when it first
 * sends. */
static void note_own_port(struct udp *u, int fd, const struct addr *to)
{
    struct addr own;
    int link;

    if (!u->own_ports)
        return;
    if (egress_source_of(fd, &own, &link) && addr_port(&own) == 0) {
        own = (struct addr){.sa.sa_family = to->sa.sa_family};
        (void)bind(fd, &own.sa, addr_len(&own));
    }
    if (egress_source_of(fd, &own, &link))
        u->own_ports[addr_port(&own)]++;
}

static void forget_own_port(struct udp *u, const struct addr *source)
{
    if (u->own_ports && addr_family(source) != AF_UNSPEC && u->own_ports[addr_port(source)] > 0)
        u->own_ports[addr_port(source)]--;
}

/* @return false without memory */
static bool note_source(struct udp *u, struct udp_index_entry *e, const struct addr *source)
{
    return !u->own_ports || addr_family(source) == AF_UNSPEC || udp_index_put(&u->by_source, e, NULL, source);
}

int udp_way_socket(struct udp_way *w, const struct egress *egress, const struct addr *to, int *ret_fd)
{
    bool four = addr_family(to) == AF_INET;
    int link;

    *ret_fd = -1;
    if (four ? w->has4 : w->has6)
        return 0;
    int fd = egress_socket(egress, to, SOCK_DGRAM);
    if (fd < 0)
        return fd;
    int err = egress_aim(egress, fd, to);
    if (err < 0) {
        (void)close(fd);
        return err;
    }
    note_own_port(w->port->udp, fd, to);
    struct addr *source = four ? &w->source4 : &w->source6;
    if (!egress_source_of(fd, source, &link))
        *source = (struct addr){.sa.sa_family = AF_UNSPEC};
    if (!note_source(w->port->udp, four ? &w->by_source4 : &w->by_source6, source)) {
        forget_own_port(w->port->udp, source);
        *source = (struct addr){.sa.sa_family = AF_UNSPEC};
        (void)close(fd);
        return -ENOMEM;
    }
    *(four ? &w->has4 : &w->has6) = true;
    if (w->account->lease.family == AF_UNSPEC)
        w->account->lease.family = addr_family(to);
    *ret_fd = fd;
    return 0;
}

/* --- ending --------------------------------------------------------------------------------------------- */

bool udp_way_is_idle(const struct udp_way *w)
{
    return list_is_empty(&w->asks) && clock_coarse_s() - w->given_s >= w->mapping.idle_s;
}

void udp_way_retire(struct udp_way *w, const char *outcome)
{
    w->outcome = outcome;
    udp_limit_leave(w);
    udp_index_remove(&w->port->udp->by_client, &w->by_client);
    udp_ask_waiting_again(w);
}

void udp_way_end(struct udp_way *w, const char *outcome)
{
    if (w->outcome)
        return;
    udp_way_retire(w, outcome);
    if (w->given)
        mapping_order_end(&w->mapping);
    else
        udp_way_ended(w);
}

void udp_way_cut(struct udp_way *w)
{
    if (!w->outcome && !udp_parent_lose(w))
        udp_way_end(w, "cut");
}

void udp_way_ended(struct udp_way *w)
{
    struct udp *u = w->port->udp;

    list_remove(&w->node);
    list_remove(&w->sibling);
    u->n_ways--;
    struct udp_association *a = w->association;
    forget_own_port(u, &w->source4);
    forget_own_port(u, &w->source6);
    outbound_settle(w->account, &w->mapping.counters, 0);
    outbound_finish(w->account, w->outcome ? w->outcome : "closed");
    a->ended_bytes += counters_get(&w->mapping.counters.tx) + counters_get(&w->mapping.counters.rx);
    a->n_ways--;
    unmake(w);
    udp_association_rest(a);
}
