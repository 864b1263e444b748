/* A policy that never ends, in many ways, is stopped in time and does no harm afterwards. */
#include "policy/fixture.h"

#include "base/clock.h"

#include <time.h>

static double cpu_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* pick misbehaves only for port 666, so that the trial pick at load passes. The loop is on line 4. */
#define LOOP_IN_PICK(body)                                                                                   \
    "return { name = 'p', new = function(ctx) return { pick = function(conn, uplinks)\n"                     \
    "if conn.port ~= 666 then return uplinks[#uplinks], 'well' end\n"                                        \
    "local n, t, s = 0, {}, ''\n" body "\n"                                                                  \
    "end } end }\n"

struct loop {
    const char *name, *pick, *in_new;
};

#define LOOP(name, body)                                                                                     \
    {                                                                                                        \
        name, LOOP_IN_PICK(body),                                                                            \
            "return { name = 'p', new = function(ctx)\n\nlocal n, t, s = 0, {}, ''\ndo " body " end"         \
            "\nreturn {} end }\n"                                                                            \
    }

static const struct loop loops[] = {
    LOOP("empty", "while true do end"),
    LOOP("repeat", "repeat until false"),
    LOOP("arithmetic", "while true do n = n + 1 end"),
    LOOP("goto", "::again:: goto again"),
    LOOP("table", "while true do t[n % 8] = n; n = n + 1 end"),
    LOOP("for", "for i = 1, math.huge do n = n + i end"),
    LOOP("pairs", "t.a = 1; while true do for k, v in pairs(t) do n = n + v end end"),
    LOOP("pcall", "while true do pcall(function() n = n + 1 end) end"),
    LOOP("pcall around", "while true do pcall(function() while true do n = n + 1 end end) end"),
    LOOP("nested pcall",
         "local function f() while true do pcall(f) end end while true do pcall(pcall, pcall, f) end"),
    LOOP("xpcall handler", "while true do xpcall(error, function() while true do n = n + 1 end end) end"),
    LOOP("error handler",
         "while true do xpcall(function() while true do end end, function() while true do end end) end"),
    LOOP("coroutine",
         "while true do local c = coroutine.wrap(function() coroutine.yield() end); c() c() end"),
    LOOP("in coroutine",
         "while true do coroutine.resume(coroutine.create(function() while true do n = n + 1 end end)) end"),
    LOOP("tail call", "local function f(x) return f(x + 1) end return f(1)"),
    LOOP("deep recursion", "local function f(x) return 1 + f(x) end while true do pcall(f, 1) end"),
    LOOP("string", "while true do s = s .. 'x'; if #s > 1000 then s = '' end end"),
    LOOP("string.rep", "while true do s = ('x'):rep(1e5 + n); n = (n + 1) % 100 end"),
    LOOP("sort", "for i = 1, 50 do t[i] = i end while true do table.sort(t, function(a, b) n = n + 1; return "
                 "a > b end) end"),
    LOOP("gsub", "while true do (('x'):rep(500)):gsub('.', function(c) n = n + 1 end) end"),
    LOOP("metamethod",
         "setmetatable(t, { __index = function(_, k) while true do n = n + 1 end end }); return t.x"),
    LOOP("tostring of error", "error(setmetatable({}, { __tostring = function() while true do end end }))"),
};

static struct policy_choice pick_port(struct fixture *f, uint16_t port)
{
    struct policy_conn conn = fixture_conn(1);
    struct policy_choice choice;
    conn.port = port;
    policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
    return choice;
}

/* 50 ms of budget, a tick of at most 10 ms on slow kernels, and the time to leave 10,000 nested pcalls,
 * each with its own error, under a sanitizer. */
static const double STOPPED_WITHIN_S = 0.4;

