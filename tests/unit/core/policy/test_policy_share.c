/* A policy's share of the main loop's time: the bucket alone, and its effect on picks, hooks and timers. */
#include "policy/policy_share.h"

#include "policy/fixture.h"
#include "policy/policy_internal.h"

/* --- the bucket ----------------------------------------------------------------------------------------- */

enum { ROOM = 1 };

struct step {
    const char *what;
    double now, used; /* used 0: only asks whether it may be called */
    bool open, dry;   /* expected before the call, and from it */
    double rest;      /* afterwards */
};

static const struct step steps[] = {
    {"a full bucket lets in", 10, 0, true, false, 0},
    {"a short call", 10, 0.25, true, false, 0},
    {"another one at once", 10, 0.5, true, false, 0},
    {"the one that empties it", 10, 0.5, true, true, 0.75},
    {"it rests", 10, 0, false, false, 0.75},
    {"it rests while less than half is back", 10.5, 0, false, false, 0.25},
    {"half is back", 10.75, 0, true, false, 0},
    {"it runs dry again", 10.75, 0.5, true, true, 0.5},
    {"a call that nobody can refuse, in the rest", 10.75, 0.25, false, false, 0.75},
    {"a clock that goes back gives nothing", 10.5, 0, false, false, 0.75},
    {"time that passed before the call was given back", 11.25, 0, true, false, 0},
    {"a long pause", 100, 0, true, false, 0},
    {"gives no more than a full bucket", 100, 0.875, true, false, 0},
    {"one call that takes more than all", 100, 3, true, true, 3.375},
    {"is paid for", 103.25, 0, false, false, 0.125},
    {"in full", 103.375, 0, true, false, 0},
};

static void a_bucket_empties_and_fills(void **state)
{
    struct policy_share s = {.spent_s = 0};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct step *t = &steps[i];
        bool open = policy_share_open(&s, ROOM, t->now);
        bool dry = t->used > 0 && policy_share_take(&s, ROOM, t->used, t->now);
        if (open != t->open || dry != t->dry || policy_share_rest_s(&s, ROOM) != t->rest)
            fail_msg("%s: open %d, dry %d, rest %g", t->what, open, dry, policy_share_rest_s(&s, ROOM));
    }
}

/* Over a minute of calls whenever allowed: they get half of the time. */
static void calls_at_every_chance_get_half_of_the_time(void **state)
{
    struct policy_share s = {.spent_s = 0};
    double now = 0, used = 0;

    (void)state;
    while (now < 60) {
        if (policy_share_open(&s, 0.25, now)) {
            now += 0.04;
            used += 0.04;
            (void)policy_share_take(&s, 0.25, 0.04, now);
        } else {
            now += 0.001;
        }
    }
    assert_true(used > 28 && used < 31);
}

/* The time within a call fills nothing: the bucket empties, however slow the machine is. */
static void a_calls_own_time_is_not_credited(void **state)
{
    struct policy_share s = {.spent_s = 0};
    double now = 0;
    int calls = 0;

    (void)state;
    for (; calls < 60 && policy_share_open(&s, 0.25, now); calls++) {
        now += 0.4;
        (void)policy_share_take(&s, 0.25, 0.04, now);
    }
    assert_int_equal(calls, 7);
}

/* --- the policy ----------------------------------------------------------------------------------------- */

static double now_of(void *arg)
{
    return *(double *)arg;
}

/* A connection leaves something to forget only with a tag. SLOW takes 42 ms of CPU time. */
#define SLOW "local t = os.clock() while os.clock() - t < 0.042 do end\n"
#define POLICY_OF(pick, closed, timer)                                                                       \
    "return { name = 'p', new = function(ctx)\n"                                                             \
    "local closed, timers = ctx.counter 'closed', ctx.counter 'timers'\n"                                    \
    "ctx.every(0.01, function() timers:add() " timer " end)\n"                                               \
    "return { pick = function(conn, u) if conn.id == 0 then return u[1] end " pick                           \
    "return u[1], 'ok', { tag = 'T' } end,\n"                                                                \
    "closed = function() closed:add() " closed " end } end }"

static void load(struct fixture *f, double *now, double share_s, const char *text)
{
    struct policy_options o = fixture_options(f);

    o.share_s = share_s;
    o.env = (struct policy_env){.now = now_of, .arg = now};
    fixture_write(f, "p.lua", text, strlen(text));
    if (policy_new(&f->policy, &o, f->err) != 0)
        FIXTURE_FAIL(f, "%s", f->err);
}

static double metric(const struct fixture *f, size_t i)
{
    const struct policy_metric *m;
    assert_true(policy_metrics(f->policy, &m) > i);
    return m[i].value;
}

/* Pick until the default decides. @return the number of picks by the policy; max for all */
static int picks_until_dry(struct fixture *f, int max)
{
    for (int i = 0; i < max; i++)
        if (fixture_pick(f).by_default)
            return i;
    return max;
}

static void close_one(struct fixture *f)
{
    struct policy_conn conn = fixture_conn(1);
    struct policy_stats stats = {.reason = "closed"};
    policy_closed(f->policy, &conn, f->set.items[0], &stats);
}

