#include "uplink/uplink_set.h"

#include "uplink/parent_spec.h"
#include "uplink/uplink.h"
#include "uplink/uplink_lease.h"
#include "uplink/uplink_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* --- the set -------------------------------------------------------------------------------------------- */

struct uplink *uplink_set_by_id(const struct uplink_set *set, int32_t id)
{
    return id >= 1 && id <= UPLINK_MAX ? set->by_id[id - 1] : NULL;
}

struct uplink *uplink_set_by_name(const struct uplink_set *set, const char *name)
{
    for (size_t i = 0; i < set->n; i++)
        if (strcmp(set->items[i]->name, name) == 0)
            return set->items[i];
    return NULL;
}

/* Moves the items between both positions by one. */
static void move(struct uplink_set *set, size_t from, size_t to)
{
    struct uplink *u = set->items[from];

    if (from < to)
        memmove(&set->items[from], &set->items[from + 1], (to - from) * sizeof(struct uplink *));
    else
        memmove(&set->items[to + 1], &set->items[to], (from - to) * sizeof(struct uplink *));
    set->items[to] = u;
}

static size_t position_of(const struct uplink_set *set, const struct uplink *u)
{
    size_t i = 0;

    while (set->items[i] != u)
        i++;
    return i;
}

/* Free the removed ones that nothing uses any more. */
static void sweep(struct uplink_set *set)
{
    for (size_t i = set->n_all; i-- > set->n;) {
        struct uplink *u = set->items[i];
        if (u->holds > 0 || u->view.active > 0)
            continue;
        move(set, i, set->n_all - 1);
        set->by_id[u->view.id - 1] = NULL;
        set->n_all--;
        if (set->freeing)
            set->freeing(set->freeing_arg, u);
        uplink_free(u);
    }
}

static int free_id(const struct uplink_set *set)
{
    int i = 0;

    while (set->by_id[i])
        i++;
    return i + 1;
}

void uplink_set_put(struct uplink_set *set, struct uplink *u)
{
    set->items[set->n_all] = u;
    move(set, set->n_all++, set->n++);
    set->by_id[u->view.id - 1] = u;
    set->changes++;
}

void uplink_set_remove(struct uplink_set *set, struct uplink *u)
{
    u->removed = true;
    uplink_settle(u);
    move(set, position_of(set, u), --set->n);
    set->changes++;
    sweep(set);
}

bool uplink_set_restore(struct uplink_set *set, struct uplink *u)
{
    if (uplink_set_by_name(set, u->name))
        return false;
    move(set, position_of(set, u), set->n++);
    u->removed = false;
    uplink_settle(u);
    set->changes++;
    return true;
}

void uplink_set_place(struct uplink_set *set, struct uplink *u, size_t position)
{
    move(set, position_of(set, u), position < set->n ? position : set->n - 1);
}

int uplink_set_add(struct uplink_set *set, const struct uplink_spec *spec, const struct machine *m)
{
    sweep(set);
    if (set->n_all >= UPLINK_MAX)
        return -ENOSPC;
    struct uplink *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->kind = spec->kind;
    u->view = (struct uplink_view){
        .weight = spec->weight,
        .tier = spec->tier,
        .id = free_id(set),
    };
    memcpy(u->interface, spec->interface, sizeof u->interface);
    memcpy(u->way.given, spec->interface, sizeof u->way.given);
    u->way.address = spec->address;
    u->names.configured = spec->dns;
    u->way.gateway4.addr = spec->gateway4;
    u->way.gateway6.addr = spec->gateway6;
    u->way.mark = spec->mark;
    u->way.ipv6 = spec->ipv6_given ? spec->ipv6 : set->ipv6;
    quota_init(&u->quota, &spec->quota, time(NULL));
    cap_set(&u->cap, (uint64_t)spec->rate);
    u->meters.pulse = &set->pulse;
    list_init(&u->meters.busy);
    set_name(u, spec);
    int r = uplink_set_by_name(set, u->name) ? -EEXIST : copy_texts(u, spec);
    if (r == 0)
        r = copy_parent(u, spec);
    if (r < 0) {
        uplink_free(u);
        return r;
    }
    uplink_refresh(u, m);
    uplink_set_put(set, u);
    return 0;
}

void uplink_set_drop_last(struct uplink_set *set)
{
    uplink_set_remove(set, set->items[set->n - 1]);
}

void uplink_set_done(struct uplink_set *set)
{
    for (size_t i = 0; i < set->n_all; i++)
        uplink_free(set->items[i]);
    *set = (struct uplink_set){.n = 0};
}

/* --- the tick ------------------------------------------------------------------------------------------- */

/* Bytes of connections by a removed uplink count for the one that has its name now. */
static void count_quota(struct uplink_set *set, struct uplink *u, double bytes)
{
    struct uplink *heir = u->removed ? uplink_set_by_name(set, u->name) : u;

    if (!heir || !quota_is_set(&heir->quota))
        return;
    heir->quota.used += bytes;
    uplink_settle(heir);
}

static void read_meters(struct uplink_set *set, struct uplink *u, double s)
{
    struct uplink_view *v = &u->view;
    struct uplink_meters *m = &u->meters;
    double tx = v->tx_bytes - m->tx_read, rx = v->rx_bytes - m->rx_read, left = m->left - m->left_read;
    bool busy = v->busy > 0 || tx > 0 || rx > 0; /* the connections that moved them may have ended since */

    meter_tick(&m->tx, left, s, busy);
    meter_tick(&m->rx, rx, s, busy);
    m->left_read = m->left;
    m->tx_read = v->tx_bytes;
    m->rx_read = v->rx_bytes;
    v->tx_rate = m->tx.rate;
    v->rx_rate = m->rx.rate;
    v->tx_capacity = m->tx.capacity;
    v->rx_capacity = m->rx.capacity;
    count_quota(set, u, tx + rx);
}

void uplink_set_collect(struct uplink_set *set)
{
    for (size_t i = 0; i < set->n_all; i++)
        LIST_EACH(&set->items[i]->meters.busy, node, next)
            uplink_lease_collect(container_of(node, struct uplink_lease, node));
}

bool uplink_set_tick(struct uplink_set *set, double s)
{
    struct uplink_pulse *p = &set->pulse;
    bool beats = false;

    uplink_set_collect(set);
    p->ticks++;
    for (size_t i = 0; i < set->n_all; i++) {
        struct uplink *u = set->items[i];
        read_meters(set, u, s);
        LIST_EACH(&u->meters.busy, node, next) {
            struct uplink_lease *l = container_of(node, struct uplink_lease, node);
            if (p->ticks - l->moved > UPLINK_BUSY_TICKS)
                uplink_lease_rest(l);
        }
        beats = beats || u->view.busy > 0 || !meter_rests(&u->meters.tx) || !meter_rests(&u->meters.rx);
    }
    p->beats = beats;
    return beats;
}
