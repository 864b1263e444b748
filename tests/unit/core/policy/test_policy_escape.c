/* Calls that Lua cannot end: each is left, its VM is thrown away, and the next VM works. */
#include "policy/astray.h"
#include "policy/fixture.h"

#include "base/clock.h"
#include "cage/luajit_edge.h"
#include "policy/policy_internal.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>

static const char GOOD[] =
    "local n, t = 0, {}\n" PICK("", "if conn.port == 666 then while true do n = n + 1 t[n % 8] = n end "
                                    "end return uplinks[#uplinks], 'well'");

static void go_astray(struct fixture *f, lua_CFunction way)
{
    astray_go(f->policy, way);
}

static double cpu_now_s(void)
{
    return clock_read_s(CLOCK_THREAD_CPUTIME_ID);
}

static void an_endless_loop_is_stopped(struct fixture *f)
{
    struct policy_conn conn = fixture_conn(1);
    struct policy_choice choice;
    double began = cpu_now_s();

    conn.port = 666;
    policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
    assert_true(choice.by_default);
    assert_true(cpu_now_s() - began < 0.2);
    assert_true(cpu_now_s() - began > 0.03);
    assert_false(policy_info(f->policy).quarantined);
}

static void each_way_is_left_and_the_next_vm_is_whole(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, GOOD);
    for (size_t i = 0; i < ARRAY_LEN(astray_ways); i++) {
        unsigned areas = luajit_edge_areas();
        an_endless_loop_is_stopped(f); /* compiled code is freed too */
        go_astray(f, astray_ways[i].way);
        double began = cpu_now_s();
        struct policy_choice choice = fixture_pick(f);
        double took = cpu_now_s() - began;
        if (!choice.by_default || took > 0.5 || !policy_info(f->policy).quarantined)
            FIXTURE_FAIL(f, "%s: took %.3f s, %s", astray_ways[i].name, took, choice.reason);
        char *log = fixture_log(f);
        if (!strstr(log, astray_ways[i].told))
            FIXTURE_FAIL(f, "%s: logged %s", astray_ways[i].name, log);
        free(log);
        assert_int_equal(policy_info(f->policy).memory, 0);
        /* The VM is not entered any more. */
        assert_string_equal(fixture_pick(f).reason, "default: policy quarantined");
        policy_run_timers(f->policy);
        policy_forget(f->policy, 1);
        if (policy_reload(f->policy, f->err) < 0)
            FIXTURE_FAIL(f, "%s: %s", astray_ways[i].name, f->err);
        assert_true(luajit_edge_areas() <= areas);
        assert_false(fixture_pick(f).by_default);
        an_endless_loop_is_stopped(f);
    }
    assert_int_equal(fixture_log_count(f, "policy quarantined until it is reloaded"), ARRAY_LEN(astray_ways));
}

/* --- panic ---------------------------------------------------------------------------------------------- */

static void a_panic_costs_the_vm_alone(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, GOOD);
    go_astray(f, astray_panic_once);
    assert_true(fixture_pick(f).by_default);
    assert_int_equal(fixture_log_count(f, "an error was raised where nothing catches it"), 1);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    an_endless_loop_is_stopped(f);
}

/* A reason that is a number: converting it could raise an error outside a protected call. */
static int chooses_with_a_number(lua_State *L)
{
    lua_pushinteger(L, FRAME_NO_OPINION);
    lua_pushnumber(L, 0.1);
    return 2;
}

static void no_result_is_converted_outside_of_a_call(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, GOOD);
    go_astray(f, chooses_with_a_number);
    assert_string_equal(fixture_pick(f).reason, "default: policy error");
    assert_false(policy_info(f->policy).quarantined);
}

/* --- what the hook does not stop
 * ------------------------------------------------------------------------- */

