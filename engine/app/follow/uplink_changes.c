#include "follow/uplink_changes.h"

#include "base/log.h"
#include "follow/machine_follow.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <time.h>

static void log_uplink(enum log_event event, const struct uplink *u)
{
    struct log_line l;

    log_begin(&l, event);
    log_str(&l, "uplink", u->name);
    log_end(&l);
}

static void log_change(const struct uplink *u, const char *what, double value)
{
    struct log_line l;

    log_begin(&l, EVENT_UPLINK_CHANGED);
    log_str(&l, "uplink", u->name);
    log_str(&l, "setting", what);
    log_num(&l, "value", value);
    log_end(&l);
}

int uplink_changes_add(struct machine_follow *f, const struct uplink_spec *spec, struct uplink **ret)
{
    struct machine m;
    int r = machine_read_links(&m);

    if (r < 0)
        return r;
    r = machine_follow_add(f, spec, &m, ret);
    machine_done(&m);
    if (r < 0)
        return r;
    discover_heed(&f->ignored, (*ret)->name);
    log_uplink(EVENT_UPLINK_ADDED, *ret);
    policy_uplink_changed(f->proxy->outbounds.policy, *ret, (*ret)->view.up ? "up" : "down");
    return 0;
}

void uplink_changes_remove(struct machine_follow *f, struct uplink *u)
{
    struct uplink *held = uplink_hold(u);

    machine_follow_remove(f, u);
    discover_ignore(&f->ignored, u->name);
    log_uplink(EVENT_UPLINK_REMOVED, u);
    policy_uplink_changed(f->proxy->outbounds.policy, u, "down");
    uplink_let_go(held);
}

void uplink_changes_weight(struct uplink *u, double weight)
{
    u->view.weight = weight;
    log_change(u, "weight", weight);
}

void uplink_changes_tier(struct uplink *u, double tier)
{
    u->view.tier = tier;
    log_change(u, "tier", tier);
}

void uplink_changes_rate(struct uplink *u, double rate)
{
    cap_set(&u->cap, (uint64_t)rate);
    log_change(u, "rate", rate);
}

void uplink_changes_quota(struct machine_follow *f, struct uplink *u, const struct quota_plan *plan)
{
    bool was_up = u->view.up;

    quota_replan(&u->quota, plan, time(NULL));
    uplink_settle(u);
    log_change(u, "quota", plan->bytes);
    if (f->ledger)
        ledger_plan_changed(f->ledger);
    if (was_up != u->view.up)
        policy_uplink_changed(f->proxy->outbounds.policy, u, u->view.up ? "up" : "down");
}

void uplink_changes_drain(struct machine_follow *f, struct uplink *u, bool on)
{
    bool was_up = u->view.up;

    if (u->draining == on)
        return;
    uplink_set_draining(u, on);
    log_uplink(on ? EVENT_UPLINK_DRAINING : EVENT_UPLINK_DRAIN_ENDED, u);
    if (was_up != u->view.up)
        policy_uplink_changed(f->proxy->outbounds.policy, u, u->view.up ? "up" : "down");
}
