#include "udp/udp_state.h"

#include "base/clock.h"
#include "dns/dns_name.h"
#include "outbound/bypass.h"
#include "outbound/question.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Names that a client may wait for at a time. A port may have many clients, whom one must not keep out. */
enum { ASKS_MAX = 64 };
static const double RESOLVE_S = 10;

/* @param dest  AF_UNSPEC: the parent proxy resolves the flow's name, so that only the port is known */
static void answer(struct flow *f, struct udp_way *w, const struct addr *dest, int fd)
{
    f->answer = (struct flow_answer){.mapping = w ? &w->mapping : NULL, .fd = fd};
    if (w && addr_family(dest) != AF_UNSPEC) {
        f->answer.dest = *dest;
    } else if (w) {
        f->answer.by_name = true;
        f->answer.dest = (struct addr){.sa.sa_family = AF_INET};
        addr_set_port(&f->answer.dest, f->to_port);
    }
    if (w)
        udp_limit_give(w);
    mailbox_send(&f->port->room->orders, &f->order.message, ORDER_ANSWER);
}

static void refuse(struct flow *f)
{
    answer(f, NULL, NULL, -1);
}

/* End a mapping that no flow uses or waits for. */
static void abandon(struct udp_way *w, const char *outcome)
{
    if (!w->given && list_is_empty(&w->asks))
        udp_way_end(w, outcome);
}

static const struct egress *egress_of(const struct udp_way *w, enum bypass b)
{
    if (b == BYPASS_NOT)
        return &w->account->lease.uplink->egress;
    return b == BYPASS_LOCAL ? &EGRESS_ON_LINK : &EGRESS_DIRECT;
}

/* --- the relay of a parent proxy ------------------------------------------------------------------------ */

static bool by_parent(const struct udp_way *w)
{
    return w->account->lease.uplink && w->account->lease.uplink->parent;
}

/* @param to  AF_UNSPEC: a name, which the parent proxy resolves */
static void wait_for_relay(struct udp_association *a, struct flow *f, const struct target *target,
                           struct addr to, struct udp_way *way)
{
    struct udp_ask *ask = calloc(1, sizeof *ask);

    if (!ask) {
        abandon(way, "resources");
        return refuse(f);
    }
    *ask = (struct udp_ask){
        .association = a, .flow = f, .way = way, .for_relay = true, .to = to, .target = *target};
    list_push_back(&way->asks, &ask->node);
}

/* --- an address ----------------------------------------------------------------------------------------- */

/* The way is ready. @param to  AF_UNSPEC: a name, which the parent proxy resolves */
static void go(struct flow *f, const struct target *target, const struct addr *to, struct udp_way *way,
               const struct egress *egress)
{
    const struct addr *relay = &way->mapping.relay;
    int fd;
    int err = udp_way_socket(way, egress, addr_family(relay) != AF_UNSPEC ? relay : to, &fd);

    if (err < 0) {
        udp_log_refused(way->port->udp, &f->client, target, strerror(-err));
        abandon(way, "unreachable");
        return refuse(f);
    }
    answer(f, way, to, fd);
}

/* Whether datagrams from a port whose clients ask for nothing would come to such a port of ours, and so go on
 * without end. Each turn would take a mapping. */
static bool goes_round(const struct udp_port *from, const struct addr *to)
{
    const struct udp *u = from->udp;
    const struct own_addresses *own = u->outbounds->settings.reach.own;

    if (from->port.kind == PORT_SOCKS || !(addr_is_loopback(to) || own_addresses_have(own, to)))
        return false;
    LIST_EACH(&u->ports, node, next) {
        const struct udp_port *p = container_of(node, struct udp_port, node);
        if (p->port.kind != PORT_SOCKS && !p->closing && loops_is_heard_at(&p->at, to, own))
            return true;
    }
    return false;
}