/* LuaJIT's hashrot (lj_tab.h), backwards: numbers whose hash is 0 in all of its bits. */
static const char COLLIDING[] =
    "local t, c = {}, 0\n"
    "local function key()\n"
    "  local d, hi repeat\n"
    "    c = c + 1\n"
    "    d = bit.ror(bit.bxor(bit.rol(c, 13), c), 5)\n"
    "    hi = bit.ror(d, 14)\n"
    "    local exponent = bit.band(bit.rshift(hi, 21), 0x7ff)\n"
    "  until hi % 2 == 0 and exponent > 0 and exponent < 0x7ff\n"
    "  local lo, half = bit.bxor(bit.tobit(c + d), hi) % 2^32, bit.rshift(hi, 1)\n"
    "  local fraction = bit.band(half, 0xfffff) * 2^32 + lo\n"
    "  return math.ldexp(1 + fraction / 2^52, bit.rshift(half, 20) - 1023)\n"
    "end\n" PICK("", "for _ = 1, 50 do t[key()] = true end return uplinks[1]");

/* A table that grows compares all keys of one hash with each other, in one step: a second for 2^15 keys. */
static void a_table_of_colliding_keys_is_left(void **state)
{
    struct fixture *f = *state;
    double longest = 0;
    int n = 0;

    FIXTURE_LOAD(f, COLLIDING);
    for (; n < 3000 && !policy_info(f->policy).quarantined; n++) {
        double began = cpu_now_s();
        (void)fixture_pick(f);
        longest = fmax(longest, cpu_now_s() - began);
    }
    if (fixture_log_count(f, "abandoned: a builtin did not come back within 400 ms") != 1)
        FIXTURE_FAIL(f, "not left after %d picks, of which the longest took %.3f s", n, longest);
    assert_true(longest < 0.8);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_false(fixture_pick(f).by_default);
}

/* The share of time that earlier calls have used shortens the time until a call is left. */
static void a_call_after_others_is_left_sooner(void **state)
{
    struct fixture *f = *state;
    struct policy_options o = fixture_options(f);

    o.share_s = 0;
    fixture_write(f, "p.lua", GOOD, sizeof GOOD - 1);
    assert_int_equal(policy_new(&f->policy, &o, f->err), 0);
    assert_string_equal(fixture_pick(f).reason, "well");
    f->policy->share = (struct policy_share){.spent_s = 0.2,
                                             .at_s = clock_coarse_s() + 3600}; /* the share does not refill */
    go_astray(f, astray_spin);
    double began = cpu_now_s();
    assert_true(fixture_pick(f).by_default);
    double took = cpu_now_s() - began;
    if (took > 0.35 || fixture_log_count(f, "abandoned: a builtin did not come back within 200 ms") != 1)
        FIXTURE_FAIL(f, "left after %.3f s", took);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    an_endless_loop_is_stopped(f);
}

/* --- where a call may not be left ----------------------------------------------------------------------- */

static int hold_for_a_while(lua_State *L)
{
    escape_hold();
    for (double began = cpu_now_s(); cpu_now_s() - began < 0.6;)
        astray_sink++;
    astray_sink = -1; /* it must get this far */
    escape_release();
    return astray_spin(L);
}

static void what_holds_a_call_is_not_left(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, GOOD);
    astray_sink = 0;
    go_astray(f, hold_for_a_while);
    double began = cpu_now_s();
    assert_true(fixture_pick(f).by_default);
    assert_true(cpu_now_s() - began >= 0.6);
    assert_true(cpu_now_s() - began < 0.9);
    assert_true(policy_info(f->policy).quarantined);
}

static int fault(lua_State *L)
{
    (void)L;
    *(volatile int *)(uintptr_t)64 = 1; /* NOLINT: it is meant to fault */
    return 0;
}

static void end_with_42(int sig)
{
    (void)sig;
    _exit(42);
}

/* In a child, since the earlier handler ends the process. */
static void another_fault_goes_to_its_own_handler(void **state)
{
    struct fixture *f = *state;
    const struct sigaction ends = {.sa_handler = end_with_42};
    struct sigaction before;
    int status;

    assert_int_equal(sigaction(SIGSEGV, &ends, &before), 0);
    FIXTURE_LOAD(f, GOOD);
    go_astray(f, fault);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (policy_after_fork(f->policy) == 0)
            (void)fixture_pick(f);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    policy_free(f->policy);
    f->policy = NULL;
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
}

