/* The model, in cases that are small enough to compute by hand. */
#include "simulate/model.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct trace trace;
    struct model_lines lines;
    struct model_result result;
    char err[POLICY_ERROR_MAX];
};

static struct world *world_new(size_t n_lines)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->lines.n = n_lines;
    for (size_t i = 0; i < n_lines; i++) {
        struct model_line *l = &w->lines.items[i];
        *l = (struct model_line){
            .weight = 1, .tier = 1, .down = 1000, .up = 1000, .rtt_s = 0.5, .quota = INFINITY};
        (void)snprintf(l->name, sizeof l->name, "%c", 'a' + (int)i);
    }
    return w;
}

static void world_free(struct world *w)
{
    model_result_done(&w->result);
    trace_done(&w->trace);
    model_lines_done(&w->lines);
    free(w);
}

static void flow(struct world *w, double t, uint64_t tx, uint64_t rx)
{
    struct trace_flow f = {.t = t, .tx = tx, .rx = rx, .port = 443};
    assert_int_equal(trace_text(&w->trace, "192.0.2.1", &f.client), 0);
    assert_int_equal(trace_text(&w->trace, "www.example.org", &f.host), 0);
    assert_int_equal(trace_add(&w->trace, &f), 0);
}

static int run_file(struct world *w, const char *file)
{
    const struct model_options o = {
        .trace = &w->trace,
        .lines = &w->lines,
        .policy = {.file = file},
        .lua_dir = STEERWAY_SOURCE_DIR "/lua",
        .seed = 1,
    };
    model_result_done(&w->result);
    return model_run(&o, &w->result, w->err);
}

static void run(struct world *w, const char *policy)
{
    char path[] = "/tmp/steerway-model-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, policy, strlen(policy)), strlen(policy));
    (void)close(fd);
    int r = run_file(w, path);
    (void)unlink(path);
    if (r < 0)
        fail_msg("%s", w->err);
}

static const char FIRST[] =
    "return { name = 'first', new = function() return { pick = function(_, u) return u[1] end } end }";

static void assert_took(const struct world *w, size_t i, double expected)
{
    if (fabs(w->result.took_s[i] - expected) > 1e-6)
        fail_msg("flow %zu took %.9f, expected %.9f", i, w->result.took_s[i], expected);
}

/* 0.5 s to connect. A of 1000 bytes begins at 0.5; B, requested at 0.5, begins at 1. A has 500 left then,
 * at 500/s: done at 2. B of 1000 has 500 left then, alone: done at 2.5. */
static void two_flows_share_a_line(void **state)
{
    struct world *w = world_new(1);
    (void)state;
    flow(w, 0, 0, 1000);
    flow(w, 0.5, 0, 1000);
    run(w, FIRST);
    assert_int_equal(w->result.n_done, 2);
    assert_took(w, 0, 2);
    assert_took(w, 1, 2);
    assert_true(fabs(w->result.until_s - 2.5) < 1e-6);
    assert_true(fabs(w->result.busy_s - 2) < 1e-6);
    assert_true(fabs(w->result.uplinks[0].carried_down - 2000) < 1e-3);
    assert_int_equal(w->result.uplinks[0].flows, 2);
    assert_int_equal(w->result.picks, 2);
    world_free(w);
}

/* In both directions at once: the longer transfer counts. */
static void the_directions_do_not_share(void **state)
{
    struct world *w = world_new(1);
    (void)state;
    w->lines.items[0].up = 500;
    flow(w, 0, 1000, 1000);
    run(w, FIRST);
    assert_took(w, 0, 2.5);
    world_free(w);
}

static void turns_double_what_one_line_carries(void **state)
{
    struct world *w = world_new(2);
    (void)state;
    flow(w, 0, 0, 1000);
    flow(w, 0, 0, 1000);
    assert_int_equal(run_file(w, STEERWAY_SOURCE_DIR "/policies/round_robin.lua"), 0);
    assert_took(w, 0, 1.5);
    assert_took(w, 1, 1.5);
    assert_int_equal(w->result.uplinks[0].flows, 1);
    assert_int_equal(w->result.uplinks[1].flows, 1);
    world_free(w);
}

/* The flow on it at 1 breaks; the one at 2 uses the other line; the one at 5 uses the first again. */
static void an_outage_breaks_open_flows_and_moves_new_ones(void **state)
{
    struct world *w = world_new(2);
    (void)state;
    w->lines.items[0].outages[0] = (struct model_outage){1, 4};
    w->lines.items[0].n_outages = 1;
    flow(w, 0, 1000, 1000);
    flow(w, 2, 0, 100);
    flow(w, 5, 0, 100);
    run(w, FIRST);
    assert_int_equal(w->result.ends[MODEL_DONE], 2);
    assert_int_equal(w->result.ends[MODEL_BROKEN], 1);
    assert_int_equal(w->result.uplinks[0].broken, 1);
    assert_int_equal(w->result.uplinks[0].flows, 2);
    assert_int_equal(w->result.uplinks[1].flows, 1);
    assert_int_equal(w->result.uplinks[0].timeouts, 0);
    world_free(w);
}

/* The outage is noticed after 10 s: the dial at 2 times out at 7. The other line, 0.5 s away, carries 100
 * bytes in 0.1 s. */