static void stops_each_loop_in_pick(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(loops); i++) {
        FIXTURE_LOAD(f, loops[i].pick);
        for (int round = 0; round < 3; round++) {
            double start = cpu_now_s();
            struct policy_choice bad = pick_port(f, 666);
            double took = cpu_now_s() - start;
            if (took > STOPPED_WITHIN_S)
                FIXTURE_FAIL(f, "%s: took %.3f s", loops[i].name, took);
            if (!bad.by_default || strcmp(bad.reason, "default: policy error") != 0)
                FIXTURE_FAIL(f, "%s: %s", loops[i].name, bad.reason);
            /* The VM still works, and no trace of the stop remains. */
            for (int again = 0; again < 200; again++) {
                struct policy_choice good = pick_port(f, 443);
                if (good.by_default || good.order[0] != f->set.items[f->set.n - 1])
                    FIXTURE_FAIL(f, "%s: a good pick fails afterwards: %s", loops[i].name, good.reason);
            }
        }
        assert_int_equal(policy_info(f->policy).errors, 3);
    }
    /* All except the error with a __tostring, which ends by itself. */
    size_t named = fixture_log_count(f, "p.lua:4: stopped: took longer than 50 ms");
    if (named != 3 * (ARRAY_LEN(loops) - 1))
        FIXTURE_FAIL(f, "the log names the line of %zu loops", named);
}

static void stops_each_loop_in_new(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i + 1 < ARRAY_LEN(loops); i++) {
        double start = cpu_now_s();
        assert_true(fixture_load(f, loops[i].in_new) < 0);
        if (cpu_now_s() - start > STOPPED_WITHIN_S + 0.4) /* includes making the VM */
            FIXTURE_FAIL(f, "%s: took %.3f s", loops[i].name, cpu_now_s() - start);
        if (!strstr(f->err, "p.lua:4: stopped"))
            FIXTURE_FAIL(f, "%s: %s", loops[i].name, f->err);
    }
}

static void all_are_refused_or_end_soon(struct fixture *f, const char *const *policies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        FIXTURE_LOAD(f, policies[i]);
        double start = cpu_now_s();
        struct policy_choice bad = pick_port(f, 666);
        if (cpu_now_s() - start > STOPPED_WITHIN_S || !bad.by_default)
            FIXTURE_FAIL(f, "builtin %zu: took %.3f s, %s", i, cpu_now_s() - start, bad.reason);
        assert_int_equal(policy_info(f->policy).errors, 1);
        assert_false(pick_port(f, 443).by_default);
    }
}

/* C calls that no hook can interrupt: each would take minutes, but is refused or ends soon. */
static const char *const long_builtins[] = {
    LOOP_IN_PICK("table.insert(t, -2^31, 1)"),
    LOOP_IN_PICK("table.insert(t, 2^31 - 1, 1)"),
    LOOP_IN_PICK("return (('a'):rep(30)):find(('a?'):rep(30) .. ('a'):rep(30) .. 'b')"),
    LOOP_IN_PICK("return (('x'):rep(1000)):find('x-x-x-y')"),
    LOOP_IN_PICK("return (('('):rep(1e6)):find('%b()')"),
    LOOP_IN_PICK("return (('a'):rep(1e6)):find(('a'):rep(1e5) .. 'b', 1, true)"),
    LOOP_IN_PICK("return load(('x = 1 '):rep(2e6))"),
    LOOP_IN_PICK("while true do (('x'):rep(100)):find('x-x-x-y') end"),
    LOOP_IN_PICK("return (('a'):rep(641)):find('(a-)(a-)%1')"),
    LOOP_IN_PICK("return (('a'):rep(40000)):gsub('x*', ('%0'):rep(40000))"),
    LOOP_IN_PICK("s = ('x'):rep(8e6) for i = 1, 1000 do t[i] = s end return table.sort(t)"),
    LOOP_IN_PICK("for p = 0, 8 do for k = 0, 20 do t[(2 ^ p + 1) * 2 ^ k] = 1 end end table.insert(t, 1, 1)"),
    LOOP_IN_PICK("return assert(load('local a return ' .. ('a and '):rep(60000) .. 'a'))"),
    LOOP_IN_PICK("return assert(load('local a if a then ' .. ('elseif a then '):rep(60000) .. 'end'))"),
    LOOP_IN_PICK("return assert(load(('goto x '):rep(60000) .. '::x::'))"),
    LOOP_IN_PICK("return os.date(('%c'):rep(5e5))"),
    LOOP_IN_PICK("s = ('1'):rep(2^20) while true do pcall(load, s) end"),
    LOOP_IN_PICK("s = 'local a return ' .. ('a and '):rep(1000) .. 'a' while true do load(s) end"),
    LOOP_IN_PICK("for i = 1, 3e5 do t[i] = i / 7 end while true do s = table.concat(t) end"),
    LOOP_IN_PICK(
        "for i = 1, 3e5 do t[i] = i * 7919 % 300007 end while true do table.sort(t) t[1] = -t[1] end"),
};

