#include "config/startup.h"

#include "config/config_ends.h"
#include "config/known_addresses.h"
#include "machine/own_addresses.h"
#include "parent/loops.h"
#include "uplink/discover.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A shorter prefix is a mistake: with it, much of the internet would bypass the uplinks. */
enum { PREFIX_MIN_V4 = 8, PREFIX_MIN_V6 = 16 };

/* --- uplinks -------------------------------------------------------------------------------------------- */

/* @return this proxy's listener that the parent proxy's address leads to, or NULL */
static const struct addr *own_listener(const struct config *c, const struct parent_spec *s,
                                       const struct own_addresses *own)
{
    struct addr addrs[8];
    /* Addresses from DNS are checked when the parent is dialled. */
    size_t n = known_addresses(s->host, s->port, addrs, ARRAY_LEN(addrs));

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c->n_listen; j++)
            if (loops_is_heard_at(&c->listen[j].addr, &addrs[i], own))
                return &c->listen[j].addr;
    return NULL;
}

static int refuse_loops(const struct config *c, const struct machine *m, char *err)
{
    struct own_addresses own;
    int r = own_addresses_init(&own, m);

    if (r < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX, "cannot read the addresses of this machine: %s", strerror(-r));
    for (size_t i = 0; r == 0 && i < c->n_uplinks; i++) {
        const struct parent_spec *s = c->uplinks[i].parent;
        const struct addr *at = s ? own_listener(c, s, &own) : NULL;
        char name[UPLINK_NAME_MAX + 1], text[ADDR_TEXT_MAX];
        if (at)
            r = config_refuse(
                err,
                "uplink %s: this parent proxy is this proxy itself, which listens on %s; correct "
                "its address, or listen on another port",
                uplink_spec_name(&c->uplinks[i], name), addr_format(at, text));
    }
    if (r == 0)
        r = config_ends_check_circles(c, &own, err);
    own_addresses_done(&own);
    return r;
}

static bool has_parent(const struct config *c)
{
    for (size_t i = 0; i < c->n_uplinks; i++)
        if (c->uplinks[i].parent)
            return true;
    return false;
}

/* "192.0.2.2/24" is copied from the output of ip; the 24 is not meant as a weight. */
static int refuse_prefix(const struct uplink_spec *s, const struct machine *m, char *err)
{
    char text[ADDR_TEXT_MAX];

    if (s->kind != UPLINK_ADDRESS || !s->slashed)
        return 0;
    for (size_t i = 0; i < m->n_addrs; i++)
        if (addr_same_ip(&m->addrs[i].addr, &s->address) && !(s->weight < m->addrs[i].prefix) &&
            !(s->weight > m->addrs[i].prefix))
            return config_refuse(err,
                                 "uplink %s/%g: /%g is the length of its network's prefix, and would be its "
                                 "weight; write %s, or %s@%g for that weight",
                                 addr_format_ip(&s->address, text), s->weight, s->weight, text, text,
                                 s->weight);
    return 0;
}

int startup_check(const struct config *c, const struct machine *m, char *err)
{
    int r = has_parent(c) || c->n_forwards > 0 ? refuse_loops(c, m, err) : 0;

    for (size_t i = 0; r == 0 && i < c->n_uplinks; i++)
        r = refuse_prefix(&c->uplinks[i], m, err);
    return r;
}

static int add_given(const struct config *c, const struct machine *m, struct uplink_set *set, char *err)
{
    for (size_t i = 0; i < c->n_uplinks; i++) {
        char text[ADDR_TEXT_MAX];
        int r = uplink_set_add(set, &c->uplinks[i], m);
        if (r == 0)
            continue;
        (void)snprintf(err, CONFIG_ERROR_MAX, "uplink %s: %s", uplink_spec_name(&c->uplinks[i], text),
                       strerror(-r));
        return r;
    }
    return 0;
}

