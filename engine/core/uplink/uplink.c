#include "uplink/uplink.h"

#include "net/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *uplink_kind_name(enum uplink_kind kind)
{
    static const char *const names[] = {"interface", "address", "upstream"};

    return names[kind];
}

/* --- the set -------------------------------------------------------------------------------------------- */

static void uplink_free(struct uplink *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n_tags; i++)
        free(u->tags[i]);
    free(u->check);
    free(u->portal);
    if (u->parent)
        parent_spec_done(u->parent);
    free(u->parent);
    free(u);
}

static int copy_texts(struct uplink *u, const struct uplink_spec *spec)
{
    for (size_t i = 0; i < spec->n_tags; i++) {
        u->tags[i] = strdup(spec->tags[i]);
        if (!u->tags[i])
            return -ENOMEM;
        u->n_tags++;
    }
    u->check = spec->check ? strdup(spec->check) : NULL;
    u->portal = spec->portal ? strdup(spec->portal) : NULL;
    return (spec->check && !u->check) || (spec->portal && !u->portal) ? -ENOMEM : 0;
}

static void set_name(struct uplink *u, const struct uplink_spec *spec)
{
    char text[UPLINK_NAME_MAX + 1];
    const char *name = uplink_spec_name(spec, text);
    size_t len = strnlen(name, UPLINK_NAME_MAX);

    memcpy(u->name, name, len);
    u->name[len] = '\0';
}

static int copy_parent(struct uplink *u, const struct uplink_spec *spec)
{
    if (!spec->parent)
        return 0;
    u->parent = malloc(sizeof *u->parent);
    if (!u->parent)
        return -ENOMEM;
    *u->parent = *spec->parent;
    return 0;
}

static bool name_is_taken(const struct uplink_set *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->items[i]->name, name) == 0)
            return true;
    }
    return false;
}

int uplink_set_add(struct uplink_set *set, const struct uplink_spec *spec, const struct machine *m)
{
    if (set->n >= UPLINK_MAX)
        return -ENOSPC;
    struct uplink *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->kind = spec->kind;
    u->view = (struct uplink_view){
        .weight = spec->weight,
        .tier = spec->tier,
        .id = (int32_t)set->n + 1,
    };
    memcpy(u->interface, spec->interface, sizeof u->interface);
    memcpy(u->given, spec->interface, sizeof u->given);
    u->address = spec->address;
    u->dns = spec->dns;
    u->gateway4.addr = spec->gateway4;
    u->gateway6.addr = spec->gateway6;
    u->mark = spec->mark;
    u->ipv6 = spec->ipv6_given ? spec->ipv6 : set->ipv6;
    quota_init(&u->quota, &spec->quota, time(NULL));
    u->pulse = &set->pulse;
    list_init(&u->busy);
    set_name(u, spec);
    int r = name_is_taken(set, u->name) ? -EEXIST : copy_texts(u, spec);
    if (r == 0)
        r = copy_parent(u, spec);
    if (r < 0) {
        uplink_free(u);
        return r;
    }
    uplink_refresh(u, m);
    set->items[set->n++] = u;
    return 0;
}

void uplink_set_drop_last(struct uplink_set *set)
{
    uplink_free(set->items[--set->n]);
}

void uplink_set_done(struct uplink_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        uplink_free(set->items[i]);
    *set = (struct uplink_set){.n = 0};
}

/* --- what the machine says ------------------------------------------------------------------------------ */

static bool can_carry(const struct machine_link *link)
{
    return link && link->up && link->carrier;
}

/* While the link is away nothing may leave; "/" is no name that a device can have. */
static void set_device(struct egress *e, const char *name)
{
    (void)snprintf(e->device, sizeof e->device, "%.*s", IFNAMSIZ - 1, strlen(name) < IFNAMSIZ ? name : "/");
}

const struct machine_link *uplink_link(const struct uplink *u, const struct machine *m)
{
    return addr_family(&u->address) != AF_UNSPEC ? machine_link_of_addr(m, &u->address)
                                                 : machine_link_by_name(m, u->given);
}

static void refresh_interface(struct uplink *u, const struct machine *m)
{
    const struct machine_link *link = uplink_link(u, m);
    struct egress *e = &u->egress;

    if (link)
        (void)snprintf(u->interface, sizeof u->interface, "%s", link->name);
    set_device(e, link ? link->name : u->given);
    e->ipv6 = u->ipv6;
    if (!can_carry(link))
        return;
    const struct source four = source_choose(m, link, AF_INET, u->mark, u->ipv6),
                        six = source_choose(m, link, AF_INET6, u->mark, u->ipv6);
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
    bool is4 = addr_family(&u->address) == AF_INET;

    memset(u->interface, 0, sizeof u->interface);
    if (link)
        (void)snprintf(u->interface, sizeof u->interface, "%s", link->name);
    /* By the address alone the kernel would choose the link by the destination, and another one when this one
     * goes down. */
    if (link && machine_link_is_line(link))
        memcpy(u->egress.device, link->name, sizeof u->egress.device);
    *(is4 ? &u->egress.source4 : &u->egress.source6) = u->address;
    if (can_carry(link))
        *(is4 ? &u->egress.any4 : &u->egress.any6) = true;
}

bool uplink_has_way(const struct uplink *u, int family)
{
    const struct uplink_gateway *g = family == AF_INET ? &u->gateway4 : &u->gateway6;

    return addr_family(&g->addr) == AF_UNSPEC || g->ready;
}

/* Another address is another network, or the same one anew. */
static void forget_health(struct uplink *u, const struct egress *before)
{
    bool same4 = addr_same_ip(&before->source4, &u->egress.source4),
         same6 = addr_same_ip(&before->source6, &u->egress.source6);

    if (!same4)
        u->health4 = (struct health){.silences = 0};
    if (!same6)
        u->health6 = (struct health){.silences = 0};
    if (!same4 || !same6)
        u->names = (struct health){.silences = 0};
}

void uplink_refresh(struct uplink *u, const struct machine *m)
{
    const struct egress before = u->egress;

    /* Until proven otherwise nothing may leave. */
    u->egress = (struct egress){.any4 = false, .any6 = false};
    if (addr_family(&u->address) != AF_UNSPEC)
        refresh_address(u, m);
    else if (u->given[0])
        refresh_interface(u, m);
    else
        u->egress = EGRESS_DIRECT; /* to a parent proxy, by whatever way */
    u->egress.mark = u->mark;
    if (u->mark != 0 && !egress_may_mark()) /* else it would be found out by connections that fail */
        u->egress.any4 = u->egress.any6 = false;
    u->egress.any4 = u->egress.any4 && uplink_has_way(u, AF_INET);
    u->egress.any6 = u->egress.any6 && uplink_has_way(u, AF_INET6);
    u->view.ipv4 = u->egress.any4;
    u->view.ipv6 = u->egress.any6;
    if (u->parent) { /* which has its own ways to the destination */
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

void uplink_settle(struct uplink *u)
{
    u->view.quota_left = quota_left(&u->quota);
    u->view.up = (u->view.ipv4 || u->view.ipv6) && !forbids(&u->quota) && !u->draining;
}

void uplink_set_draining(struct uplink *u, bool draining)
{
    u->draining = draining;
    uplink_settle(u);
}

bool uplink_is_metered(const struct uplink *u)
{
    for (size_t i = 0; i < u->n_tags; i++)
        if (strcmp(u->tags[i], "metered") == 0)
            return true;
    return quota_is_set(&u->quota);
}

bool uplink_is_spent(const struct uplink *u)
{
    return (u->view.ipv4 || u->view.ipv6) && !u->draining && forbids(&u->quota);
}
