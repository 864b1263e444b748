#include "base/clock.h"
#include "policy/policy_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* A policy that fails this often in a row is broken, not unlucky; each further try could cost its whole time
 * budget. One that overruns its budget this often in a minute holds the loop, whatever succeeds in between.
 */
enum { QUARANTINE_AFTER = 20, OVERRUNS_MAX = 20, LINES_PER_WINDOW = 5 };
static const double OVERRUNS_WINDOW_S = 60;
enum { TIMERS_IN_A_TURN = 32 };
/* CPU time of a policy's timers in one turn of the loop; then they rest for as long as they took, so that
 * connections have half of it at least. */
static const double TIMERS_TURN_S = 0.02;

static void log_failure(struct policy *p, const char *what, const char *error)
{
    uint32_t hidden;
    if (!log_limit_pass(&p->complaints, clock_now_s(), LINES_PER_WINDOW, &hidden))
        return;
    struct log_line l;
    log_begin(&l, LOG_WARN, "policy failed");
    log_str(&l, "policy", p->script->name);
    log_u64(&l, "generation", p->generation);
    log_str(&l, "in", what);
    log_str(&l, "error", error);
    if (hidden > 0)
        log_u64(&l, "hidden", hidden);
    log_end(&l);
}

static void quarantine(struct policy *p, const char *why, const char *what, const char *error)
{
    struct log_line l;
    p->quarantined = true;
    log_begin(&l, LOG_ERROR, "policy quarantined until it is reloaded; the built-in default decides");
    log_str(&l, "policy", p->script->name);
    log_u64(&l, "generation", p->generation);
    log_str(&l, "because", why);
    log_str(&l, "in", what);
    log_str(&l, "error", error);
    log_end(&l);
}

void policy_rewake(struct policy *p)
{
    const struct policy_env *env = &p->options.env;
    double due = p->quarantined ? INFINITY : fmax(p->script->frame.next_timer, p->timers_rest_until);

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

static void fail(struct policy *p, enum script_entry entry, int rc, const char *error)
{
    const char *what = script_entry_name(entry);

    p->errors++;
    p->in_a_row[entry]++;
    (void)snprintf(p->failed, sizeof p->failed, "%s", error);
    p->failed_in = entry;
    p->failed_at = clock_read_s(CLOCK_REALTIME);
    if (p->quarantined)
        return;
    if (rc == -ENOTRECOVERABLE)
        quarantine(p, "its VM was abandoned", what, error);
    else if (p->in_a_row[entry] >= QUARANTINE_AFTER)
        quarantine(p, "20 failures in a row", what, error);
    else
        log_failure(p, what, error);
}

/* The one place where a call's outcome is counted. */
void policy_settle(struct policy *p, enum script_entry entry, int rc, const char *error)
{
    if (rc == 0)
        p->in_a_row[entry] = 0;
    else
        fail(p, entry, rc, error);
    if (p->script->vm->overran && !p->quarantined && overruns_too_often(p))
        quarantine(p, "20 calls within 60 s took longer than their budget", script_entry_name(entry),
                   rc == 0 ? "it came back late" : error);
    policy_rewake(p);
}

static void decide_by_default(struct policy *p, struct uplink *const *candidates, size_t n, const char *why,
                              struct policy_choice *ret)
{
    ret->verdict = POLICY_USE;
    ret->order[0] = fallback_pick(&p->fallback, candidates, n);
    ret->n = 1;
    ret->timeout_s = ret->hedge_s = 0;
    ret->race_any = false;
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
    if (!wants(p, SCRIPT_OPENED))
        return;
    struct frame *f = &p->script->frame;
    script_begin(p->script, conn);
    f->uplink = u->view.id;
    f->connect_s = connect_s;
    run_hook(p, SCRIPT_OPENED);
}

void policy_failed(struct policy *p, const struct policy_conn *conn, struct uplink *u, const char *error)
{
    if (!wants(p, SCRIPT_FAILED))
        return;
    struct frame *f = &p->script->frame;
    script_begin(p->script, conn);
    f->uplink = u->view.id;
    f->word = error;
    run_hook(p, SCRIPT_FAILED);
}

void policy_lost_race(struct policy *p, const struct policy_conn *conn, struct uplink *u)
{
    if (!wants(p, SCRIPT_LOST_RACE))
        return;
    script_begin(p->script, conn);
    p->script->frame.uplink = u->view.id;
    run_hook(p, SCRIPT_LOST_RACE);
}

void policy_closed(struct policy *p, const struct policy_conn *conn, struct uplink *u,
                   const struct policy_stats *stats)
{
    if (!wants(p, SCRIPT_CLOSED))
        return;
    struct frame *f = &p->script->frame;
    script_begin(p->script, conn);
    f->uplink = u->view.id;
    f->stats =
        (struct frame_stats){.tx = (double)stats->tx, .rx = (double)stats->rx, .duration = stats->duration_s};
    f->first_byte_s = stats->first_byte_s;
    f->word = stats->reason;
    run_hook(p, SCRIPT_CLOSED);
}

void policy_uplink_changed(struct policy *p, struct uplink *u, const char *what)
{
    if (!wants(p, SCRIPT_UPLINK_CHANGED))
        return;
    struct frame *f = &p->script->frame;
    script_tick(p->script);
    f->uplink = u->view.id;
    f->word = what;
    run_hook(p, SCRIPT_UPLINK_CHANGED);
}

void policy_run_timers(struct policy *p)
{
    script_tick_finely(p->script);
    double now = p->script->frame.now;
    double began_s = clock_read_s(CLOCK_THREAD_CPUTIME_ID), spent_s = 0;
    /* Whatever they do to each other: those that are left wait for another turn of the loop. */
    for (int i = 0; i < TIMERS_IN_A_TURN && spent_s < TIMERS_TURN_S && p->script->frame.next_timer <= now &&
                    wants(p, SCRIPT_TIMER);
         i++) {
        run_hook(p, SCRIPT_TIMER);
        spent_s = clock_read_s(CLOCK_THREAD_CPUTIME_ID) - began_s;
    }
    p->timers_rest_until = spent_s < TIMERS_TURN_S ? 0 : now + 2 * spent_s;
    p->wake_at = NAN; /* it was woken: to be told anew, even of the same moment */
    policy_rewake(p);
}

void policy_forget(struct policy *p, uint64_t conn_id)
{
    /* Not only while it serves: a quarantined policy's tags take room too. */
    if (p->script->frame.n_tags == 0 || !p->script->vm->L)
        return;
    p->script->frame.conn.id = (double)conn_id;
    run_hook(p, SCRIPT_FORGET);
}
