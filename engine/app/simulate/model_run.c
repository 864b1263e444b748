/* Builds a model, plays it, and collects the result. */
#include "simulate/model.h"

#include "base/clock.h"
#include "simulate/model_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        list_init(&l->uplink.meters.busy);
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
        uplink_set_put(&m->set, &l->uplink);
        for (size_t k = 0; k < spec->n_outages; k++) {
            model_plan(m, spec->outages[k].from, OUTAGE_BEGINS, (uint32_t)i, 0);
            model_plan(m, spec->outages[k].to, OUTAGE_ENDS, (uint32_t)i, 0);
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
        .share_s = INFINITY, /* no loop to protect here, and a limit by CPU time would make runs differ */
        .env = {.now = model_now, .wall = model_wall, .wake_at = model_wake_at, .arg = &m},
    };
    int r = build(&m);

    if (r < 0)
        (void)snprintf(err, POLICY_ERROR_MAX, "%s", strerror(-r));
    else
        r = policy_new(&m.policy, &policy, err);
    if (r == 0) {
        double began_s = clock_now_s();
        model_play(&m);
        result.wall_s = clock_now_s() - began_s;
        r = m.error;
        if (r < 0)
            (void)snprintf(err, POLICY_ERROR_MAX, "%s",
                           r == -ETIME ? "it would take more than 10000000 seconds" : strerror(-r));
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
