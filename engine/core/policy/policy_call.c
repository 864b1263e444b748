#include "base/clock.h"
#include "policy/policy_internal.h"
#include "uplink/uplink.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* QUARANTINE_AFTER failures in a row show a broken policy, and each further call could cost its whole
 * budget. OVERRUNS_MAX overruns in a minute block the loop too often, even with successes in between. */
enum { QUARANTINE_AFTER = 20, OVERRUNS_MAX = 20, LINES_PER_WINDOW = 5 };
static const double OVERRUNS_WINDOW_S = 60;
/* CPU time for all calls at once. The last call may exceed it by its own time. */
static const double SHARE_DEFAULT_S = 0.25;
static const double TIMERS_REST_MIN_S =
    0.01; /* the step of the coarse clock, so that no timer is called too early */
enum { TIMERS_IN_A_TURN = 32 };
/* CPU time for timers in one turn of the loop. Then they rest for as long, so that connections have at
 * least half of the time. */
static const double TIMERS_TURN_S = 0.02;

static void log_failure(struct policy *p, const char *what, const char *error)
{
    uint32_t hidden;
    if (!log_limit_pass(&p->complaints, clock_now_s(), LINES_PER_WINDOW, &hidden))
        return;
    struct log_line l;
    log_begin(&l, EVENT_POLICY_FAILED);
    log_str(&l, "policy", p->script->name);
    log_u64(&l, "generation", p->generation);
    log_str(&l, "in", what);
    log_str(&l, "error", error);
    log_hidden(&l, hidden);
    log_end(&l);
}

static void remember_error(struct policy *p, enum script_entry entry, const char *error)
{
    (void)snprintf(p->failed, sizeof p->failed, "%s", error);
    p->failed_in = entry;
    p->failed_at = clock_read_s(CLOCK_REALTIME);
}

static void quarantine(struct policy *p, const char *why, enum script_entry entry, const char *error)
{
    struct log_line l;
    p->quarantined = true;
    remember_error(p, entry, error);
    log_begin(&l, EVENT_POLICY_QUARANTINED);
    log_str(&l, "policy", p->script->name);
    log_u64(&l, "generation", p->generation);
    log_str(&l, "because", why);
    log_str(&l, "in", script_entry_name(entry));
    log_str(&l, "error", error);
    log_end(&l);
}

void policy_rewake(struct policy *p)
{
    const struct policy_env *env = &p->options.env;
    double due = p->script->frame.next_timer;

    if (due < p->timers_rest_until)
        due = p->timers_rest_until;
    if (p->quarantined)
        due = INFINITY;
    if (due == p->wake_at)
        return;
    p->wake_at = due;
    if (env->wake_at)
        env->wake_at(env->arg, due);
}

void policy_attach(struct policy *p, const struct policy_env *env)
{
    p->options.env = *env;
    p->wake_at = INFINITY;
    policy_rewake(p);
}

static bool overruns_too_often(struct policy *p)
{
    double now = clock_coarse_s();

    if (now - p->overruns_from > OVERRUNS_WINDOW_S) {
        p->overruns_from = now;
        p->overruns = 0;
    }
    return ++p->overruns >= OVERRUNS_MAX;
}

/* --- share of the main loop's time ---------------------------------------------------------------------- */

static double share_room_s(const struct policy *p)
{
    return p->options.share_s > 0 ? p->options.share_s : SHARE_DEFAULT_S;
}

static void note_taken(struct policy *p)
{
    if (share_room_s(p) <= SHARE_DEFAULT_S)
        watchdog_note_taken(&p->script->vm->dog, fmin(p->share.spent_s, SHARE_DEFAULT_S));
}

SELDOM static bool give_back(struct policy *p)
{
    bool open = policy_share_open(&p->share, share_room_s(p), p->script->frame.now);

    note_taken(p);
    return open;
}

/* The frame's time stays the same for milliseconds, so most calls have nothing to give back. */
static bool share_open(struct policy *p)
{
    if (p->share.spent_s > 0 && p->share.at_s != p->script->frame.now)
        return give_back(p);
    return !p->share.rests;
}