/* @param way  the mapping that resolved the destination's name, or that it has waited for; NULL for none */
static void decide_address(struct udp_association *a, struct flow *f, const struct target *target,
                           struct addr to, struct udp_way *way)
{
    struct udp *u = a->port->udp;
    const struct outbound_settings *settings = &u->outbounds->settings;
    char why[REACH_WHY_MAX];

    if (!reach_allows(&settings->reach, &f->client, a->user, &to, why)) {
        udp_log_refused(u, &f->client, target, why);
        if (way)
            abandon(way, "denied");
        return refuse(f);
    }
    addr_name_this_machine(&to);
    if (goes_round(a->port, &to)) {
        udp_log_refused(u, &f->client, target, "loop: the destination is a listener of this proxy");
        if (way)
            abandon(way, "denied");
        return refuse(f);
    }
    enum bypass b = bypass_of_address(settings, &to);
    if (b != BYPASS_NOT) {
        if (way)
            abandon(way, "closed");
        way = udp_way_direct(a, f, target);
    }
    if (b == BYPASS_NOT && !way)
        way = udp_way_for(a, f, target, false);
    if (!way)
        return refuse(f);
    if (udp_parent_is_awaited(way))
        return wait_for_relay(a, f, target, to, way);
    go(f, target, &to, way, egress_of(way, b));
}

/* --- a name --------------------------------------------------------------------------------------------- */

static void free_ask(struct udp_ask *ask)
{
    resolver_cancel(&ask->query); /* harmless if it was never started */
    contacts_release(&ask->association->port->names, ask->name_of);
    list_remove(&ask->node);
    free(ask);
}

/* The first address of a family that answers. IPv4 before an IPv6 that nobody has tried: datagrams are not
 * raced. */
static const struct addr *best(const struct udp_way *w, const struct addr *addrs, size_t n)
{
    const struct uplink *u = w->account->lease.uplink;
    const struct addr *found = NULL;
    double now = clock_coarse_s();

    for (size_t i = 0; i < n; i++) {
        int family = addr_family(&addrs[i]);
        bool known = family == AF_INET || u->six.health.known;
        if (!egress_allows(&u->egress, family))
            continue;
        if (known && uplink_family_is_fit(u, family, now))
            return &addrs[i];
        if (!found)
            found = &addrs[i];
    }
    return found;
}

static void on_resolved(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n)
{
    struct udp_ask *ask = container_of(q, struct udp_ask, query);
    struct udp_association *a = ask->association;
    struct udp_way *w = ask->way;
    struct flow *f = ask->flow;
    struct target target = ask->target;
    const struct addr *to = fault == FAULT_NONE ? best(w, addrs, n) : NULL;
    struct addr dest = to ? *to : (struct addr){.sa.sa_family = AF_UNSPEC};

    free_ask(ask);
    if (!to) {
        udp_log_refused(a->port->udp, &f->client, &target,
                        fault == FAULT_NONE ? "no address of a family that the uplink has"
                                            : fault_name(fault));
        abandon(w, fault == FAULT_NONE ? "unreachable" : fault_name(fault));
        return refuse(f);
    }
    decide_address(a, f, &target, dest, w);
}

/* Whether the client may wait for one more name. */
static bool may_wait(struct udp_port *p, const struct addr *client)
{
    const struct contact *mine = contacts_find(&p->names, client);

    return !mine || mine->holders < ASKS_MAX;
}

/* The parent proxy resolves the name. */
static void decide_name_by_parent(struct udp_association *a, struct flow *f, const struct target *target,
                                  struct udp_way *w)
{
    const struct addr none = {.sa.sa_family = AF_UNSPEC};
    struct udp *u = a->port->udp;
    char why[REACH_WHY_MAX];

    if (!reach_allows_name(&u->outbounds->settings.reach, &f->client, a->user, target->port, why)) {
        udp_log_refused(u, &f->client, target, why);
        abandon(w, "denied");
        return refuse(f);
    }
    if (udp_parent_is_awaited(w))
        return wait_for_relay(a, f, target, none, w);
    go(f, target, &none, w, egress_of(w, BYPASS_NOT));
}

