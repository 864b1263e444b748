#include "simulate/model.h"

#include "base/clock.h"
#include "simulate/events.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the proxy's own: a dial on a silent uplink while others are left, and attempts in all. */
static const double DIAL_TIMEOUT_S = 5;
enum { ATTEMPTS_MAX = 8, NOBODY = UINT32_MAX };
/* A clock that begins at 0 would look like "never" to policies; and a day that means something, a Monday at
 * noon, UTC. */
static const double NOW_0 = 1000, WALL_0 = 1767009600;

enum what {
    CONNECTED,
    TIMED_OUT,
    UP_DONE,
    DOWN_DONE,
    OUTAGE_BEGINS,
    OUTAGE_KNOWN,
    OUTAGE_ENDS,
    POLICY_TIMER
};

/* A flow under way. */
struct flow {
    const struct trace_flow *spec;
    uint64_t id;
    uint64_t tried; /* a bit for each uplink id - 1 */
    double asked_at, connected_at;
    int uplink; /* index; -1 for none */
    uint8_t attempt;
    bool open, up_left, down_left;
    const char *last_error;
};

struct line {
    struct uplink uplink;
    struct uplink_lease lease; /* unused: leases are the flows' */
    const struct model_line *spec;
    struct link up, down;
    bool serves; /* in truth; uplink.view.up is what is known */
    uint64_t outage;
};

struct model {
    const struct model_options *o;
    struct model_result *result;
    struct line *lines;
    struct uplink_set set;
    struct policy *policy;
    struct events events;
    struct flow *flows; /* a pool */
    uint32_t *free_flows;
    size_t n_flows, cap_flows, n_free;
    size_t next; /* of the trace */
    double now;
    size_t moving; /* flows on any link */
    double moved_at;
    int error;
    uint64_t last_id, timer_version;
};

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

static void plan(struct model *m, double t, enum what what, uint32_t whom, uint64_t version)
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
    const char *host = m->o->trace->texts[f->spec->host];
    bool is_ipv6 = strchr(host, ':') != NULL;

    return (struct policy_conn){
        .id = f->id,
        .host = host,
        .port = f->spec->port,
        .is_domain = !is_ipv6 && host[strspn(host, "0123456789.")] != '\0',
        .is_ipv6 = is_ipv6,
        .proto = POLICY_CONNECT,
        .client = m->o->trace->texts[f->spec->client],
        .listener = "127.0.0.1:1080",
        .attempt = f->attempt,
        .last_error = f->last_error,
    };
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

static void release(struct model *m, struct flow *f)
{
    m->lines[f->uplink].uplink.view.active--;
    m->lines[f->uplink].uplink.view.busy--;
}

/* --- meters --------------------------------------------------------------------------------------------- */

/* What policies see, as of now. */
static void refresh(struct model *m)
{
    for (size_t i = 0; i < m->set.n; i++) {
        struct line *l = &m->lines[i];
        struct uplink_view *v = &l->uplink.view;
        link_advance(&l->up, m->now);
        link_advance(&l->down, m->now);
        v->tx_rate = l->up.rate;
        v->rx_rate = l->down.rate;
        v->tx_capacity = l->up.learned;
        v->rx_capacity = l->down.learned;
        v->tx_bytes = l->up.carried;
        v->rx_bytes = l->down.carried;
        double left = l->spec->quota - l->up.carried - l->down.carried;
        v->quota_left = left > 0 ? left : 0;
    }
}

static void plan_link(struct model *m, uint32_t i, bool down)
{
    struct link *l = down ? &m->lines[i].down : &m->lines[i].up;
    double t = link_next(l);

    if (!isinf(t))
        plan(m, t, down ? DOWN_DONE : UP_DONE, i, l->version);
}

/* --- asking --------------------------------------------------------------------------------------------- */

static void ask(struct model *m, uint32_t i)
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
    refresh(m);
    struct policy_conn conn = conn_of(m, f);
    struct policy_choice choice;
    policy_pick(m->policy, &conn, candidates, n, &choice);
    m->result->by_default += choice.by_default;
    if (choice.verdict == POLICY_REFUSE)
        return flow_end(m, i, MODEL_REFUSED);
    f->uplink = choice.order[0]->view.id - 1;
    f->tried |= UINT64_C(1) << f->uplink;
    struct line *l = &m->lines[f->uplink];
    l->uplink.view.active++;
    l->uplink.view.busy++;
    if (l->serves)
        plan(m, m->now + l->spec->rtt_s, CONNECTED, i, f->id);
    else
        plan(m, m->now + (choice.timeout_s > 0 ? choice.timeout_s : DIAL_TIMEOUT_S), TIMED_OUT, i, f->id);
}

static void arrive(struct model *m, const struct trace_flow *spec)
{
    uint32_t i = flow_new(m);

    if (i == NOBODY)
        return;
    m->flows[i] = (struct flow){.spec = spec, .id = ++m->last_id, .asked_at = m->now, .uplink = -1};
    ask(m, i);
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
    ask(m, i);
}

/* --- carrying ------------------------------------------------------------------------------------------- */

