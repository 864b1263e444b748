#include "keep/ledger.h"

#include "base/log.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A crash may lose this much of a quota's count. Learned capacities are saved less often, to spare flash
 * cards. */
static const double SAVE_QUOTA_S = 3, SAVE_LEARNED_S = 300;
enum { VERSION = 1 };

/* --- to and from JSON ----------------------------------------------------------------------------------- */

/* @param before  the uplink's kept entry: a quota that this run does not configure keeps its count */
static json_t *uplink_json(const struct uplink *u, const json_t *before)
{
    json_t *o =
        json_pack("{s:f, s:f}", "rx_capacity", u->meters.rx.capacity, "tx_capacity", u->meters.tx.capacity);
    json_t *kept = json_object_get(before, "quota");

    if (quota_is_set(&u->quota))
        (void)json_object_set_new(
            o, "quota", json_pack("{s:I, s:f}", "began", (json_int_t)u->quota.began, "used", u->quota.used));
    else if (kept)
        (void)json_object_set(o, "quota", kept);
    return o;
}

static void keep(struct ledger *l, const struct uplink *u)
{
    (void)json_object_set_new(l->kept, u->name, uplink_json(u, json_object_get(l->kept, u->name)));
}

static void keep_all(struct ledger *l)
{
    for (size_t i = 0; i < l->ties.uplinks->n; i++)
        keep(l, l->ties.uplinks->items[i]);
}

static char *to_text(struct ledger *l)
{
    keep_all(l);
    json_t *whole = json_pack("{s:i, s:O}", "steerway_state", VERSION, "uplinks", l->kept);
    char *text = whole ? json_dumps(whole, JSON_INDENT(1)) : NULL;
    json_decref(whole);
    return text;
}

/* A number of bytes, or of bytes a second. */
static double amount(const json_t *o, const char *key)
{
    double n = json_number_value(json_object_get(o, key));

    return n > 0 && isfinite(n) ? n : 0;
}

static void warn_of_clock(const struct uplink *u)
{
    struct log_line l;

    log_begin(&l, EVENT_QUOTA_FROM_FUTURE);
    log_str(&l, "uplink", u->name);
    log_end(&l);
}

static void restore(struct uplink *u, const json_t *o)
{
    const json_t *quota = json_object_get(o, "quota");

    u->meters.rx.capacity = u->view.rx_capacity = amount(o, "rx_capacity");
    u->meters.tx.capacity = u->view.tx_capacity = amount(o, "tx_capacity");
    if (json_is_integer(json_object_get(quota, "began")) &&
        !quota_restore(&u->quota, (time_t)json_integer_value(json_object_get(quota, "began")),
                       amount(quota, "used")))
        warn_of_clock(u);
    uplink_settle(u);
}

static void warn(enum log_event event, const char *path, const char *why)
{
    struct log_line l;

    log_begin(&l, event);
    log_str(&l, "path", path);
    log_str(&l, "why", why);
    log_end(&l);
}

static void restore_all(struct ledger *l)
{
    for (size_t i = 0; i < l->ties.uplinks->n; i++)
        restore(l->ties.uplinks->items[i], json_object_get(l->kept, l->ties.uplinks->items[i]->name));
}

static void take_up(struct ledger *l, const char *text)
{
    json_error_t error;
    json_t *whole = json_loads(text, 0, &error);
    json_t *uplinks = json_object_get(whole, "uplinks");
    bool known = json_integer_value(json_object_get(whole, "steerway_state")) == VERSION;

    if (known && json_is_object(uplinks)) {
        json_decref(l->kept);
        l->kept = json_incref(uplinks);
        restore_all(l);
    } else {
        int r = state_file_set_aside(&l->file);
        warn(EVENT_STATE_UNREADABLE, l->file.path,
             r < 0 ? strerror(-r) : "the old one is beside it, as .bad");
    }
    json_decref(whole);
}

/* --- saving --------------------------------------------------------------------------------------------- */

static void on_failed(struct state_file *f, int err)
{
    warn(EVENT_STATE_NOT_WRITTEN, f->path, strerror(-err));
}

static void on_save(struct ev_loop *loop, ev_timer *w, int events)
{
    struct ledger *l = container_of(w, struct ledger, save);
    char *text = to_text(l);

    (void)loop;
    (void)events;
    if (text)
        state_file_write(&l->file, text);
}

static bool has_quotas(const struct ledger *l)
{
    for (size_t i = 0; i < l->ties.uplinks->n; i++)
        if (quota_is_set(&l->ties.uplinks->items[i]->quota))
            return true;
    return false;
}

static void save_soon(struct ledger *l)
{
    if (!l->file.loop || l->lent || ev_is_active(&l->save))
        return;
    ev_timer_set(&l->save, has_quotas(l) ? SAVE_QUOTA_S : SAVE_LEARNED_S, 0.);
    ev_timer_start(l->loop, &l->save);
}

/* --- periods -------------------------------------------------------------------------------------------- */

static void tell_quota(struct ledger *l, struct uplink *u, bool used_up)
{
    size_t cut = used_up && u->quota.plan.hard ? l->ties.cut(l->ties.owner, u) : 0;
    struct log_line line;

    log_begin(&line, used_up ? EVENT_QUOTA_USED_UP : EVENT_QUOTA_HAS_ROOM);
    log_str(&line, "uplink", u->name);
    log_num(&line, "bytes", u->quota.plan.bytes);
    log_str(&line, "per", quota_per_name(u->quota.plan.per));
    log_str(&line, "end", u->quota.plan.hard ? "hard" : "soft");
    if (cut > 0)
        log_u64(&line, "cut", cut);
    log_end(&line);
    l->used_up[u->view.id - 1] = used_up;
    policy_uplink_changed(l->ties.policy, u, "quota");
}

