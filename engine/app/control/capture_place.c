#include "control/capture_place.h"

#include "base/buf.h"
#include "capture/capture_near.h"
#include "inbound/proxy.h"
#include "machine/bridge.h"
#include "machine/machine.h"
#include "net/egress.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <string.h>

bool capture_place_takes(const struct proxy_listener *l)
{
    return l->use.transparent && !l->listener.absent;
}

/* Whether datagrams are taken at the same place. */
static bool takes_datagrams(const struct proxy *p, const struct addr *at)
{
    for (size_t i = 0; i < p->n_udp_listeners; i++) {
        const struct proxy_listener *l = p->udp_listeners[i];
        if (l->use.transparent && addr_same_ip(&l->place.addr, at) &&
            addr_port(&l->place.addr) == addr_port(at))
            return true;
    }
    return false;
}

void capture_place_listeners(const struct proxy *p, struct capture_ground *g, bool *ret_udp)
{
    g->to4.sa.sa_family = g->to6.sa.sa_family = AF_UNSPEC;
    *ret_udp = true;
    for (size_t i = 0; i < p->n_listeners; i++) {
        const struct addr *a = &p->listeners[i]->listener.addr;
        struct addr *to = addr_family(a) == AF_INET ? &g->to4 : &g->to6;
        if (capture_place_takes(p->listeners[i]) && addr_family(to) == AF_UNSPEC)
            *to = *a;
        if (capture_place_takes(p->listeners[i]))
            *ret_udp = *ret_udp && takes_datagrams(p, a);
    }
}

/* @return NULL, or why this proxy cannot take captured traffic */
static const char *find_obstacle(const struct capture_ground *g, const struct capture_request *request,
                                 bool has_ipv6, bool udp)
{
    if (addr_family(&g->to4) == AF_UNSPEC && addr_family(&g->to6) == AF_UNSPEC)
        return "the proxy has no listener for captured traffic; start it with --transparent "
               "tproxy:localhost:1081, for example";
    if (addr_family(&g->to4) == AF_UNSPEC)
        return "the proxy has no listener for captured IPv4; start it with --transparent "
               "tproxy:127.0.0.1:1081, too";
    if (has_ipv6 && addr_family(&g->to6) == AF_UNSPEC)
        return "this machine has IPv6, and the proxy has no listener for it; start it with --transparent "
               "tproxy:[::1]:1081, too";
    if (!udp) /* its address came after the start */
        return "a listener for captured traffic takes no datagrams; restart the proxy";
    if (g->own_mark == 0)
        return "the proxy may not mark its own packets, so its connections would be captured, too; give it "
               "CAP_NET_ADMIN, or run it as root";
    for (size_t i = 0; i < request->n_lans; i++)
        if (bridge_loses_tproxy(request->lans[i]))
            return "--lan: captured packets of a bridge would be lost, as br_netfilter shows them to the "
                   "rules too early; run: sysctl -w net.bridge.bridge-nf-call-iptables=0 "
                   "net.bridge.bridge-nf-call-ip6tables=0";
    return NULL;
}

/* The uplink whose device this interface is; NULL for none. */
static const struct uplink *uplink_of(const struct proxy *p, const struct machine *m, const char *lan)
{
    const struct uplink_set *all = p->outbounds.uplinks;

    for (size_t i = 0; i < all->n; i++) {
        const struct machine_link *link = uplink_link(all->items[i], m);
        if (link && strcmp(link->name, lan) == 0)
            return all->items[i];
    }
    return NULL;
}

int capture_place_find(struct capture_place *ret, const struct proxy *p,
                       const struct capture_request *request)
{
    struct machine m;
    bool udp;

    *ret = (struct capture_place){.ground = {.own_mark = egress_own_mark()}};
    int r = machine_read(&m);
    if (r < 0)
        return r;
    capture_place_listeners(p, &ret->ground, &udp);
    r = capture_near_find(&m, &ret->near);
    ret->ground.near = ret->near.items;
    ret->ground.n_near = ret->near.n;
    ret->obstacle = find_obstacle(&ret->ground, request, capture_near_has_ipv6(&m), udp);
    for (size_t i = 0; i < request->n_lans; i++)
        ret->lan_uplinks[i] = uplink_of(p, &m, request->lans[i]);
    machine_done(&m);
    return r;
}

void capture_place_done(struct capture_place *c)
{
    cidr_set_done(&c->near);
}