static void an_outage_that_is_not_known_costs_a_timeout(void **state)
{
    struct world *w = world_new(2);
    (void)state;
    w->lines.items[0].outages[0] = (struct model_outage){1, 40};
    w->lines.items[0].n_outages = 1;
    w->lines.items[0].detect_s = 10;
    flow(w, 2, 0, 100);
    flow(w, 20, 0, 100);
    run(w, FIRST);
    assert_int_equal(w->result.n_done, 2);
    assert_took(w, 1, 5.6);
    assert_took(w, 0, 0.6);
    assert_int_equal(w->result.uplinks[0].timeouts, 1);
    assert_int_equal(w->result.uplinks[1].flows, 2);
    world_free(w);
}

static void without_a_line_a_flow_fails(void **state)
{
    struct world *w = world_new(1);
    (void)state;
    w->lines.items[0].outages[0] = (struct model_outage){1, 40};
    w->lines.items[0].n_outages = 1;
    flow(w, 2, 0, 100);
    run(w, FIRST);
    assert_int_equal(w->result.ends[MODEL_FAILED], 1);
    world_free(w);
}

/* Hooks, fields and timers use the model's time, and `active` returns to zero. */
static void the_policy_sees_the_same_as_in_the_proxy(void **state)
{
    static const char policy[] = "return { name = 'p', new = function(ctx)\n"
                                 "local u, opened, closed, ticks = ctx.uplinks[1], 0, 0, 0\n"
                                 "ctx.every(1, function() ticks = ticks + 1 end)\n"
                                 "return { pick = function(conn, uplinks)\n"
                                 "if conn.id == 0 then return uplinks[1] end\n"
                                 "if conn.id == 3 then\n"
                                 "assert(opened == 2 and closed == 2, 'hooks')\n"
                                 "assert(u.active == 0 and u.busy == 0, 'active')\n"
                                 "assert(u.total == 2 and u.rx_bytes > 599999, 'counters')\n"
                                 "assert(u.connect_time == 0.5 and u.rtt == 0.5, 'times')\n"
                                 "assert(u.rx_rate < 1000 and u.tx_capacity == 0, 'meters')\n"
                                 "assert(u.rx_capacity > 98000 and u.rx_capacity <= 100000, 'capacity')\n"
                                 "assert(ticks >= 19 and ticks <= 20 and conn.now == ctx.now(), 'time')\n"
                                 "end\n"
                                 "return uplinks[1] end,\n"
                                 "opened = function(conn, up, s) assert(s == 0.5) opened = opened + 1 end,\n"
                                 "closed = function(conn, up, stats) assert(stats.rx == 300000 and "
                                 "stats.reason == 'closed') closed = closed + 1 end,\n"
                                 "} end }";
    struct world *w = world_new(1);
    (void)state;
    w->lines.items[0].down = 100000; /* full for 6 s */
    flow(w, 0, 0, 300000);
    flow(w, 0, 0, 300000);
    flow(w, 20, 0, 300000);
    run(w, policy);
    assert_int_equal(w->result.policy_errors, 0);
    assert_int_equal(w->result.n_done, 3);
    world_free(w);
}

static void a_refusal_is_counted(void **state)
{
    struct world *w = world_new(1);
    (void)state;
    flow(w, 0, 0, 1000);
    run(w,
        "return { name = 'no', new = function() return { pick = function() return false, 'no' end } end }");
    assert_int_equal(w->result.ends[MODEL_REFUSED], 1);
    assert_int_equal(w->result.n_done, 0);
    world_free(w);
}

static void a_policy_that_does_not_load_is_reported(void **state)
{
    struct world *w = world_new(1);
    (void)state;
    flow(w, 0, 0, 1);
    assert_true(run_file(w, "/nonexistent.lua") < 0);
    assert_non_null(strstr(w->err, "/nonexistent.lua"));
    world_free(w);
}

/* 100 and 10 Mbit/s with sixteen flows at a time: fair_share fills both, turns do not. */
static void fair_share_fills_unequal_lines(void **state)
{
    double took[2];
    static const char *const policies[] = {STEERWAY_SOURCE_DIR "/policies/fair_share.lua",
                                           STEERWAY_SOURCE_DIR "/policies/round_robin.lua"};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct world *w = world_new(2);
        w->lines.items[0].down = 12.5e6;
        w->lines.items[1].down = 1.25e6;
        for (int round = 0; round < 20; round++)
            for (int i = 0; i < 16; i++)
                flow(w, round * 30, 600, 10000000);
        if (run_file(w, policies[k]) < 0)
            fail_msg("%s", w->err);
        assert_int_equal(w->result.n_done, 320);
        took[k] = w->result.took_s[160];
        world_free(w);
    }
    if (took[0] * 2 > took[1])
        fail_msg("fair_share %.1f s, round_robin %.1f s", took[0], took[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_flows_share_a_line),
        cmocka_unit_test(the_directions_do_not_share),
        cmocka_unit_test(turns_double_what_one_line_carries),
        cmocka_unit_test(an_outage_breaks_open_flows_and_moves_new_ones),
        cmocka_unit_test(an_outage_that_is_not_known_costs_a_timeout),
        cmocka_unit_test(without_a_line_a_flow_fails),
        cmocka_unit_test(the_policy_sees_the_same_as_in_the_proxy),
        cmocka_unit_test(a_refusal_is_counted),
        cmocka_unit_test(a_policy_that_does_not_load_is_reported),
        cmocka_unit_test(fair_share_fills_unequal_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