static void a_child_leaves_its_call_too(void **state)
{
    struct fixture *f = *state;
    int status;

    FIXTURE_LOAD(f, GOOD);
    go_astray(f, astray_spin);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool well = policy_after_fork(f->policy) == 0 && fixture_pick(f).by_default;
        _exit(well && policy_info(f->policy).quarantined ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_false(policy_info(f->policy).quarantined);
}

/* --- memory --------------------------------------------------------------------------------------------- */

/* Its loop is compiled with short texts, and then makes one that is too large. LuaJIT may crash when
 * compiled code is refused memory. */
static void memory_is_refused_to_compiled_code_too(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f,
                 "local function twice(s) local n = 0 for i = 1, 200 do n = n + #(s .. s .. i) end return n "
                 "end\n" PICK("local long = ('x'):rep(2^22)", "if conn.port == 666 then twice(long) end\n"
                                                              "return uplinks[twice 'x' > 0 and 1 or 2]"));
    for (int round = 0; round < 3; round++) {
        struct policy_conn conn = fixture_conn(1);
        struct policy_choice choice;
        for (int i = 0; i < 100; i++)
            assert_false(fixture_pick(f).by_default);
        assert_true(luajit_edge_areas() > 0);
        conn.port = 666;
        policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
        assert_true(choice.by_default);
        assert_true(policy_info(f->policy).quarantined);
        assert_int_equal(policy_reload(f->policy, f->err), 0);
    }
    assert_int_equal(fixture_log_count(f, "abandoned: not enough memory: a text has at most 8 MiB"), 3);
}

/* --- at load and reload --------------------------------------------------------------------------------- */

static const char FAILS_ON_TRIAL[] =
    "return { name = 'p', new = function() return { pick = function() error 'no' end } end }\n";

static void an_export_that_is_left_costs_the_old_policy(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, GOOD);
    lua_State *L = f->policy->script->vm->L;
    f->policy->script->has[SCRIPT_EXPORT] = true;
    lua_pushcfunction(L, astray_spin);
    lua_rawseti(L, LUA_REGISTRYINDEX, SCRIPT_EXPORT);
    fixture_write(f, "p.lua", "nonsense", 8);
    assert_true(policy_reload(f->policy, f->err) < 0);
    assert_string_not_equal(fixture_pick(f).reason, "default: policy quarantined"); /* it was not asked */
    fixture_write(f, "p.lua", FAILS_ON_TRIAL, sizeof FAILS_ON_TRIAL - 1);
    assert_true(policy_reload(f->policy, f->err) < 0);
    assert_non_null(strstr(f->err, "p.lua:1: no"));
    assert_string_equal(fixture_pick(f).reason, "default: policy quarantined");
    fixture_write(f, "p.lua", GOOD, sizeof GOOD - 1);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    an_endless_loop_is_stopped(f);
}

/* Another VM exists, and has the profiler when the first is left. */
static void other_vms_live_on(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;

    other.policy = NULL;
    FIXTURE_LOAD(f, GOOD);
    assert_int_equal(fixture_load(&other, GOOD), 0);
    an_endless_loop_is_stopped(f);
    an_endless_loop_is_stopped(&other);
    go_astray(f, astray_spin);
    assert_true(fixture_pick(f).by_default);
    an_endless_loop_is_stopped(&other);
    assert_false(fixture_pick(&other).by_default);
    policy_free(other.policy);
    assert_int_equal(luajit_edge_areas(), 0);
}

/* --- the clock ------------------------------------------------------------------------------------------ */

/* Signals are late, as when many threads share a processor. */
static int takes_late_ticks(lua_State *L)
{
    sigset_t prof;

    sigemptyset(&prof);
    sigaddset(&prof, SIGPROF);
    for (;;) {
        (void)pthread_sigmask(SIG_BLOCK, &prof, NULL);
        for (double began = cpu_now_s(); cpu_now_s() - began < 0.045;)
            astray_sink++;
        (void)pthread_sigmask(SIG_UNBLOCK, &prof, NULL);
        (void)luaL_loadstring(L, "return 1"); /* the budget stops Lua code */
        lua_call(L, 0, 0);
    }
    return 0;
}

