#include "uplink/discover.h"

#include "net/source.h"
#include "uplink/discover_ignored.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Above the metrics of network managers and router advertisements (100, 600, 1024), so the suggested route
 * does not affect other programs. The link's index is added, as two such routes must differ. */
enum { ADVISED_METRIC = 2000 };

/* --- usable or not -------------------------------------------------------------------------------------- */

static bool is_one_of(const char *kind, const char *const kinds[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    }
    return false;
}

static bool is_bridge(const struct machine_link *link)
{
    static const char *const kinds[] = {"bridge", "openvswitch"};
    return is_one_of(link->kind, kinds, ARRAY_LEN(kinds));
}

static bool is_virtual(const struct machine_link *link)
{
    static const char *const kinds[] = {
        "amneziawg", "amt",  "bareudp", "dummy",     "erspan",    "geneve",    "gre",  "gretap",
        "gtp",       "ifb",  "ip6tnl",  "ip6erspan", "ip6gre",    "ip6gretap", "ipip", "netdevsim",
        "nlmon",     "ovpn", "sit",     "tap",       "tun",       "vcan",      "vrf",  "vsockmon",
        "vti",       "vti6", "vxcan",   "vxlan",     "wireguard", "xfrm",
    };
    return is_one_of(link->kind, kinds, ARRAY_LEN(kinds));
}

static bool is_pair(const struct machine_link *link)
{
    static const char *const kinds[] = {"veth", "netkit"};
    return is_one_of(link->kind, kinds, ARRAY_LEN(kinds));
}

/* A member's packets belong to its master. A VRF only gives its members a routing table. */
static bool is_member(const struct machine *m, const struct machine_link *link)
{
    const struct machine_link *master = machine_link_by_index(m, link->master);
    return link->master != 0 && !(master && strcmp(master->kind, "vrf") == 0);
}

const char *discover_objection(const struct machine *m, const struct machine_link *link)
{
    bool has4 = machine_source(m, link->index, AF_INET), has6 = machine_source(m, link->index, AF_INET6);

    if (link->loopback)
        return "loopback";
    if (!link->up)
        return "down";
    if (!link->carrier)
        return "no carrier";
    if (is_bridge(link) && !link->default4 && !link->default6)
        return "bridge";
    if (is_member(m, link))
        return "member of a bridge or bond";
    if (is_pair(link) && !link->default4 && !link->default6)
        return "container";
    if (is_virtual(link))
        return "virtual";
    if (!has4 && !has6)
        return "no address";
    if (!(has4 && link->default4) && !(has6 && link->default6))
        return "no default route";
    return NULL;
}

int discover_add_all(struct uplink_set *set, const struct machine *m)
{
    int added = 0;

    for (size_t i = 0; i < m->n_links; i++) {
        const struct machine_link *link = &m->links[i];
        if (discover_objection(m, link))
            continue;
        struct uplink_spec spec = {.kind = UPLINK_INTERFACE, .weight = 1, .tier = 1};
        (void)snprintf(spec.interface, sizeof spec.interface, "%s", link->name);
        int r = uplink_set_add(set, &spec, m);
        if (r < 0)
            return r;
        added++;
    }
    return added;
}

/* The machine was read without routes, so the kernel is asked. Only possible lines are worth that question.
 */
static bool is_line_by_now(const struct machine *m, const struct machine_link *link)
{
    struct machine_link asked = *link;

    asked.default4 = asked.default6 = true;
    if (discover_objection(m, &asked))
        return false;
    asked.default4 = source_leads_out(m, link, AF_INET);
    asked.default6 = source_leads_out(m, link, AF_INET6);
    return !discover_objection(m, &asked);
}

bool discover_new(const struct uplink_set *set, const struct discover_ignored *ignored,
                  const struct machine *m, struct uplink_spec *ret)
{
    for (size_t i = 0; i < m->n_links; i++) {
        const struct machine_link *link = &m->links[i];
        if (uplink_set_by_name(set, link->name) || discover_is_ignored(ignored, link->name) ||
            !is_line_by_now(m, link))
            continue;
        *ret = (struct uplink_spec){.kind = UPLINK_INTERFACE, .weight = 1, .tier = 1};
        (void)snprintf(ret->interface, sizeof ret->interface, "%s", link->name);
        return true;
    }
    return false;
}