static void long_builtins_are_refused_or_end_soon(void **state)
{
    all_are_refused_or_end_soon(*state, long_builtins, ARRAY_LEN(long_builtins));
}

/* Builtins that call Lua functions that call builtins: C's stack is limited, and leaving a deep one takes
 * time. */
static const char *const deep_builtins[] = {
    LOOP_IN_PICK("local function f() return (('a'):gsub('a', f)) end f()"),
    LOOP_IN_PICK("setmetatable(t, { __index = function() return (('a'):gsub('a', t)) end }) return "
                 "(('a'):gsub('a', t))"),
    LOOP_IN_PICK(
        "setmetatable(t, { __tostring = function() return ('%s'):format(t) end }) return tostring(t)"),
    LOOP_IN_PICK(
        "setmetatable(t, { __tostring = function() return ('%s%s'):format(('y'):rep(1000), t) end }) "
        "while true do pcall(string.format, '%s', t) end"),
    LOOP_IN_PICK("local function f() table.sort({ 1, 2 }, function(a, b) f() return a < b end) end f()"),
    LOOP_IN_PICK("local function f() return coroutine.wrap(f)() end f()"),
    LOOP_IN_PICK("local function f() return coroutine.wrap(f)() end while true do pcall(f) end"),
    LOOP_IN_PICK(
        "local function f(k) local c = coroutine.create(function() while true do pcall(f, k + 1) end end) "
        "coroutine.resume(c) f(k) end f(0)"),
    LOOP_IN_PICK("local function f() local c = coroutine.create(f) local ok, e = coroutine.resume(c) "
                 "if not ok then error(e, 0) end end f()"),
    /* Each is suspended in a pcall near the surface, and resumed by the one before. */
    LOOP_IN_PICK(
        "local function go(k) return (('x'):gsub('x', t[k])) end\n"
        "for k = 1, 3000 do t[k] = coroutine.wrap(function() pcall(coroutine.yield) return go(k + 1) end) "
        "t[k]() end go(1)"),
    LOOP_IN_PICK("for k = 1, 3000 do t[k] = coroutine.create(function() xpcall(coroutine.yield, print) "
                 "local ok, e = coroutine.resume(t[k + 1]) if not ok then error(e, 0) end end) "
                 "coroutine.resume(t[k]) end local ok, e = coroutine.resume(t[1]) error(e, 0)"),
    LOOP_IN_PICK(
        "for k = 1, 3000 do t[k] = coroutine.wrap(function() tostring(setmetatable({}, { __tostring = "
        "coroutine.yield })) return t[k + 1]() end) t[k]() end t[1]()"),
    LOOP_IN_PICK("local m = {} m.__index = function() return os.time(setmetatable({}, m)) end "
                 "return os.time(setmetatable({}, m))"),
    LOOP_IN_PICK("local m = {} m.__lt = function(a, b) table.sort({ a, b }) return true end "
                 "local x, y = setmetatable({}, m), setmetatable({}, m) table.sort({ x, y })"),
};

static void deep_builtins_are_refused_or_end_soon(void **state)
{
    all_are_refused_or_end_soon(*state, deep_builtins, ARRAY_LEN(deep_builtins));
}

