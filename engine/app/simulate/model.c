#include "simulate/model.h"

#include "simulate/model_internal.h"
#include "uplink/uplink_note.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The proxy's own limits: a dial on a silent uplink while others are left, and attempts in all. */
static const double DIAL_TIMEOUT_S = 5;
enum { ATTEMPTS_MAX = 8, NOBODY = UINT32_MAX };
/* Policies take a clock at 0 for "never". The wall clock starts on a Monday at noon, UTC, for policies
 * with time tables. */
static const double NOW_0 = 1000, WALL_0 = 1767009600;

/* --- flows ---------------------------------------------------------------------------------------------- */

static uint32_t flow_new(struct model *m)
{
    if (m->n_free > 0)
        return m->free_flows[--m->n_free];
    if (m->n_flows == m->cap_flows) {
        size_t cap = m->cap_flows ? m->cap_flows * 2 : 1024;
        struct flow *flows = reallocarray(m->flows, cap, sizeof *flows);
        if (flows)
            m->flows = flows;
        uint32_t *free_flows = reallocarray(m->free_flows, cap, sizeof *free_flows);
        if (free_flows)
            m->free_flows = free_flows;
        if (!flows || !free_flows) {
            m->error = -ENOMEM;
            return NOBODY;
        }
        m->cap_flows = cap;
    }
    return (uint32_t)m->n_flows++;
}

void model_plan(struct model *m, double t, enum what what, uint32_t whom, uint64_t version)
{
    if (events_add(&m->events, t, what, whom, version) < 0)
        m->error = -ENOMEM;
}

static void note_moving(struct model *m, int change)
{
    if (m->moving > 0)
        m->result->busy_s += m->now - m->moved_at;
    m->moved_at = m->now;
    m->moving = (size_t)((long)m->moving + change);
}

static struct policy_conn conn_of(const struct model *m, const struct flow *f)
{
    const struct policy_attempt at = {.number = f->attempt, .last_error = f->last_error};
    struct policy_origin from = POLICY_ORIGIN_MADE_UP;
    struct policy_conn conn;

    from.proto = POLICY_CONNECT;
    from.client = m->o->trace->texts[f->spec->client];
    const struct policy_destination to = {.host = m->o->trace->texts[f->spec->host], .port = f->spec->port};
    policy_conn_init(&conn, f->id, &to, &from, &at);
    return conn;
}

static void flow_end(struct model *m, uint32_t i, enum model_end end)
{
    struct flow *f = &m->flows[i];

    m->result->ends[end]++;
    if (end == MODEL_DONE)
        m->result->took_s[m->result->n_done++] = m->now - f->asked_at;
    policy_forget(m->policy, f->id);
    f->spec = NULL;
    m->free_flows[m->n_free++] = i;
}

/* Every active flow counts as busy, since simulated flows never pause. */
static void claim(struct model *m, struct line *l)
{
    l->uplink.view.active++;
    l->uplink.view.busy++;
    if (m->set.pulse.beats)
        return;
    m->set.pulse.beats = true;
    model_plan(m, m->now + UPLINK_TICK_S, METERS, 0, 0);
}

static void release(struct model *m, struct flow *f)
{
    m->lines[f->uplink].uplink.view.active--;
    m->lines[f->uplink].uplink.view.busy--;
}

/* --- meters --------------------------------------------------------------------------------------------- */

/* Update what policies see. */
void model_refresh(struct model *m)
{
    for (size_t i = 0; i < m->set.n; i++) {
        struct line *l = &m->lines[i];
        struct uplink_view *v = &l->uplink.view;
        link_advance(&l->up, m->now);
        link_advance(&l->down, m->now);
        v->tx_bytes = l->up.carried;
        v->rx_bytes = l->down.carried;
        double left = l->spec->quota - l->up.carried - l->down.carried;
        v->quota_left = left > 0 ? left : 0;
    }
}

/* The proxy's own meters, at the proxy's own interval. */
static void tick(struct model *m)
{
    model_refresh(m);
    if (uplink_set_tick(&m->set, UPLINK_TICK_S))
        model_plan(m, m->now + UPLINK_TICK_S, METERS, 0, 0);
}