/* "…: lo (loopback), eth0 (no default route)", shortened to fit. */
static void tell_objections(const struct machine *m, char *err)
{
    static const char hint[] = "; name one: steerway start INTERFACE|ADDRESS";
    size_t len = (size_t)snprintf(err, CONFIG_ERROR_MAX, "no link of this machine can serve as an uplink: ");
    size_t room = CONFIG_ERROR_MAX - sizeof hint - sizeof " and 4294967295 more";

    if (m->n_links == 0)
        len += (size_t)snprintf(err + len, CONFIG_ERROR_MAX - len, "it has no links");
    for (size_t i = 0; i < m->n_links; i++) {
        char one[128];
        const char *objection = discover_objection(m, &m->links[i]);
        int n = snprintf(one, sizeof one, "%s%s (%s)", i ? ", " : "", m->links[i].name,
                         objection ? objection : "usable");
        if (len + (size_t)n >= room) {
            len += (size_t)snprintf(err + len, CONFIG_ERROR_MAX - len, " and %zu more", m->n_links - i);
            break;
        }
        len += (size_t)snprintf(err + len, CONFIG_ERROR_MAX - len, "%s", one);
    }
    (void)snprintf(err + len, CONFIG_ERROR_MAX - len, "%s", hint);
}

int startup_uplinks(const struct config *c, const struct machine *m, struct uplink_set *set, char *err)
{
    set->ipv6 = c->ipv6_source;
    int r = startup_check(c, m, err);
    if (r < 0)
        return r;
    if (c->n_uplinks > 0)
        return add_given(c, m, set, err);
    r = discover_add_all(set, m);
    if (r < 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "cannot find the uplinks of this machine: %s", strerror(-r));
        return r;
    }
    if (r > 0)
        return 0;
    tell_objections(m, err);
    return -ENOENT;
}

/* --- what is local -------------------------------------------------------------------------------------- */

static bool has_range(const struct cidr_set *set, const struct cidr *range)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct cidr *other = &set->items[i];
        if (other->ip_len == range->ip_len && other->bits == range->bits &&
            memcmp(other->ip, range->ip, range->ip_len) == 0)
            return true;
    }
    return false;
}

static int add_range(struct cidr_set *set, const struct cidr *range)
{
    return has_range(set, range) ? 0 : cidr_set_add(set, range);
}

static int add_fixed(struct cidr_set *set)
{
    static const char *const ranges[] = {"127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10"};
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(ranges); i++) {
        struct cidr range;
        r = cidr_parse(&range, slice_str(ranges[i]));
        if (r == 0)
            r = add_range(set, &range);
    }
    return r;
}

static int add_connected(struct cidr_set *set, const struct machine_addr *a)
{
    bool v4 = addr_family(&a->addr) == AF_INET;
    struct cidr range;

    if (a->prefix < (v4 ? PREFIX_MIN_V4 : PREFIX_MIN_V6))
        return 0;
    cidr_from_addr(&range, &a->addr, a->prefix);
    return add_range(set, &range);
}

int startup_local(const struct config *c, const struct machine *m, struct cidr_set *ret)
{
    struct cidr_set set = {.n = 0};

    if (c->bypass_default) {
        int r = add_fixed(&set);
        for (size_t i = 0; r == 0 && i < m->n_addrs; i++)
            r = add_connected(&set, &m->addrs[i]);
        if (r < 0) {
            cidr_set_done(&set);
            return r;
        }
    }
    *ret = set;
    return 0;
}

/* Compares in order, as the kernel lists networks in a stable order. */
static bool same_ranges(const struct cidr_set *a, const struct cidr_set *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct cidr *x = &a->items[i], *y = &b->items[i];
        if (x->ip_len != y->ip_len || x->bits != y->bits || memcmp(x->ip, y->ip, x->ip_len) != 0)
            return false;
    }
    return true;
}

bool startup_refresh_local(const struct config *c, const struct machine *m, struct cidr_set *local)
{
    struct cidr_set now;

    if (startup_local(c, m, &now) < 0)
        return false;
    bool changed = !same_ranges(local, &now);
    if (changed) {
        const struct cidr_set before = *local;
        *local = now;
        now = before;
    }
    cidr_set_done(&now);
    return changed;
}