/* Set the time of a pick or hook. @return whether it may be called now; if not, it is counted as skipped */
static bool admits(struct policy *p)
{
    script_tick(p->script);
    bool open = share_open(p);
    if (!open)
        p->skipped++;
    return open;
}

static void log_share(struct policy *p, enum script_entry entry)
{
    uint32_t hidden;
    if (!log_limit_pass(&p->share_lines, clock_now_s(), 1, &hidden))
        return;
    struct log_line l;
    log_begin(&l, EVENT_POLICY_RESTS);
    log_str(&l, "policy", p->script->name);
    log_u64(&l, "generation", p->generation);
    log_str(&l, "in", script_entry_name(entry));
    log_u64(&l, "skipped", p->skipped);
    log_str(&l, "advice", "let pick and the hooks do less: together they may take half of the time");
    log_hidden(&l, hidden);
    log_end(&l);
}

/* @return true when this call has used up the share */
static bool ran_dry(struct policy *p, enum script_entry entry, double used_s)
{
    script_tick(p->script); /* the call's own time gives nothing back */
    bool dry = policy_share_take(&p->share, share_room_s(p), used_s, p->script->frame.now);
    note_taken(p);
    if (dry && !p->quarantined)
        log_share(p, entry);
    return dry;
}

/* --- results of calls ----------------------------------------------------------------------------------- */

SELDOM static void fail(struct policy *p, enum script_entry entry, int rc, const char *error)
{
    p->errors++;
    p->in_a_row[entry]++;
    remember_error(p, entry, error);
    if (p->quarantined)
        return;
    if (rc == -ENOTRECOVERABLE)
        quarantine(p, "its VM was abandoned", entry, error);
    else if (p->in_a_row[entry] >= QUARANTINE_AFTER)
        quarantine(p, "20 failures in a row", entry, error);
    else
        log_failure(p, script_entry_name(entry), error);
}

SELDOM static void take_time(struct policy *p, enum script_entry entry, int rc, const char *error)
{
    const double used_s = p->script->vm->dog.used_s;
    bool dry = used_s > 0 && ran_dry(p, entry, used_s), late = p->script->vm->overran;

    if ((dry || late) && !p->quarantined && overruns_too_often(p))
        quarantine(
            p, "20 times within 60 s a call took longer than its budget, or all took more than their share",
            entry,
            rc < 0 ? error
            : late ? "it came back late"
                   : "the calls together used up their share of the main loop's time");
}

/* The one place where a call's outcome is counted. Most calls meet no tick of the watchdog's. */
void policy_settle(struct policy *p, enum script_entry entry, int rc, const char *error)
{
    const struct vm *vm = p->script->vm;

    if (rc == 0)
        p->in_a_row[entry] = 0;
    else
        fail(p, entry, rc, error);
    if (vm->dog.used_s > 0 || vm->overran)
        take_time(p, entry, rc, error);
    policy_rewake(p);
}

static void decide_by_default(struct policy *p, struct uplink *const *candidates, size_t n, const char *why,
                              struct policy_choice *ret)
{
    ret->verdict = POLICY_USE;
    ret->order[0] = fallback_pick(&p->fallback, candidates, n);
    ret->n = 1;
    ret->timeout_s = ret->hedge_s = 0;
    ret->race_any = ret->resolve = false;
    ret->per = POLICY_PER_DEFAULT;
    ret->by_default = true;
    (void)snprintf(ret->reason, sizeof ret->reason, "default: %s", why);
}

void policy_pick(struct policy *p, const struct policy_conn *conn, struct uplink *const *candidates, size_t n,
                 struct policy_choice *ret)
{
    char err[VM_ERROR_MAX];
    enum frame_verdict verdict;

    p->picks++;
    if (p->quarantined) {
        decide_by_default(p, candidates, n, "policy quarantined", ret);
        return;
    }
    if (!admits(p)) {
        decide_by_default(p, candidates, n, "policy used up its share of time", ret);
        return;
    }
    int rc = script_pick(p->script, conn, candidates, n, &verdict, ret, err);
    policy_settle(p, SCRIPT_PICK, rc, err);
    if (rc < 0)
        decide_by_default(p, candidates, n, "policy error", ret);
    else if (verdict == FRAME_NO_OPINION)
        decide_by_default(p, candidates, n, "no opinion", ret);
}

