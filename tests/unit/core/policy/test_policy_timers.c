/* ctx.every and ctx.after, uplink_changed, and the policy's clocks. */
#include "policy/fixture.h"

#include "base/clock.h"

#include <math.h>

struct world {
    double now, wall, wake;
    int told;
};

static double world_now(void *arg)
{
    return ((struct world *)arg)->now;
}

static double world_wall(void *arg)
{
    return ((struct world *)arg)->wall;
}

static void world_wake_at(void *arg, double when)
{
    struct world *w = arg;
    w->wake = when;
    w->told++;
}

static int load_in(struct fixture *f, struct world *w, const char *text)
{
    struct policy_options o = fixture_options(f);
    o.env = (struct policy_env){.now = world_now, .wall = world_wall, .wake_at = world_wake_at, .arg = w};
    fixture_write(f, "p.lua", text, strlen(text));
    policy_free(f->policy);
    f->policy = NULL;
    return policy_new(&f->policy, &o, f->err);
}

#define LOAD_IN(f, w, text)                                                                                  \
    do {                                                                                                     \
        if (load_in(f, w, text) != 0)                                                                        \
            FIXTURE_FAIL(f, "%s", (f)->err);                                                                 \
    } while (0)

/* Advance like a loop: to each time that was announced. */
static void advance(struct fixture *f, struct world *w, double to)
{
    for (int i = 0; i < 10000 && w->wake <= to; i++) {
        w->now = w->wake;
        policy_run_timers(f->policy);
    }
    w->now = to;
}

static double metric(struct fixture *f, size_t i)
{
    const struct policy_metric *m;
    assert_true(policy_metrics(f->policy, &m) > i);
    return m[i].value;
}

/* Each of the twenty takes 10 ms: some run in one turn, and then they rest for as long. */
static void timers_that_take_long_leave_time_to_others(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 1000, .wake = INFINITY};
    LOAD_IN(
        f, &w,
        "return { name = 'p', new = function(ctx) local runs = ctx.counter('runs')\n"
        "for i = 1, 20 do ctx.after(1, function() local t = os.clock() while os.clock() - t < 0.01 do end "
        "runs:add(1) end) end\n"
        "return { pick = function() end } end }");
    w.now = w.wake;
    policy_run_timers(f->policy);
    double first = metric(f, 0);
    assert_true(first >= 1 && first <= 5);
    assert_true(w.wake >= w.now + 0.03 && w.wake < w.now + 1);
    advance(f, &w, w.now + 5);
    assert_true(metric(f, 0) == 20);
}

/* A timer that restarts itself at once runs a hundred times a second. */
static void a_timer_that_never_rests_is_held_to_a_pace(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 1000, .wake = INFINITY};
    LOAD_IN(f, &w,
            "return { name = 'p', new = function(ctx) local runs = ctx.counter('runs')\n"
            "local function again() runs:add(1) ctx.after(0, again) end again()\n"
            "return { pick = function() end } end }");
    double before = metric(f, 0);
    advance(f, &w, 1001);
    assert_true(metric(f, 0) - before >= 90 && metric(f, 0) - before <= 101);
}

static void timers_run_when_they_are_due(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 100, .wake = INFINITY};
    LOAD_IN(f, &w,
            PICK("local a, b = ctx.counter 'a', ctx.counter 'b'\n"
                 "ctx.every(10, function() a:add() end)\n"
                 "ctx.after(25, function() b:add(ctx.now()) end)",
                 ""));
    assert_true(w.wake == 110);
    advance(f, &w, 131);
    assert_true(metric(f, 0) == 3);
    assert_true(metric(f, 1) == 125);
    assert_true(w.wake == 140);
    int told = w.told;
    (void)fixture_pick(f);
    assert_int_equal(w.told, told); /* only when it changes */
}

static void a_pick_may_start_one(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 5, .wake = INFINITY};
    LOAD_IN(
        f, &w,
        PICK("local a = ctx.counter 'a'", "if conn.id == 1 then ctx.after(3, function() a:add() end) end"));
    assert_true(w.wake == INFINITY);
    (void)fixture_pick(f);
    assert_true(w.wake == 8);
    advance(f, &w, 9);
    assert_true(metric(f, 0) == 1);
    assert_true(w.wake == INFINITY);
}

static void timers_end_with_their_generation(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 5, .wake = INFINITY};
    static const char none[] = PICK("", "");
    LOAD_IN(f, &w, PICK("ctx.every(1, function() error 'still there' end)", ""));
    assert_true(w.wake == 6);
    fixture_write(f, "p.lua", none, sizeof none - 1);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_true(w.wake == INFINITY);
    w.now = 100;
    policy_run_timers(f->policy);
    assert_int_equal(policy_info(f->policy).errors, 0);
}