static void plan_link(struct model *m, uint32_t i, bool down)
{
    struct link *l = down ? &m->lines[i].down : &m->lines[i].up;
    double t = link_next(l);

    if (!isinf(t))
        model_plan(m, t, down ? DOWN_DONE : UP_DONE, i, l->version);
}

/* --- asking --------------------------------------------------------------------------------------------- */

static void model_ask(struct model *m, uint32_t i)
{
    struct flow *f = &m->flows[i];
    struct uplink *candidates[UPLINK_MAX];
    size_t n = 0;

    for (size_t k = 0; k < m->set.n; k++)
        if (m->set.items[k]->view.up && !(f->tried >> k & 1))
            candidates[n++] = m->set.items[k];
    if (n == 0 || f->attempt >= ATTEMPTS_MAX)
        return flow_end(m, i, MODEL_FAILED);
    f->attempt++;
    model_refresh(m);
    struct policy_conn conn = conn_of(m, f);
    struct policy_choice choice;
    policy_pick(m->policy, &conn, candidates, n, &choice);
    m->result->by_default += choice.by_default;
    if (choice.verdict == POLICY_REFUSE)
        return flow_end(m, i, MODEL_REFUSED);
    f->uplink = choice.order[0]->view.id - 1;
    f->tried |= UINT64_C(1) << f->uplink;
    struct line *l = &m->lines[f->uplink];
    claim(m, l);
    if (l->serves)
        model_plan(m, m->now + l->spec->rtt_s, CONNECTED, i, f->id);
    else
        model_plan(m, m->now + (choice.timeout_s > 0 ? choice.timeout_s : DIAL_TIMEOUT_S), TIMED_OUT, i,
                   f->id);
}

static void arrive(struct model *m, const struct trace_flow *spec)
{
    uint32_t i = flow_new(m);

    if (i == NOBODY)
        return;
    m->flows[i] = (struct flow){.spec = spec, .id = ++m->last_id, .asked_at = m->now, .uplink = -1};
    model_ask(m, i);
}

static void attempt_failed(struct model *m, uint32_t i, const char *error)
{
    struct flow *f = &m->flows[i];
    struct line *l = &m->lines[f->uplink];

    release(m, f);
    m->result->uplinks[f->uplink].timeouts++;
    uplink_note_failed(&l->uplink);
    f->last_error = error;
    struct policy_conn conn = conn_of(m, f);
    policy_failed(m->policy, &conn, &l->uplink, error);
    model_ask(m, i);
}

/* --- carrying ------------------------------------------------------------------------------------------- */

static void connected(struct model *m, uint32_t i)
{
    struct flow *f = &m->flows[i];
    struct line *l = &m->lines[f->uplink];

    if (!l->serves) /* the uplink failed during the dial */
        return model_plan(m, m->now + DIAL_TIMEOUT_S, TIMED_OUT, i, f->id);
    f->open = f->up_left = f->down_left = true;
    f->connected_at = m->now;
    uplink_note_connected(&l->uplink, l->spec->rtt_s);
    struct policy_conn conn = conn_of(m, f);
    policy_opened(m->policy, &conn, &l->uplink, m->now - f->asked_at);
    note_moving(m, 1);
    if (link_begin(&l->up, m->now, i, (double)f->spec->tx) < 0 ||
        link_begin(&l->down, m->now, i, (double)f->spec->rx) < 0)
        m->error = -ENOMEM;
    plan_link(m, (uint32_t)f->uplink, false);
    plan_link(m, (uint32_t)f->uplink, true);
}

static void close_flow(struct model *m, uint32_t i, enum model_end end)
{
    struct flow *f = &m->flows[i];
    struct line *l = &m->lines[f->uplink];
    const struct policy_stats stats = {
        .tx = f->spec->tx,
        .rx = f->spec->rx,
        .duration_s = m->now - f->connected_at,
        .first_byte_s = l->spec->rtt_s,
        .reason = end == MODEL_DONE ? "closed" : "reset",
    };

    note_moving(m, -1);
    release(m, f);
    m->result->uplinks[f->uplink].flows++;
    m->result->uplinks[f->uplink].broken += end != MODEL_DONE;
    struct policy_conn conn = conn_of(m, f);
    uplink_note_rtt(&l->uplink, l->spec->rtt_s);
    policy_closed(m->policy, &conn, &l->uplink, &stats);
    flow_end(m, i, end);
}