/* --- does it leave at all? ------------------------------------------------------------------------------ */

/* Text that is appended to, and cut at the end of out. */
struct text {
    char *out;
    size_t size, len;
};

static void text_add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void text_add(struct text *t, const char *fmt, ...)
{
    va_list args;

    if (t->len >= t->size)
        return;
    va_start(args, fmt);
    int n = vsnprintf(t->out + t->len, t->size - t->len, fmt, args);
    va_end(args);
    if (n > 0)
        t->len += (size_t)n;
}

/* A shortage on this machine says nothing about the routes. */
static bool is_about_route(int err)
{
    return err != -EMFILE && err != -ENFILE && err != -ENOMEM && err != -ENOBUFS && err != -EINTR;
}

/* The command that gives a link a default route. */
static void add_command(struct text *t, const struct machine_link *link, int family)
{
    text_add(t, "'%s route add default", family == AF_INET ? "ip" : "ip -6");
    if (!link->point_to_point)
        text_add(t, " via GATEWAY");
    text_add(t, " dev %s metric %d'.", link->name, ADVISED_METRIC + link->index);
}

static const char *family_name(int family)
{
    return family == AF_INET ? "IPv4" : "IPv6";
}

static void tell_unreachable(struct text *t, const struct uplink *u, const struct machine_link *link,
                             int family)
{
    text_add(t, "Uplink %s: no route leads its %s packets to the internet. Add one: ", u->name,
             family_name(family));
    add_command(t, link, family);
}

static void check_family(struct text *t, const struct uplink *u, const struct machine *m, int family)
{
    const struct machine_link *link = uplink_link(u, m);
    const struct addr *source = family == AF_INET ? &u->egress.source4 : &u->egress.source6;
    struct machine_route route;
    struct addr to;

    /* The kernel chooses the route of an address that does not belong to a line; the user wants that. */
    if (!egress_allows(&u->egress, family) || !link || !machine_link_is_line(link) ||
        machine_internet(family, &to) < 0)
        return;
    /* A packet that is bound to a device leaves by it or not at all. */
    int r = machine_route_get(
        &(struct machine_packet){
            .to = &to, .source = source, .link = link->index, .mark = egress_mark(u->way.mark)},
        &route);
    if (r == 0 || !is_about_route(r))
        return;
    /* Home routers assign unique local addresses even without IPv6 to the internet. */
    if (addr_is_unique_local(source) && u->egress.any4)
        return;
    if (t->len > 0)
        text_add(t, " ");
    tell_unreachable(t, u, link, family);
}

int discover_gateway(const struct uplink *u, const struct machine *m, int family, struct addr *ret)
{
    const struct machine_link *link = machine_link_by_name(m, u->egress.device);
    const struct uplink_gateway *own = family == AF_INET ? &u->way.gateway4 : &u->way.gateway6;
    struct machine_route route;
    struct addr to;

    if (addr_family(&own->addr) != AF_UNSPEC) {
        *ret = own->addr;
        return 0;
    }
    if (!link || !egress_allows(&u->egress, family))
        return -ENETUNREACH;
    int r = machine_internet(family, &to);
    if (r == 0)
        r = machine_route_get(
            &(struct machine_packet){.to = &to,
                                     .source = family == AF_INET ? &u->egress.source4 : &u->egress.source6,
                                     .link = link->index,
                                     .mark = egress_mark(u->way.mark)},
            &route);
    if (r == 0 && addr_family(&route.gateway) == AF_UNSPEC)
        r = -ENETUNREACH;
    if (r == 0)
        *ret = route.gateway;
    return r;
}

bool discover_route_warning(const struct uplink *u, const struct machine *m, char *out, size_t out_size)
{
    struct text t = {.out = out, .size = out_size};

    if (u->view.up && u->kind == UPLINK_ADDRESS && addr_is_loopback(&u->way.address)) {
        text_add(&t, "Uplink %s: a loopback address reaches this machine only.", u->name);
        return true;
    }
    check_family(&t, u, m, AF_INET);
    check_family(&t, u, m, AF_INET6);
    return t.len > 0;
}