static void stops_a_loop_at_the_top_of_the_file(void **state)
{
    struct fixture *f = *state;
    assert_true(fixture_load(f, "local n = 0\nwhile true do n = n + 1 end") < 0);
    assert_non_null(strstr(f->err, "p.lua:2: stopped"));
}

static void names_the_policys_line_when_the_library_loops(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, "local least = require('steerway.balance').least_of(function(u)\n"
                    "while u.weight > 0 and _G.stuck do end return 1 end)\n" PICK(
                        "", "_G.stuck = conn.port == 666\nreturn least(conn, uplinks)"));
    assert_true(pick_port(f, 666).by_default);
    assert_int_equal(fixture_log_count(f, "p.lua:2: stopped"), 1);
}

/* Good calls run between stops, compiled, with other VMs that take the profiler away. */
static void other_vms_do_not_disturb(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;
    FIXTURE_LOAD(f, LOOP_IN_PICK("while true do n = n + 1 end"));
    other.policy = NULL;
    assert_int_equal(fixture_load(&other, LOOP_IN_PICK("while true do n = n + 1 end")), 0);
    for (int round = 0; round < 4; round++) {
        assert_true(pick_port(f, 666).by_default);
        assert_false(pick_port(&other, 443).by_default);
        assert_true(pick_port(&other, 666).by_default);
        assert_false(pick_port(f, 443).by_default);
    }
    policy_free(other.policy);
    assert_true(pick_port(f, 666).by_default);
    assert_false(pick_port(f, 443).by_default);
}

static void obeys_a_budget_of_the_options(void **state)
{
    struct fixture *f = *state;
    const char *text = LOOP_IN_PICK("while true do n = n + 1 end");
    struct policy_options o = fixture_options(f);
    o.budget_s = 0.2;
    fixture_write(f, "p.lua", text, strlen(text));
    assert_int_equal(policy_new(&f->policy, &o, f->err), 0);
    double start = cpu_now_s();
    assert_true(pick_port(f, 666).by_default);
    assert_true(cpu_now_s() - start >= 0.18);
    assert_int_equal(fixture_log_count(f, "longer than 200 ms"), 1);
}

static void slow_but_within_budget_is_let_be(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("local clock = os.clock",
                         "local stop = clock() + 0.025; while clock() < stop do end return uplinks[1]"));
    for (int i = 0; i < 8; i++)
        assert_false(fixture_pick(f).by_default);
    assert_int_equal(policy_info(f->policy).errors, 0);
}

static const char *const hoards[] = {
    LOOP_IN_PICK("while true do n = n + 1; t[n] = { n } end"),
    LOOP_IN_PICK("while true do n = n + 1; t[n] = ('x'):rep(1e5) .. n end"),
    LOOP_IN_PICK("while true do s = s .. ('x'):rep(1e6) end"),
    LOOP_IN_PICK("t[1] = ('x'):rep(1e8) return uplinks[1]"), /* too large at once, beyond the point where a
                                                                call is stopped */
    LOOP_IN_PICK("while true do pcall(function() for i = 1, 1e6 do t[#t + 1] = {} end end) end"),
    LOOP_IN_PICK("while true do n = n + 1; t[n] = coroutine.create(function() end) end"),
};

static void stops_hoarders_of_memory(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(hoards); i++) {
        struct policy_options o = fixture_options(f);
        o.memory_max = 8 << 20;
        o.budget_s = 5;
        fixture_write(f, "p.lua", hoards[i], strlen(hoards[i]));
        policy_free(f->policy);
        f->policy = NULL;
        assert_int_equal(policy_new(&f->policy, &o, f->err), 0);
        for (int round = 0; round < 5; round++) {
            struct policy_choice bad = pick_port(f, 666);
            if (!bad.by_default)
                FIXTURE_FAIL(f, "hoard %zu was not stopped", i);
            struct policy_choice good = pick_port(f, 443);
            if (good.by_default)
                FIXTURE_FAIL(f, "hoard %zu: a good pick fails afterwards: %s", i, good.reason);
            assert_true(policy_info(f->policy).memory <= o.memory_max);
        }
    }
    assert_true(fixture_log_count(f, "not enough memory") >= ARRAY_LEN(hoards));
    assert_int_equal(fixture_log_count(f, "took longer"), 0);
}