static void slow_picks_at_once_are_bounded(void **state)
{
    struct fixture *f = *state;
    double now = 1000;

    load(f, &now, 0, POLICY_OF(SLOW, "", ""));
    int made = picks_until_dry(f, 60);
    if (made < 2 || made > 20) /* 6, but ticks may be late or early on a loaded machine */
        FIXTURE_FAIL(f, "%d picks were made", made);
    assert_string_equal(fixture_pick(f).reason, "default: policy used up its share of time");
    assert_int_equal(policy_info(f->policy).skipped, 2);
    assert_int_equal(policy_info(f->policy).errors, 0);
    assert_int_equal(f->policy->overruns, 1);
    const struct watchdog *dog =
        &f->policy->script->vm->dog; /* it knows at once: the clock stands still here */
    assert_true(watchdog_left_after_s(dog) < watchdog_limit_s(dog->budget_s) - 0.2);
    assert_int_equal(fixture_log_count(f, "policy used up its share of the main loop's time"), 1);

    /* Only the hook is skipped: the connection's tag is dropped. */
    close_one(f);
    assert_int_equal(metric(f, 0), 0);
    assert_int_equal(policy_info(f->policy).skipped, 3);
    assert_int_equal(f->policy->script->frame.n_tags, 1);
    f->policy->script->vm->cycles_due =
        2; /* leave garbage to another call, since collecting may take 30 ms */
    policy_forget(f->policy, 1);
    assert_int_equal(f->policy->script->frame.n_tags, 0);
    assert_int_equal(f->policy->script->vm->cycles_due, 2);

    /* Timers wait until the rest ends. */
    now += 0.02;
    policy_run_timers(f->policy);
    assert_int_equal(metric(f, 1), 0);
    assert_true(f->policy->wake_at > now);
    now += 2;
    policy_run_timers(f->policy);
    assert_int_equal(metric(f, 1), 1);
    assert_string_equal(fixture_pick(f).reason, "ok");
    now += 2;
    close_one(f);
    assert_int_equal(metric(f, 0), 1);
    assert_true(watchdog_left_after_s(dog) == watchdog_limit_s(dog->budget_s));
    assert_false(policy_info(f->policy).quarantined);
}

static void slow_hooks_at_once_are_bounded(void **state)
{
    struct fixture *f = *state;
    double now = 1000;

    load(f, &now, 0.1, POLICY_OF("", SLOW, ""));
    for (int i = 0; i < 30; i++)
        close_one(f);
    double made = metric(f, 0);
    if (made < 1 || made > 15)
        FIXTURE_FAIL(f, "%g calls were made", made);
    assert_int_equal(policy_info(f->policy).skipped, 30 - (int)made);
}

static void slow_timers_use_the_same_share(void **state)
{
    struct fixture *f = *state;
    double now = 1000;

    load(f, &now, 0.02, POLICY_OF("", "", SLOW));
    for (int i = 0; i < 20 && f->policy->overruns == 0; i++) { /* one is enough if its ticks are not late */
        now += 1;
        policy_run_timers(f->policy);
    }
    assert_int_equal(f->policy->overruns, 1);
    assert_true(fixture_pick(f).by_default);
}

/* A call without CPU time costs nothing, however long a busy machine delays it. */
static void a_stall_is_not_charged(void **state)
{
    struct fixture *f = *state;
    double now = 1000;

    load(f, &now, 0.25, POLICY_OF("", "", ""));
    for (int i = 0; i < 200; i++) {
        assert_false(fixture_pick(f).by_default);
        now += 0.3;
    }
    assert_int_equal(f->policy->overruns, 0);
}

/* Counted once for each time the bucket is emptied, so that a burst counts once. */
static void twenty_times_dry_in_a_minute_quarantine(void **state)
{
    struct fixture *f = *state;
    double now = 1000;
    int rounds = 0;

    load(f, &now, 0.02, POLICY_OF(SLOW, "", ""));
    for (; rounds < 99 && !policy_info(f->policy).quarantined; rounds++) {
        uint32_t before = f->policy->overruns;
        for (int i = 0; i < 20 && f->policy->overruns == before; i++)
            (void)fixture_pick(f);
        for (int i = 0; i < 100; i++)
            (void)fixture_pick(f);
        now += 1;
    }
    assert_int_equal(rounds, 20);
    assert_int_equal(fixture_log_count(f, "used up their share of the main loop's time"), 1);
    assert_string_equal(fixture_pick(f).reason, "default: policy quarantined");
    assert_string_equal(policy_info(f->policy).failed,
                        "the calls together used up their share of the main loop's time");
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_string_equal(fixture_pick(f).reason, "ok");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_empties_and_fills),
        cmocka_unit_test(calls_at_every_chance_get_half_of_the_time),
        cmocka_unit_test(a_calls_own_time_is_not_credited),
        T(slow_picks_at_once_are_bounded),
        T(slow_hooks_at_once_are_bounded),
        T(slow_timers_use_the_same_share),
        T(a_stall_is_not_charged),
        T(twenty_times_dry_in_a_minute_quarantine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