static void link_event(struct model *m, uint32_t line, bool down, uint64_t version)
{
    struct link *l = down ? &m->lines[line].down : &m->lines[line].up;
    uint32_t i;

    if (version != l->version)
        return;
    while (link_take_done(l, m->now, &i)) {
        struct flow *f = &m->flows[i];
        *(down ? &f->down_left : &f->up_left) = false;
        if (!f->up_left && !f->down_left)
            close_flow(m, i, MODEL_DONE);
    }
    plan_link(m, line, down);
}

/* --- outages -------------------------------------------------------------------------------------------- */

static void set_known(struct model *m, struct line *l, bool up)
{
    if (l->uplink.view.up == up)
        return;
    l->uplink.view.up = up;
    policy_uplink_changed(m->policy, &l->uplink, up ? "up" : "down");
}

/* Break all flows on the uplink, in a fixed order. A flow on both directions breaks once. */
static void outage_begins(struct model *m, uint32_t line)
{
    struct line *l = &m->lines[line];
    uint32_t i;

    l->serves = false;
    l->outage++;
    model_plan(m, m->now + l->spec->detect_s, OUTAGE_KNOWN, line, l->outage);
    for (int down = 0; down < 2; down++)
        while (link_break_one(down ? &l->down : &l->up, m->now, &i)) {
            struct flow *f = &m->flows[i];
            if (f->open) {
                f->open = false;
                if (!down && f->down_left)
                    continue; /* the loop meets it again in the other direction */
            }
            if (f->spec)
                close_flow(m, i, MODEL_BROKEN);
        }
}

/* --- time ----------------------------------------------------------------------------------------------- */

static void happen(struct model *m, const struct event *e)
{
    struct flow *f = e->what <= TIMED_OUT ? &m->flows[e->whom] : NULL;
    struct line *l = e->what >= OUTAGE_BEGINS && e->what <= OUTAGE_ENDS ? &m->lines[e->whom] : NULL;

    switch ((enum what)e->what) {
    case CONNECTED:
        if (f->spec && f->id == e->version)
            connected(m, e->whom);
        return;
    case TIMED_OUT:
        if (f->spec && f->id == e->version)
            attempt_failed(m, e->whom, "timeout");
        return;
    case UP_DONE:
    case DOWN_DONE:
        return link_event(m, e->whom, e->what == DOWN_DONE, e->version);
    case OUTAGE_BEGINS:
        return outage_begins(m, e->whom);
    case OUTAGE_KNOWN:
        if (!l->serves && l->outage == e->version)
            set_known(m, l, false);
        return;
    case OUTAGE_ENDS:
        l->serves = true;
        return set_known(m, l, true);
    case METERS:
        return tick(m);
    case POLICY_TIMER:
        if (e->version == m->timer_version)
            policy_run_timers(m->policy);
        return;
    }
}

double model_now(void *arg)
{
    return NOW_0 + ((const struct model *)arg)->now;
}

double model_wall(void *arg)
{
    return WALL_0 + ((const struct model *)arg)->now;
}

void model_wake_at(void *arg, double when)
{
    struct model *m = arg;

    m->timer_version++;
    if (!isinf(when))
        model_plan(m, when - NOW_0 > m->now ? when - NOW_0 : m->now, POLICY_TIMER, 0, m->timer_version);
}

/* Ends with the last flow: timers of a policy and later outages do not prolong the run. */
void model_play(struct model *m)
{
    const struct trace *t = m->o->trace;

    while (m->error == 0 && (m->next < t->n || m->n_flows > m->n_free)) {
        struct event e;
        if (m->next < t->n && t->flows[m->next].t <= events_next(&m->events)) {
            m->now = t->flows[m->next].t > m->now ? t->flows[m->next].t : m->now;
            arrive(m, &t->flows[m->next++]);
            continue;
        }
        if (!events_take(&m->events, &e))
            break;
        m->now = e.t > m->now ? e.t : m->now;
        if (m->now > NOW_0 + TRACE_SECONDS_MAX)
            m->error = -ETIME;
        else
            happen(m, &e);
    }
    note_moving(m, 0);
    model_refresh(m);
}