/* @param w  the mapping that it has waited for; NULL for none */
static void decide_name(struct udp_association *a, struct flow *f, const struct target *target,
                        struct udp_way *w)
{
    struct udp_port *p = a->port;
    bool captured = p->port.kind == PORT_TPROXY;

    if (!w)
        w = may_wait(p, &f->client) ? udp_way_for(a, f, target, captured) : NULL;
    if (w && captured)
        w->mapping.reply_as = f->to; /* the client knows no other address */
    if (w && by_parent(w) && !dns_name_is_local(slice_str(target->host)))
        return decide_name_by_parent(a, f, target, w);
    struct udp_ask *ask = w ? calloc(1, sizeof *ask) : NULL;
    struct contact *name_of = ask ? contacts_hold(&p->names, &f->client) : NULL;
    if (!name_of) {
        free(ask);
        if (w)
            abandon(w, "resources");
        return refuse(f);
    }
    *ask = (struct udp_ask){.association = a, .flow = f, .name_of = name_of, .way = w, .target = *target};
    list_push_back(&w->asks, &ask->node);
    struct outbounds *shared = p->udp->outbounds;
    struct resolver *by = dns_name_is_local(slice_str(target->host))
                              ? shared->resolver
                              : w->account->lease.uplink->names.resolver;
    resolver_start_for(by, &ask->query, &f->client, ask->target.host, target->port, on_resolved, NULL);
    resolver_limit(&ask->query, RESOLVE_S);
}

static void give_up_waiting(struct udp_way *w, bool again)
{
    LIST_EACH(&w->asks, node, next) {
        struct udp_ask *ask = container_of(node, struct udp_ask, node);
        struct flow *f = ask->flow;
        free_ask(ask);
        f->answer = (struct flow_answer){.again = again, .fd = -1};
        mailbox_send(&f->port->room->orders, &f->order.message, ORDER_ANSWER);
    }
}

void udp_refuse_waiting(struct udp_way *w)
{
    give_up_waiting(w, false);
}

void udp_ask_waiting_again(struct udp_way *w)
{
    give_up_waiting(w, true);
}

/* --- both ----------------------------------------------------------------------------------------------- */

/* The destination of a flow as a target. @return whether it is valid */
static bool target_of(const struct flow *f, struct target *ret)
{
    size_t len;
    const uint8_t *ip = addr_ip(&f->to, &len);

    if (f->name_len > 0)
        return target_set(ret, slice_of(f->name, f->name_len), f->to_port) == PARSE_OK;
    return target_set_ip(ret, ip, len, f->to_port) == PARSE_OK;
}

/* --- captured datagrams --------------------------------------------------------------------------------- */

static bool is_question(const struct udp_port *p, const struct target *target)
{
    return question_is(p->port.kind == PORT_TPROXY, target->port);
}

/* The first of a family that answers. @return false: there is no server to ask */
static bool server_for(const struct udp_association *a, const struct flow *f, const struct udp_way *w,
                       struct addr *ret)
{
    const struct question_request q = {.asked = &f->to,
                                       .client = &f->client,
                                       .user = a->user,
                                       .reach = &a->port->udp->outbounds->settings.reach};
    const struct uplink *u = w->account->lease.uplink;
    struct addr servers[DNS_SERVERS_MAX];
    size_t n = question_servers(&q, u, servers), best = 0;

    while (best < n && !uplink_family_is_fit(u, addr_family(&servers[best]), clock_coarse_s()))
        best++;
    if (n > 0)
        *ret = servers[best < n ? best : 0];
    return n > 0;
}

/* @param w  the mapping that it has waited for; NULL for none */
static void decide_question(struct udp_association *a, struct flow *f, const struct target *target,
                            struct udp_way *w)
{
    struct addr server;

