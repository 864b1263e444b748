#include "follow/uplink_reload.h"

#include "follow/machine_follow.h"
#include "follow/uplink_changes.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- the config's specs --------------------------------------------------------------------------------- */

static const struct uplink_spec *spec_named(const struct config *c, const char *name)
{
    char text[UPLINK_NAME_MAX + 1];

    for (size_t i = 0; i < c->n_uplinks; i++)
        if (strcmp(uplink_spec_name(&c->uplinks[i], text), name) == 0)
            return &c->uplinks[i];
    return NULL;
}

/* Without uplinks in the config, each link that was found is one with the defaults. */
static const struct uplink_spec *spec_before(const struct config *c, const char *name,
                                             struct uplink_spec *found)
{
    if (c->n_uplinks > 0)
        return spec_named(c, name);
    *found = (struct uplink_spec){.kind = UPLINK_INTERFACE, .weight = 1, .tier = 1};
    if (strlen(name) >= sizeof found->interface)
        return NULL;
    memcpy(found->interface, name, strlen(name) + 1);
    return found;
}

/* --- steps ---------------------------------------------------------------------------------------------- */

static int add(struct uplink_reload *r, struct machine_follow *f, const struct uplink_spec *spec,
               bool draining, const struct machine *m, char *err)
{
    char name[UPLINK_NAME_MAX + 1];
    struct uplink *u;
    int e = machine_follow_add(f, spec, m, &u);

    if (e < 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "uplink %s: %s", uplink_spec_name(spec, name),
                       e == -ENOSPC ? "there are too many, or connections still use removed ones"
                                    : strerror(-e));
        return e;
    }
    r->added[r->n_added++] = uplink_hold(u);
    uplink_set_draining(u, draining);
    return 0;
}

static void take_out(struct uplink_reload *r, struct machine_follow *f, struct uplink *u)
{
    r->removed[r->n_removed++] = uplink_hold(u);
    machine_follow_remove(f, u);
}

static bool same_quota(const struct quota_plan *a, const struct quota_plan *b)
{
    return !(a->bytes < b->bytes) && !(a->bytes > b->bytes) && a->per == b->per && a->day == b->day &&
           a->hard == b->hard;
}

static bool same_number(double a, double b)
{
    return !(a < b) && !(a > b);
}

static void change(struct uplink_reload *r, struct machine_follow *f, struct uplink *u,
                   const struct uplink_spec *was, const struct uplink_spec *now)
{
    r->before[r->n_before].uplink = uplink_hold(u);
    r->before[r->n_before].weight = u->view.weight;
    r->before[r->n_before].tier = u->view.tier;
    r->before[r->n_before].rate = (double)cap_rate(&u->cap);
    r->before[r->n_before++].quota = u->quota.plan;
    if (!same_number(was->weight, now->weight))
        uplink_changes_weight(u, now->weight);
    if (!same_number(was->tier, now->tier))
        uplink_changes_tier(u, now->tier);
    if (!same_number(was->rate, now->rate))
        uplink_changes_rate(u, now->rate);
    if (!same_quota(&was->quota, &now->quota))
        uplink_changes_quota(f, u, &now->quota);
}

/* An uplink that the config names now. */
static int bring(struct uplink_reload *r, struct machine_follow *f, const struct config *before,
                 const struct uplink_spec *now, const struct machine *m, char *err)
{
    char text[UPLINK_NAME_MAX + 1];
    struct uplink_spec found;
    const char *name = uplink_spec_name(now, text);
    const struct uplink_spec *was = spec_before(before, name, &found);
    struct uplink *u = uplink_set_by_name(f->proxy->outbounds.uplinks, name);

    if (was && before->n_uplinks == 0 && !u)
        was = NULL; /* it was not found */
    if (was && uplink_spec_same_way(was, now)) {
        if (u)
            change(r, f, u, was, now);
        return 0;
    }
    bool draining = u && u->draining; /* the user has asked for it, and has not changed that */
    if (u)
        take_out(r, f, u);
    return add(r, f, now, draining, m, err);
}

/* An uplink that serves, and that the config does not name now. */
static bool is_over(const struct config *before, const struct config *now, const struct uplink *u)
{
    struct uplink_spec plain, found;
    const struct uplink_spec *was = spec_before(before, u->name, &found);

    if (!was) /* the user has added it */
        return false;
    if (now->n_uplinks > 0)
        return !spec_named(now, u->name);
    const struct config none = {.n_uplinks = 0};
    return !spec_before(&none, u->name, &plain) || !uplink_spec_same_way(was, &plain);
}

int uplink_reload_apply(struct uplink_reload *r, struct machine_follow *f, const struct config *before,
                        const struct config *now, const struct machine *m, char *err)
{
    struct uplink_set *set = f->proxy->outbounds.uplinks;
    int e = 0;

    *r = (struct uplink_reload){.n_added = 0};
    for (size_t i = set->n; i-- > 0;)
        if (is_over(before, now, set->items[i]))
            take_out(r, f, set->items[i]);
    for (size_t i = 0; e == 0 && i < now->n_uplinks; i++)
        e = bring(r, f, before, &now->uplinks[i], m, err);
    if (e < 0) {
        uplink_reload_undo(r, f);
        return e;
    }
    for (size_t i = 0, place = 0; i < now->n_uplinks; i++) {
        char text[UPLINK_NAME_MAX + 1];
        struct uplink *u = uplink_set_by_name(set, uplink_spec_name(&now->uplinks[i], text));
        if (u)
            uplink_set_place(set, u, place++);
    }
    return 0;
}

/* --- the end -------------------------------------------------------------------------------------------- */

static void let_go(struct uplink_reload *r)
{
    for (size_t i = 0; i < r->n_added; i++)
        uplink_let_go(r->added[i]);
    for (size_t i = 0; i < r->n_removed; i++)
        uplink_let_go(r->removed[i]);
    for (size_t i = 0; i < r->n_before; i++)
        uplink_let_go(r->before[i].uplink);
    *r = (struct uplink_reload){.n_added = 0};
}

void uplink_reload_undo(struct uplink_reload *r, struct machine_follow *f)
{
    for (size_t i = 0; i < r->n_added; i++)
        if (!r->added[i]->removed)
            machine_follow_remove(f, r->added[i]);
    for (size_t i = r->n_removed; i-- > 0;)
        machine_follow_restore(f, r->removed[i]);
    for (size_t i = 0; i < r->n_before; i++) {
        struct uplink *u = r->before[i].uplink;
        u->view.weight = r->before[i].weight;
        u->view.tier = r->before[i].tier;
        cap_set(&u->cap, (uint64_t)r->before[i].rate);
        if (!same_quota(&u->quota.plan, &r->before[i].quota))
            uplink_changes_quota(f, u, &r->before[i].quota);
    }
    let_go(r);
}

static void log_each(struct uplink *const *list, size_t n, enum log_event event)
{
    for (size_t i = 0; i < n; i++) {
        struct log_line l;
        log_begin(&l, event);
        log_str(&l, "uplink", list[i]->name);
        log_end(&l);
    }
}

void uplink_reload_keep(struct uplink_reload *r, struct machine_follow *f)
{
    struct policy *policy = f->proxy->outbounds.policy;

    log_each(r->removed, r->n_removed, EVENT_UPLINK_REMOVED);
    log_each(r->added, r->n_added, EVENT_UPLINK_ADDED);
    for (size_t i = 0; i < r->n_added; i++)
        if (!r->added[i]->removed)
            policy_uplink_changed(policy, r->added[i], r->added[i]->view.up ? "up" : "down");
    let_go(r);
}
