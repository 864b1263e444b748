#include "uplink/uplink.h"

#include "base/clock.h"
#include "net/source.h"
#include "uplink/parent_spec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const char *uplink_kind_name(enum uplink_kind kind)
{
    static const char *const names[] = {"interface", "address", "upstream"};

    return names[kind];
}

static bool can_carry(const struct machine_link *link)
{
    return link && link->up && link->carrier;
}

/* Also while the link is missing, sockets must stay bound. A name that is too long becomes "/", which no
 * device can have. */
static void set_device(struct egress *e, const char *name)
{
    (void)snprintf(e->device, sizeof e->device, "%.*s", IFNAMSIZ - 1, strlen(name) < IFNAMSIZ ? name : "/");
}

const struct machine_link *uplink_link(const struct uplink *u, const struct machine *m)
{
    return addr_family(&u->way.address) != AF_UNSPEC ? machine_link_of_addr(m, &u->way.address)
                                                     : machine_link_by_name(m, u->way.given);
}

static void refresh_interface(struct uplink *u, const struct machine *m)
{
    const struct machine_link *link = uplink_link(u, m);
    struct egress *e = &u->egress;

    if (link)
        (void)snprintf(u->interface, sizeof u->interface, "%s", link->name);
    set_device(e, link ? link->name : u->way.given);
    e->ipv6 = u->way.ipv6;
    if (!can_carry(link))
        return;
    const struct source four = source_choose(m, link, AF_INET, u->way.mark, u->way.ipv6),
                        six = source_choose(m, link, AF_INET6, u->way.mark, u->way.ipv6);
    e->source4 = four.addr;
    e->floats4 = four.floats;
    e->any4 = addr_family(&four.addr) != AF_UNSPEC;
    e->source6 = six.addr;
    e->floats6 = six.floats;
    e->any6 = addr_family(&six.addr) != AF_UNSPEC;
}

static void refresh_address(struct uplink *u, const struct machine *m)
{
    const struct machine_link *link = uplink_link(u, m);
    bool is4 = addr_family(&u->way.address) == AF_INET;

    memset(u->interface, 0, sizeof u->interface);
    if (link)
        (void)snprintf(u->interface, sizeof u->interface, "%s", link->name);
    /* Bound to the address alone, the kernel would choose the link by the destination, and another link when
     * this one goes down. */
    if (link && machine_link_is_line(link))
        memcpy(u->egress.device, link->name, sizeof u->egress.device);
    *(is4 ? &u->egress.source4 : &u->egress.source6) = u->way.address;
    if (can_carry(link))
        *(is4 ? &u->egress.any4 : &u->egress.any6) = true;
}

bool uplink_has_way(const struct uplink *u, int family)
{
    const struct uplink_gateway *g = family == AF_INET ? &u->way.gateway4 : &u->way.gateway6;

    return addr_family(&g->addr) == AF_UNSPEC || g->ready;
}

/* A new address means another network, or the same one again. */
static void forget_health(struct uplink *u, const struct egress *before)
{
    bool same4 = addr_same_ip(&before->source4, &u->egress.source4),
         same6 = addr_same_ip(&before->source6, &u->egress.source6);

    if (!same4)
        u->four.health = (struct health){.silences = 0};
    if (!same6)
        u->six.health = (struct health){.silences = 0};
    if (!same4 || !same6)
        u->names.health = (struct health){.silences = 0};
}

void uplink_refresh(struct uplink *u, const struct machine *m)
{
    const struct egress before = u->egress;

    /* Fail closed: nothing may leave until an address is found. */
    u->egress = (struct egress){.any4 = false, .any6 = false};
    if (addr_family(&u->way.address) != AF_UNSPEC)
        refresh_address(u, m);
    else if (u->way.given[0])
        refresh_interface(u, m);
    else
        u->egress = EGRESS_DIRECT; /* to a parent proxy, as the kernel routes it */
    u->egress.mark = u->way.mark;
    if (u->way.mark != 0 && !egress_may_mark()) /* else each connection would fail with EPERM */
        u->egress.any4 = u->egress.any6 = false;
    u->egress.any4 = u->egress.any4 && uplink_has_way(u, AF_INET);
    u->egress.any6 = u->egress.any6 && uplink_has_way(u, AF_INET6);
    u->view.ipv4 = u->egress.any4;
    u->view.ipv6 = u->egress.any6;
    if (u->parent) { /* the proxy, not this machine, connects to the destination */
        u->view.ipv4 = u->egress.any4 || u->egress.any6;
        u->view.ipv6 = u->view.ipv4 && strcmp(u->parent->scheme, "socks4a") != 0;
    }
    forget_health(u, &before);
    uplink_settle(u);
}

static bool forbids(const struct quota *q)
{
    return q->plan.hard && quota_left(q) <= 0;
}

enum uplink_bar uplink_bar(const struct uplink *u)
{
    if (u->removed)
        return UPLINK_BAR_REMOVED;
    if (u->draining)
        return UPLINK_BAR_DRAINING;
    if (!u->view.ipv4 && !u->view.ipv6)
        return UPLINK_BAR_NO_LINK;
    return forbids(&u->quota) ? UPLINK_BAR_SPENT : UPLINK_BAR_NONE;
}

void uplink_settle(struct uplink *u)
{
    u->view.quota_left = quota_left(&u->quota);
    u->view.up = uplink_bar(u) == UPLINK_BAR_NONE;
}

void uplink_set_draining(struct uplink *u, bool draining)
{
    u->draining = draining;
    uplink_settle(u);
}

struct uplink *uplink_hold(struct uplink *u)
{
    if (u)
        u->holds++;
    return u;
}

void uplink_let_go(struct uplink *u)
{
    if (!u)
        return;
    assert(u->holds > 0);
    u->holds--;
}

enum uplink_datagrams uplink_datagrams(const struct uplink *u)
{
    if (!u->parent)
        return UPLINK_DATAGRAMS;
    if (strcmp(u->parent->scheme, "socks5") != 0)
        return UPLINK_DATAGRAMS_UNKNOWN;
    return clock_coarse_s() < u->no_datagrams_until_s ? UPLINK_DATAGRAMS_REFUSED : UPLINK_DATAGRAMS;
}

bool uplink_is_metered(const struct uplink *u)
{
    for (size_t i = 0; i < u->n_tags; i++)
        if (strcmp(u->tags[i], "metered") == 0)
            return true;
    return quota_is_set(&u->quota);
}
