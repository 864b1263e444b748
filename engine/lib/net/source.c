#include "net/source.h"

#include <linux/rtnetlink.h>

/* The packets to choose a source for. */
struct sender {
    const struct machine *m;
    const struct machine_link *link;
    int family;
    uint32_t mark;
    enum egress_ipv6 ipv6;
    struct addr to;                              /* a destination on the internet */
    const struct addr *own[MACHINE_SOURCES_MAX]; /* the link's addresses, best first */
    size_t n_own;
};

static bool ask_kernel(const struct sender *s, struct addr *ret)
{
    struct egress e = {.any4 = true, .any6 = true, .mark = s->mark, .ipv6 = s->ipv6};

    memcpy(e.device, s->link->name, sizeof e.device);
    return egress_find_source(&e, &s->to, ret) == 0;
}

/* Searches all addresses of the link; `own` has only the best few. */
static bool link_has(const struct sender *s, const struct addr *a)
{
    for (size_t i = 0; i < s->m->n_addrs; i++)
        if (s->m->addrs[i].link == s->link->index && addr_same_ip(&s->m->addrs[i].addr, a))
            return true;
    return false;
}

/* The kernel's choice for packets that are bound to the device. It is used only if it is an address of the
 * link, or one that the route names. The latter may be on loopback. */
static bool find_by_route(const struct sender *s, struct addr *ret)
{
    struct machine_packet p = {.to = &s->to, .link = s->link->index, .mark = egress_mark(s->mark)};
    struct addr hint, chosen = {.in6 = {.sin6_family = AF_UNSPEC}};

    if (machine_route_hint(&p, &hint) < 0 || !ask_kernel(s, &chosen) ||
        !(link_has(s, &chosen) || addr_same_ip(&chosen, &hint)))
        return false;
    *ret = chosen;
    return true;
}

/* Addresses on loopback or dummy links, other than 127.0.0.1 and ::1. */
static bool has_address_of_no_line(const struct machine *m, int family)
{
    for (size_t i = 0; i < m->n_addrs; i++) {
        const struct machine_addr *a = &m->addrs[i];
        const struct machine_link *link = machine_link_by_index(m, a->link);
        if (addr_family(&a->addr) == family && a->scope < RT_SCOPE_LINK && link &&
            !machine_link_is_line(link))
            return true;
    }
    return false;
}

static bool leads_out(const struct sender *s, const struct addr *source)
{
    struct machine_packet p = {
        .to = &s->to, .source = source, .link = s->link->index, .mark = egress_mark(s->mark)};
    struct machine_route route;

    return machine_route_get(&p, &route) == 0;
}

static bool wants_temporary(const struct sender *s)
{
    return s->ipv6 == EGRESS_IPV6_SYSTEM ? s->link->temporary6 : s->ipv6 == EGRESS_IPV6_TEMPORARY;
}

static int sender_init(struct sender *s, const struct machine *m)
{
    s->m = m;
    s->n_own =
        machine_sources(m, s->link->index, s->family, s->family == AF_INET6 && wants_temporary(s), s->own);
    return machine_internet(s->family, &s->to);
}

struct source source_choose(const struct machine *m, const struct machine_link *link, int family,
                            uint32_t mark, enum egress_ipv6 ipv6)
{
    struct sender s = {.link = link, .family = family, .mark = mark, .ipv6 = ipv6};
    struct source found = {.addr = {.in6 = {.sin6_family = AF_UNSPEC}}};

    if (sender_init(&s, m) < 0)
        return found;
    if (find_by_route(&s, &found.addr)) {
        bool several = s.n_own > 1 || !link_has(&s, &found.addr) || has_address_of_no_line(m, family);
        found.floats = several ? EGRESS_FLOATS : EGRESS_FLOATS_IN_PRIVATE;
        return found;
    }
    if (s.n_own == 0)
        return found;
    size_t best = 0;
    while (best < s.n_own && !leads_out(&s, s.own[best]))
        best++;
    found.addr = *s.own[best < s.n_own ? best : 0];
    return found;
}

bool source_leads_out(const struct machine *m, const struct machine_link *link, int family)
{
    struct sender s = {.link = link, .family = family};
    struct addr any;
    size_t i = 0;

    if (sender_init(&s, m) < 0)
        return false;
    if (find_by_route(&s, &any))
        return true;
    while (i < s.n_own && !leads_out(&s, s.own[i]))
        i++;
    return i < s.n_own;
}