static void late_ticks_stop_a_call_in_time(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, GOOD);
    go_astray(f, takes_late_ticks);
    double began = cpu_now_s();
    assert_true(fixture_pick(f).by_default);
    double took = cpu_now_s() - began;
    /* Twice 45 ms; if late ticks counted as two, the call would be stopped. */
    if (took > 0.2 || policy_info(f->policy).quarantined)
        FIXTURE_FAIL(f, "stopped after %.3f s of CPU time", took);
}

/* --- the quarantine ------------------------------------------------------------------------------------- */

/* Overrun until the policy is quarantined, with a good pick after each. @return the number of overruns; 0
 * if `most` were not enough */
static int overrun(struct fixture *f, int most)
{
    for (int n = 1; n <= most; n++) {
        struct policy_conn conn = fixture_conn(1);
        struct policy_choice choice;
        conn.port = 666;
        policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
        if (policy_info(f->policy).quarantined)
            return n;
        assert_false(fixture_pick(f).by_default);
    }
    return 0;
}

static void load_with_a_small_budget(struct fixture *f)
{
    struct policy_options o = fixture_options(f);

    o.budget_s = 0.005;
    fixture_write(f, "p.lua", GOOD, sizeof GOOD - 1);
    assert_int_equal(policy_new(&f->policy, &o, f->err), 0);
}

/* On a busy virtual machine, some overruns count as the machine's fault. */
static void many_overruns_quarantine_whatever_succeeds_between(void **state)
{
    struct fixture *f = *state;

    load_with_a_small_budget(f);
    assert_in_range(overrun(f, 99), 20, 99);
    assert_int_equal(f->policy->overruns, 20);
    assert_int_equal(fixture_log_count(f, "20 times within 60 s a call took longer than its budget"), 1);
}

static void overruns_of_long_ago_do_not_count(void **state)
{
    struct fixture *f = *state;

    load_with_a_small_budget(f);
    assert_int_equal(overrun(f, 15), 0);
    f->policy->overruns_from -= 61;
    assert_int_equal(overrun(f, 15), 0);
    assert_in_range(overrun(f, 99), 5, 99);
}

static void overruns_of_the_one_before_do_not_count(void **state)
{
    struct fixture *f = *state;

    load_with_a_small_budget(f);
    assert_int_equal(overrun(f, 15), 0);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_int_equal(overrun(f, 15), 0);
}

static int comes_back_late(lua_State *L)
{
    for (double began = cpu_now_s(); cpu_now_s() - began < 0.1;)
        astray_sink++;
    lua_pushinteger(L, FRAME_NO_OPINION);
    lua_pushliteral(L, "late");
    return 2;
}

static void a_late_success_counts_as_an_overrun(void **state)
{
    struct fixture *f = *state;

    FIXTURE_LOAD(f, GOOD);
    go_astray(f, comes_back_late);
    int n = 0;
    for (; n < 100 && !policy_info(f->policy).quarantined; n++)
        assert_string_equal(fixture_pick(f).reason, "default: no opinion");
    assert_in_range(n, 20, 99);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(each_way_is_left_and_the_next_vm_is_whole),
        T(a_panic_costs_the_vm_alone),
        T(no_result_is_converted_outside_of_a_call),
        T(a_table_of_colliding_keys_is_left),
        T(a_call_after_others_is_left_sooner),
        T(what_holds_a_call_is_not_left),
        T(another_fault_goes_to_its_own_handler),
        T(a_child_leaves_its_call_too),
        T(memory_is_refused_to_compiled_code_too),
        T(an_export_that_is_left_costs_the_old_policy),
        T(other_vms_live_on),
        T(late_ticks_stop_a_call_in_time),
        T(many_overruns_quarantine_whatever_succeeds_between),
        T(overruns_of_long_ago_do_not_count),
        T(overruns_of_the_one_before_do_not_count),
        T(a_late_success_counts_as_an_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