static void connected(struct model *m, uint32_t i)
{
    struct flow *f = &m->flows[i];
    struct line *l = &m->lines[f->uplink];

    if (!l->serves) /* it broke amid the dial */
        return plan(m, m->now + DIAL_TIMEOUT_S, TIMED_OUT, i, f->id);
    f->open = f->up_left = f->down_left = true;
    f->connected_at = m->now;
    uplink_note_connected(&l->uplink);
    l->uplink.view.rtt = l->spec->rtt_s;
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

/* All that is on it breaks, in a fixed order. A flow may be on both directions, and breaks once. */
static void outage_begins(struct model *m, uint32_t line)
{
    struct line *l = &m->lines[line];
    uint32_t i;

    l->serves = false;
    l->outage++;
    plan(m, m->now + l->spec->detect_s, OUTAGE_KNOWN, line, l->outage);
    for (int down = 0; down < 2; down++)
        while (link_break_one(down ? &l->down : &l->up, m->now, &i)) {
            struct flow *f = &m->flows[i];
            if (f->open) {
                f->open = false;
                if (!down && f->down_left)
                    continue; /* it is met again on its way down */
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
    case POLICY_TIMER:
        if (e->version == m->timer_version)
            policy_run_timers(m->policy);
        return;
    }
}

static double model_now(void *arg)
{
    return NOW_0 + ((const struct model *)arg)->now;
}

static double model_wall(void *arg)
{
    return WALL_0 + ((const struct model *)arg)->now;
}

static void model_wake_at(void *arg, double when)
{
    struct model *m = arg;

    m->timer_version++;
    if (!isinf(when))
        plan(m, when - NOW_0 > m->now ? when - NOW_0 : m->now, POLICY_TIMER, 0, m->timer_version);
}

/* Until all flows have ended: a policy's timers and outages to come keep nobody waiting. */
static void play(struct model *m)
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
        happen(m, &e);
    }
    note_moving(m, 0);
    refresh(m);
}

/* --- from uplinks to result ----------------------------------------------------------------------------- */

static int build(struct model *m)
{
    const struct model_lines *lines = m->o->lines;

    m->lines = calloc(lines->n, sizeof *m->lines);
    m->result->took_s = reallocarray(NULL, m->o->trace->n + 1, sizeof *m->result->took_s);
    if (!m->lines || !m->result->took_s)
        return -ENOMEM;
    for (size_t i = 0; i < lines->n; i++) {
        struct line *l = &m->lines[i];
        const struct model_line *spec = &lines->items[i];
        l->spec = spec;
        l->serves = true;
        link_init(&l->up, spec->up);
        link_init(&l->down, spec->down);
        l->uplink.view = (struct uplink_view){.weight = spec->weight,
                                              .tier = spec->tier,
                                              .quota_left = spec->quota,
                                              .id = (int32_t)i + 1,
                                              .up = true,
                                              .ipv4 = true,
                                              .ipv6 = true};
        memcpy(l->uplink.name, spec->name, sizeof l->uplink.name);
        (void)snprintf(l->uplink.interface, sizeof l->uplink.interface, "sim%u", (unsigned)i % 1000);
        memcpy(l->uplink.tags, spec->tags, sizeof l->uplink.tags); /* borrowed */
        l->uplink.n_tags = spec->n_tags;
        m->set.items[m->set.n++] = &l->uplink;
        for (size_t k = 0; k < spec->n_outages; k++) {
            plan(m, spec->outages[k].from, OUTAGE_BEGINS, (uint32_t)i, 0);
            plan(m, spec->outages[k].to, OUTAGE_ENDS, (uint32_t)i, 0);
        }
    }
    return m->error;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void conclude(struct model *m)
{
    struct model_result *r = m->result;

    for (size_t i = 0; i < m->set.n; i++) {
        r->uplinks[i].up = m->lines[i].up;
        r->uplinks[i].down = m->lines[i].down;
        r->uplinks[i].carried_up = m->lines[i].up.carried;
        r->uplinks[i].carried_down = m->lines[i].down.carried;
        m->lines[i].up.heap = m->lines[i].down.heap = NULL;
    }
    qsort(r->took_s, r->n_done, sizeof *r->took_s, by_value);
    struct policy_info info = policy_info(m->policy);
    r->picks = info.picks;
    r->policy_errors = info.errors;
    r->until_s = m->now;
}

static void model_done(struct model *m)
{
    policy_free(m->policy);
    for (size_t i = 0; m->lines && i < m->set.n; i++) {
        link_done(&m->lines[i].up);
        link_done(&m->lines[i].down);
    }
    free(m->lines);
    events_done(&m->events);
    free(m->flows);
    free(m->free_flows);
}

int model_run(const struct model_options *options, struct model_result *ret, char *err)
{
    struct model_result result = {.n_done = 0};
    struct model m = {.o = options, .result = &result};
    const struct policy_options policy = {
        .source = options->policy,
        .lua_dir = options->lua_dir,
        .uplinks = &m.set,
        .seed = options->seed,
        .env = {.now = model_now, .wall = model_wall, .wake_at = model_wake_at, .arg = &m},
    };
    int r = build(&m);

    if (r < 0)
        (void)snprintf(err, POLICY_ERROR_MAX, "%s", strerror(-r));
    else
        r = policy_new(&m.policy, &policy, err);
    if (r == 0) {
        double began_s = clock_now_s();
        play(&m);
        result.wall_s = clock_now_s() - began_s;
        r = m.error;
        if (r < 0)
            (void)snprintf(err, POLICY_ERROR_MAX, "%s", strerror(-r));
        else
            conclude(&m);
    }
    model_done(&m);
    if (r < 0)
        model_result_done(&result);
    else
        *ret = result;
    return r;
}

void model_result_done(struct model_result *r)
{
    for (size_t i = 0; i < UPLINK_MAX; i++) {
        link_done(&r->uplinks[i].up);
        link_done(&r->uplinks[i].down);
    }
    free(r->took_s);
    r->took_s = NULL;
}

void model_lines_done(struct model_lines *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        for (size_t k = 0; k < lines->items[i].n_tags; k++)
            free(lines->items[i].tags[k]);
    lines->n = 0;
}