static void a_timer_that_fails_is_told_of_and_hurts_no_other(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 0, .wake = INFINITY};
    LOAD_IN(f, &w,
            PICK("local a = ctx.counter 'a'\n"
                 "ctx.after(1, function()\nerror 'ouch' end)\n"
                 "ctx.after(1, function()\nwhile true do end end)\n"
                 "ctx.every(1, function() a:add() end)",
                 ""));
    advance(f, &w, 5);
    assert_true(metric(f, 0) == 5);
    assert_int_equal(policy_info(f->policy).errors, 2);
    assert_int_equal(fixture_log_count(f, "in=timer error=\""), 2);
    assert_int_equal(fixture_log_count(f, "p.lua:4: ouch"), 1);
    assert_int_equal(fixture_log_count(f, "p.lua:6: stopped"), 1);
}

static void one_that_always_fails_ends_in_quarantine(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 0, .wake = INFINITY};
    LOAD_IN(f, &w, PICK("ctx.every(1, function() error 'ouch' end)", ""));
    advance(f, &w, 50);
    assert_true(policy_info(f->policy).quarantined);
    assert_int_equal(policy_info(f->policy).errors, 20);
    assert_true(w.wake == INFINITY); /* otherwise the loop would spin */
}

static void many_that_are_due_at_once_do_not_hold_up_the_loop(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 0, .wake = INFINITY};
    LOAD_IN(
        f, &w,
        PICK("local a = ctx.counter 'a'\nfor i = 1, 100 do ctx.after(1, function() a:add() end) end", ""));
    w.now = 1;
    policy_run_timers(f->policy);
    assert_true(metric(f, 0) < 100);
    assert_true(w.wake == 1); /* it is called again at once */
    advance(f, &w, 1);
    assert_true(metric(f, 0) == 100);
}

static void it_hears_of_uplinks(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(
        f, "return { name = 'p', new = function(ctx) local said = ''\n"
           "return { pick = function(_, u) return u[1], said end,\n"
           "uplink_changed = function(u, what) said = said .. u.name .. '=' .. what .. ' ' end } end }\n");
    policy_uplink_changed(f->policy, f->set.items[1], "down");
    policy_uplink_changed(f->policy, f->set.items[0], "address");
    assert_string_equal(fixture_pick(f).reason, "lte=down fibre=address ");
}

static void it_is_given_the_clocks(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 12.5, .wall = 86400 * 365.0, .wake = INFINITY};
    LOAD_IN(f, &w,
            PICK("local born = ctx.now()",
                 "return uplinks[1], born .. ' ' .. conn.now .. ' ' .. ctx.time() .. os.date('! %Y')"));
    w.now = 20;
    assert_string_equal(fixture_pick(f).reason, "12.5 20 31536000 1971");
}

/* The wall clock may be set while the monotonic clock stays the same. */
static void each_clock_goes_by_itself(void **state)
{
    struct fixture *f = *state;
    struct world w = {.now = 20, .wall = 1000, .wake = INFINITY};
    LOAD_IN(f, &w, PICK("", "return uplinks[1], conn.now .. ' ' .. ctx.time()"));
    assert_string_equal(fixture_pick(f).reason, "20 1000");
    w.wall = 500;
    assert_string_equal(fixture_pick(f).reason, "20 500");
    struct policy_env env = {.wall = world_wall, .arg = &w};
    policy_attach(f->policy, &env);
    for (w.wall = 1; w.wall < 5; w.wall++) { /* within a tick of the system's clock */
        char expected[24];
        (void)snprintf(expected, sizeof expected, " %g", w.wall);
        assert_non_null(strstr(fixture_pick(f).reason, expected));
    }
}

static void without_others_it_has_the_systems_clocks(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("", "return uplinks[1], ctx.time() .. ' ' .. ctx.now()"));
    double wall = clock_read_s(CLOCK_REALTIME), now = clock_now_s(), wall_seen, now_seen;
    assert_int_equal(sscanf(fixture_pick(f).reason, "%lf %lf", &wall_seen, &now_seen), 2);
    assert_true(fabs(wall_seen - wall) < 60 && fabs(now_seen - now) < 60);
}

static void a_seed_makes_it_repeat_itself(void **state)
{
    struct fixture *f = *state;
    char first[POLICY_REASON_MAX + 1] = "";
    const char *text = PICK("", "return uplinks[1], tostring(ctx.random(1e9))");
    struct policy_options o = fixture_options(f);
    o.seed = 42;
    fixture_write(f, "p.lua", text, strlen(text));
    for (int i = 0; i < 2; i++) {
        policy_free(f->policy);
        assert_int_equal(policy_new(&f->policy, &o, f->err), 0);
        struct policy_choice c = fixture_pick(f);
        if (i > 0)
            assert_string_equal(c.reason, first);
        (void)snprintf(first, sizeof first, "%s", c.reason);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(timers_that_take_long_leave_time_to_others),
        T(a_timer_that_never_rests_is_held_to_a_pace),
        T(timers_run_when_they_are_due),
        T(a_pick_may_start_one),
        T(timers_end_with_their_generation),
        T(a_timer_that_fails_is_told_of_and_hurts_no_other),
        T(one_that_always_fails_ends_in_quarantine),
        T(many_that_are_due_at_once_do_not_hold_up_the_loop),
        T(it_hears_of_uplinks),
        T(it_is_given_the_clocks),
        T(each_clock_goes_by_itself),
        T(without_others_it_has_the_systems_clocks),
        T(a_seed_makes_it_repeat_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