static bool wants(const struct policy *p, enum script_entry entry)
{
    return p->script->has[entry] && !p->quarantined;
}

static void run_hook(struct policy *p, enum script_entry entry)
{
    char err[VM_ERROR_MAX];
    int rc = script_run(p->script, entry, err);
    script_end(p->script);
    policy_settle(p, entry, rc, err);
}

void policy_opened(struct policy *p, const struct policy_conn *conn, struct uplink *u, double connect_s)
{
    if (!wants(p, SCRIPT_OPENED) || !admits(p))
        return;
    struct frame *f = &p->script->frame;
    script_begin(p->script, conn);
    script_about(p->script, u);
    f->connect_s = connect_s;
    run_hook(p, SCRIPT_OPENED);
}

void policy_failed(struct policy *p, const struct policy_conn *conn, struct uplink *u, const char *error)
{
    if (!wants(p, SCRIPT_FAILED) || !admits(p))
        return;
    struct frame *f = &p->script->frame;
    script_begin(p->script, conn);
    script_about(p->script, u);
    f->word = error;
    run_hook(p, SCRIPT_FAILED);
}

void policy_lost_race(struct policy *p, const struct policy_conn *conn, struct uplink *u)
{
    if (!wants(p, SCRIPT_LOST_RACE) || !admits(p))
        return;
    script_begin(p->script, conn);
    script_about(p->script, u);
    run_hook(p, SCRIPT_LOST_RACE);
}

void policy_closed(struct policy *p, const struct policy_conn *conn, struct uplink *u,
                   const struct policy_stats *stats)
{
    if (!wants(p, SCRIPT_CLOSED) || !admits(p))
        return;
    struct frame *f = &p->script->frame;
    script_begin(p->script, conn);
    script_about(p->script, u);
    f->stats =
        (struct frame_stats){.tx = (double)stats->tx, .rx = (double)stats->rx, .duration = stats->duration_s};
    f->first_byte_s = stats->first_byte_s;
    f->word = stats->reason;
    run_hook(p, SCRIPT_CLOSED);
}

void policy_uplink_changed(struct policy *p, struct uplink *u, const char *what)
{
    if (!wants(p, SCRIPT_UPLINK_CHANGED) || !admits(p))
        return;
    struct frame *f = &p->script->frame;
    script_about(p->script, u);
    f->word = what;
    run_hook(p, SCRIPT_UPLINK_CHANGED);
}

void policy_run_timers(struct policy *p)
{
    script_tick_finely(p->script);
    double now = p->script->frame.now;
    double began_s = clock_read_s(CLOCK_THREAD_CPUTIME_ID), spent_s = 0;
    /* Timers may add timers: the limits leave the rest for another turn of the loop. */
    for (int i = 0; i < TIMERS_IN_A_TURN && spent_s < TIMERS_TURN_S && p->script->frame.next_timer <= now &&
                    wants(p, SCRIPT_TIMER) && share_open(p);
         i++) {
        run_hook(p, SCRIPT_TIMER);
        spent_s = clock_read_s(CLOCK_THREAD_CPUTIME_ID) - began_s;
    }
    p->timers_rest_until = spent_s < TIMERS_TURN_S ? 0 : now + 2 * spent_s;
    if (p->share.rests) /* timers are late then, but not skipped */
        p->timers_rest_until =
            fmax(p->timers_rest_until,
                 now + spent_s + fmax(policy_share_rest_s(&p->share, share_room_s(p)), TIMERS_REST_MIN_S));
    p->wake_at = NAN; /* the callback was used up: set it again, even for the same time */
    policy_rewake(p);
}

void policy_forget(struct policy *p, uint64_t conn_id)
{
    /* Also when quarantined: the policy's tags take memory. */
    if (p->script->frame.n_tags == 0 || !p->script->vm->L)
        return;
    /* Also when the share is used up: this is the host's own short code. */
    if (p->share.spent_s > 0) {
        script_tick(p->script);
        (void)share_open(p);
    }
    p->script->frame.conn.id = (double)conn_id;
    p->script->vm->no_tidying = true;
    run_hook(p, SCRIPT_FORGET);
    p->script->vm->no_tidying = false;
}