/* Calls that take time in proportion to a text, and cannot be stopped, are bounded by the text's size.
 * LuaJIT may crash when compiled code is refused memory, so the VM is thrown away instead. */
static void no_text_is_larger_than_8_mib(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("local s = ('x'):rep(2^21 - 1)",
                         "if conn.id == 0 then return uplinks[1] end\n"
                         "local n = #(s .. s .. s .. s)\n"
                         "if n == 2^23 - 4 then n = #(s .. s .. s .. s .. s) end\n"
                         "return uplinks[1]"));
    assert_true(fixture_pick(f).by_default);
    assert_true(policy_info(f->policy).quarantined);
    if (fixture_log_count(f, "abandoned: not enough memory: a text has at most 8 MiB, a table 12 MiB") == 0)
        FIXTURE_FAIL(f, "the log does not say why");
    assert_true(fixture_pick(f).by_default);
}

static void no_table_has_more_than_half_a_million_keys(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("local t, n = {}, 0", "if conn.id == 0 then return uplinks[1] end\n"
                                               "for _ = 1, 2^14 do n = n + 1 t[n + 0.5] = n end\n"
                                               "return uplinks[1]"));
    for (size_t keys = 0; keys < 1u << 19; keys += 1u << 14)
        if (fixture_pick(f).by_default)
            FIXTURE_FAIL(f, "%zu keys are too many", keys);
    assert_true(fixture_pick(f).by_default);
    assert_true(policy_info(f->policy).quarantined);
    assert_int_equal(fixture_log_count(f, "abandoned: not enough memory: a text has at most 8 MiB"), 1);
}

/* A million objects are collected in parts; at once it would take 0.15 s. */
static void collecting_holds_nothing_up(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f, PICK("local keep, n = {}, 0", "if conn.id == 0 then return uplinks[1] end\n"
                                                  "for i = 1, 50000 do n = n + 1 keep[n] = 'k' .. n end "
                                                  "return uplinks[1]"));
    double longest = 0;
    bool failed = false;
    for (int i = 0; i < 40; i++) {
        double start = cpu_now_s();
        failed |= fixture_pick(f).by_default;
        longest = fmax(longest, cpu_now_s() - start);
    }
    assert_true(failed);
    if (longest > 0.15)
        FIXTURE_FAIL(f, "a call took %.3f s", longest);
}

static void a_heap_too_small_is_an_error(void **state)
{
    struct fixture *f = *state;
    const char *text = PICK("", "return uplinks[1]");
    fixture_write(f, "p.lua", text, strlen(text));
    size_t loaded = 0, refused = 0;
    /* At each size another allocation fails first; none may crash or leak. */
    for (size_t size = 1 << 10; size <= 1 << 20; size += 7 << 10) {
        struct policy_options o = fixture_options(f);
        struct policy *p = NULL;
        o.memory_max = size;
        if (policy_new(&p, &o, f->err) == 0) {
            policy_free(p);
            loaded++;
        } else {
            assert_non_null(strstr(f->err, "not enough memory"));
            refused++;
        }
    }
    assert_true(loaded > 10 && refused > 10);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(stops_each_loop_in_pick),
        T(stops_each_loop_in_new),
        T(long_builtins_are_refused_or_end_soon),
        T(deep_builtins_are_refused_or_end_soon),
        T(stops_a_loop_at_the_top_of_the_file),
        T(names_the_policys_line_when_the_library_loops),
        T(other_vms_do_not_disturb),
        T(obeys_a_budget_of_the_options),
        T(slow_but_within_budget_is_let_be),
        T(stops_hoarders_of_memory),
        T(no_text_is_larger_than_8_mib),
        T(no_table_has_more_than_half_a_million_keys),
        T(collecting_holds_nothing_up),
        T(a_heap_too_small_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