void ledger_look(struct ledger *l)
{
    for (size_t i = 0; i < l->ties.uplinks->n; i++) {
        struct uplink *u = l->ties.uplinks->items[i];
        bool used_up = u->view.quota_left <= 0;
        if (used_up != l->used_up[u->view.id - 1])
            tell_quota(l, u, used_up);
        else if (used_up && u->quota.plan.hard && u->view.active > 0)
            /* They were still dialling when the others were cut. */
            (void)l->ties.cut(l->ties.owner, u);
    }
    save_soon(l);
}

/* libev asks again when the clock is set. */
static ev_tstamp next_renewal(ev_periodic *w, ev_tstamp now)
{
    const struct ledger *l = container_of(w, struct ledger, renewal);
    ev_tstamp next = now + 86400;

    for (size_t i = 0; i < l->ties.uplinks->n; i++) {
        const struct quota *q = &l->ties.uplinks->items[i]->quota;
        if (quota_is_set(q) && (double)q->ends < next)
            next = (double)q->ends;
    }
    return next > now ? next : now + 1;
}

static void on_renewal(struct ev_loop *loop, ev_periodic *w, int events)
{
    struct ledger *l = container_of(w, struct ledger, renewal);
    time_t now = time(NULL);

    (void)loop;
    (void)events;
    for (size_t i = 0; i < l->ties.uplinks->n; i++)
        if (quota_renew(&l->ties.uplinks->items[i]->quota, now))
            uplink_settle(l->ties.uplinks->items[i]);
    ledger_look(l);
}

/* --- the whole ------------------------------------------------------------------------------------------ */

int ledger_open(struct ledger *l, struct ev_loop *loop, const char *path, const struct ledger_ties *ties)
{
    return ledger_take_over(l, loop, path, ties, &(struct ledger_handed){.lock_fd = -1});
}

int ledger_take_over(struct ledger *l, struct ev_loop *loop, const char *path, const struct ledger_ties *ties,
                     const struct ledger_handed *handed)
{
    char *text = NULL;
    int r = 0;

    *l = (struct ledger){.loop = loop, .ties = *ties, .kept = json_object()};
    ev_timer_init(&l->save, on_save, 0., 0.);
    ev_periodic_init(&l->renewal, on_renewal, 0., 0., next_renewal);
    if (has_quotas(l))
        ev_periodic_start(loop, &l->renewal);
    if (path && handed->lock_fd >= 0)
        r = state_file_take_over(&l->file, loop, path, handed->lock_fd);
    else if (path)
        r = state_file_open(&l->file, loop, path, &text);
    l->file.failed = on_failed;
    if (l->kept && handed->state) {
        (void)json_object_update(l->kept, (json_t *)(uintptr_t)handed->state);
        restore_all(l);
    } else if (l->kept && text) {
        take_up(l, text);
    }
    free(text);
    ledger_look(l);
    return l->kept ? r : -ENOMEM;
}

/* --- another process goes on with it -------------------------------------------------------------------- */

json_t *ledger_lend(struct ledger *l)
{
    keep_all(l);
    json_t *state = json_deep_copy(l->kept);
    if (!state)
        return NULL;
    if (l->file.loop)
        on_save(l->loop, &l->save, 0);
    ev_timer_stop(l->loop, &l->save);
    l->lent = true;
    for (size_t i = 0; i < l->ties.uplinks->n; i++)
        l->told[l->ties.uplinks->items[i]->view.id - 1] = l->ties.uplinks->items[i]->quota.used;
    return state;
}

void ledger_take_back(struct ledger *l)
{
    l->lent = false;
    save_soon(l);
}

/* A period that has ended since then begins at zero. */
double ledger_untold(const struct ledger *l, const struct uplink *u)
{
    double told = l->told[u->view.id - 1];

    if (!quota_is_set(&u->quota))
        return 0;
    return u->quota.used < told ? u->quota.used : u->quota.used - told;
}

void ledger_tell(struct ledger *l, const struct uplink *u, double bytes)
{
    double *told = &l->told[u->view.id - 1];

    *told = (u->quota.used < *told ? 0 : *told) + bytes;
}

void ledger_count(struct uplink *u, double bytes)
{
    if (!quota_is_set(&u->quota))
        return;
    u->quota.used += bytes;
    uplink_settle(u);
}

/* --- the end -------------------------------------------------------------------------------------------- */

void ledger_add(struct ledger *l, struct uplink *u)
{
    l->used_up[u->view.id - 1] = false;
    restore(u, json_object_get(l->kept, u->name));
    ledger_plan_changed(l);
}

void ledger_remove(struct ledger *l, const struct uplink *u)
{
    if (l->loop)
        keep(l, u);
}

void ledger_plan_changed(struct ledger *l)
{
    if (!l->loop)
        return;
    ev_periodic_stop(l->loop, &l->renewal);
    if (has_quotas(l))
        ev_periodic_start(l->loop, &l->renewal);
    ledger_look(l);
}

void ledger_close(struct ledger *l)
{
    if (!l->loop)
        return;
    ev_timer_stop(l->loop, &l->save);
    ev_periodic_stop(l->loop, &l->renewal);
    (void)uplink_set_tick(l->ties.uplinks, UPLINK_TICK_S); /* count the bytes since the last tick */
    state_file_close(&l->file, l->file.loop && l->kept && !l->lent ? to_text(l) : NULL);
    json_decref(l->kept);
    l->kept = NULL;
    l->loop = NULL;
}