    if (!w)
        w = udp_way_for(a, f, target, true);
    if (!w)
        return refuse(f);
    if (!server_for(a, f, w, &server)) {
        udp_log_refused(a->port->udp, &f->client, target, QUESTION_NO_SERVER);
        abandon(w, "no-name-server");
        return refuse(f);
    }
    w->account->peer = server;
    w->mapping.contacts.filter = UDP_FILTER_ADDRESS_PORT;
    w->mapping.reply_as = f->to;
    w->mapping.hears = true;
    if (udp_parent_is_awaited(w))
        return wait_for_relay(a, f, target, server, w);
    go(f, target, &server, w, egress_of(w, BYPASS_NOT));
}

/* Whether a socket of ours has this address. A socket that is not bound to an address has any of this
 * machine's. */
static bool is_ours(const struct udp *u, const struct addr *end)
{
    struct addr any = {.sa.sa_family = end->sa.sa_family};

    if (u->own_ports[addr_port(end)] == 0 || !own_addresses_have(u->outbounds->settings.reach.own, end))
        return false;
    addr_set_port(&any, addr_port(end));
    return udp_index_find(&u->by_source, NULL, end) || udp_index_find(&u->by_source, NULL, &any);
}

/* @return why a captured datagram must not go on; NULL: it may */
static const char *objection_to(const struct udp_port *p, const struct flow *f)
{
    const struct udp *u = p->udp;
    const struct own_addresses *own = u->outbounds->settings.reach.own;

    if (is_ours(u, &f->client))
        return "it was sent by this proxy itself: the rules must leave out its packets (--own-mark)";
    if (addr_port(&f->to) == addr_port(&p->at) && own_addresses_have(own, &f->to))
        return "its destination is this proxy itself: nothing was captured, or the rules capture too much";
    return NULL;
}

static void decide_captured(struct udp_association *a, struct flow *f, const struct target *target)
{
    const char *why = objection_to(a->port, f);
    struct target named;

    if (why) {
        udp_log_refused(a->port->udp, &f->client, target, why);
        return refuse(f);
    }
    if (is_question(a->port, target))
        return decide_question(a, f, target, NULL);
    if (a->port->resolves && f->host && target_set(&named, slice_str(f->host), target->port) == PARSE_OK)
        return decide_name(a, f, &named, NULL);
    decide_address(a, f, target, f->to, NULL);
}

void udp_decide(struct udp_port *p, struct flow *f)
{
    struct target target;
    struct addr to;

    struct udp_association *a = p->closing ? NULL : udp_association_of(p, &f->client);
    if (!a || !target_of(f, &target))
        return refuse(f);
    if (p->port.kind == PORT_TPROXY)
        return decide_captured(a, f, &target);
    if (bypass_known_address(&target, &to))
        return decide_address(a, f, &target, to, NULL);
    decide_name(a, f, &target, NULL);
}

static struct udp_ask *first_waiting(const struct udp_way *w)
{
    LIST_EACH(&w->asks, node, next) {
        struct udp_ask *ask = container_of(node, struct udp_ask, node);
        if (ask->for_relay)
            return ask;
    }
    return NULL;
}

/* One of them may end the way, but not while another one waits for it. */
void udp_decide_waiting(struct udp_way *w)
{
    struct udp_port *p = w->port;
    struct udp_ask *ask = first_waiting(w);
    bool more = ask;

    for (; more; ask = more ? first_waiting(w) : NULL) {
        struct udp_association *a = ask->association;
        struct flow *f = ask->flow;
        struct target target = ask->target;
        struct addr to = ask->to;
        free_ask(ask);
        more = first_waiting(w); /* without one, w may be freed by the decision */
        if (is_question(p, &target))
            decide_question(a, f, &target, w);
        else if (addr_family(&to) != AF_UNSPEC)
            decide_address(a, f, &target, to, w);
        else
            decide_name(a, f, &target, w);
    }
}
