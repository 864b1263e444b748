/* The sandbox holds, and Lua reads the structs that C writes. */
#include "policy/fixture.h"

#include "cage/luajit_edge.h"
#include "policy/vm.h"

#include <lauxlib.h>

struct layout {
    const char *name;
    size_t value;
};

#define SIZE(name, type)                                                                                     \
    {                                                                                                        \
        name, sizeof(struct type)                                                                            \
    }
#define FIELD(prefix, type, field)                                                                           \
    {                                                                                                        \
        prefix "." #field, offsetof(struct type, field)                                                      \
    }
#define U(field) FIELD("uplink", uplink_view, field), FIELD("uplink_rw", uplink_view, field)
#define C(field) FIELD("conn", frame_conn, field)
#define F(field) FIELD("frame", frame, field)

static const struct layout layouts[] = {
    SIZE("uplink", uplink_view),
    SIZE("uplink_rw", uplink_view),
    SIZE("conn", frame_conn),
    SIZE("stats", frame_stats),
    SIZE("frame", frame),
    U(weight),
    U(tier),
    U(active),
    U(total),
    U(failures),
    U(races_lost),
    U(fail_rate),
    U(tx_bytes),
    U(rx_bytes),
    U(tx_rate),
    U(rx_rate),
    U(tx_capacity),
    U(rx_capacity),
    U(busy),
    U(connect_time),
    U(rtt),
    U(quota_left),
    U(id),
    U(up),
    U(ipv4),
    U(ipv6),
    C(id),
    C(now),
    C(port),
    C(attempt),
    C(is_domain),
    C(is_ipv6),
    C(race),
    C(bind),
    FIELD("stats", frame_stats, tx),
    FIELD("stats", frame_stats, rx),
    FIELD("stats", frame_stats, duration),
    F(conn),
    F(stats),
    F(calls),
    F(now),
    F(wall),
    F(next_timer),
    F(connect_s),
    F(first_byte_s),
    F(timeout_s),
    F(hedge_s),
    F(host),
    F(client),
    F(user),
    F(listener),
    F(proto),
    F(last_error),
    F(address),
    F(word),
    F(uplink),
    F(n_tags),
    F(n),
    F(ids),
    F(offers),
    F(per),
    F(race_any),
    F(resolve),
    F(live),
};

static int compare_layout(lua_State *L)
{
    size_t known = 0;
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "steerway.host.types");
    lua_getfield(L, -1, "layout");
    lua_call(L, 0, 1);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        known++;
    if (known != ARRAY_LEN(layouts))
        return luaL_error(L, "Lua knows %d sizes and fields, C %d", (int)known, (int)ARRAY_LEN(layouts));
    for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
        lua_getfield(L, -1, layouts[i].name);
        if (!lua_isnumber(L, -1) || (size_t)lua_tointeger(L, -1) != layouts[i].value)
            return luaL_error(L, "%s: %d in C", layouts[i].name, (int)layouts[i].value);
        lua_pop(L, 1);
    }
    return 0;
}

static void lua_and_c_agree_on_the_structs(void **state)
{
    struct fixture *f = *state;
    struct frame frame = {.n = 0};
    struct vm_options o = {.lua_dir = STEERWAY_SOURCE_DIR "/lua", .frame = &frame};
    struct vm *vm;
    assert_int_equal(vm_new(&vm, &o, f->err), 0);
    if (vm_protected(vm, compare_layout, NULL, 1, f->err) != 0)
        FIXTURE_FAIL(f, "%s", f->err);
    vm_free(vm);
}

static int count_globals(lua_State *L)
{
    int *n = lua_touserdata(L, 1);
    for (lua_pushnil(L); lua_next(L, LUA_GLOBALSINDEX); lua_pop(L, 1))
        ++*n;
    return 0;
}

static void whoever_slips_through_finds_no_globals(void **state)
{
    struct fixture *f = *state;
    struct frame frame = {.n = 0};
    struct vm_options o = {.lua_dir = STEERWAY_SOURCE_DIR "/lua", .frame = &frame};
    struct vm *vm;
    int n = 0;
    assert_int_equal(vm_new(&vm, &o, f->err), 0);
    assert_int_equal(vm_protected(vm, count_globals, &n, 1, f->err), 0);
    assert_int_equal(n, 0);
    vm_free(vm);
}

/* Ways out of the sandbox: each expression must be nil or raise an error. */
static const char *const exits[] = {
    "ffi",
    "io",
    "debug",
    "package",
    "jit",
    "dofile",
    "loadfile",
    "getfenv",
    "setfenv",
    "newproxy",
    "module",
    "gcinfo",
    "os.execute",
    "os.exit",
    "os.remove",
    "os.rename",
    "os.tmpname",
    "os.getenv",
    "os.setlocale",
    "string.dump",
    "('').dump",
    "('x').dump(print)",
    "math.randomseed",
    "collectgarbage('collect')",
    "collectgarbage('stop')",
    "require 'ffi'",
    "require 'io'",
    "require 'os'",
    "require 'jit'",
    "require 'jit.util'",
    "require 'debug'",
    "require 'table.clear'",
    "require 'string.buffer'",
    "require 'package'",
    "require '_G'",
    "require 'steerway.host'",
    "require 'steerway.host.types'",
    "require 'steerway.host.sandbox'",
    "require '../p'",
    "require '/etc/passwd'",
    "require 'steerway..host'",
    "require '.p'",
    "require 'a/b'",
    "require ''",
    "require()",
    "load('\\27LJ\\2\\0\\0')",
    "loadstring('\\27LJ\\2\\0\\0')",
    "load(function() return nil end, 'x', 'b', 5)",
    "load('return 1', 'x', 't', 5)",
    "load('return 1', 'x', 't', false)",
    "load('return ffi')()",
    "load('return io', 'x', 'b')()",
    "load('return debug', 'x', 't', nil)()",
    "loadstring('return package')()",
    "coroutine.wrap(function() return load('return io')() end)()",
    "coroutine.wrap(load)('return io')()",
    "getmetatable('')",
    "getmetatable(u)",
    "getmetatable(conn)",
    "getmetatable(uplinks)",
    "getmetatable(1LL)",
    "setmetatable('', {})",
    "setmetatable(u, {})",
    "setmetatable(uplinks, {})",
    "setmetatable(ctx, {})",
    "setmetatable(u.tags, {})",
    "rawset(u, 'weight', 3)",
    "rawget(u, 'weight')",
    "next(u)",
    "pairs(u)()",
    "ipairs(u)()",
    "u[1]",
    "u[0]",
    "u[-1]",
    "u[1LL]",
    "u + 1",
    "u - 1",
    "1 + u",
    "u - u",
    "u + 1LL",
    "-u",
    "#u",
    "u()",
    "u .. 'x'",
    "u < u",
    "u <= u",
    "tonumber(u)",
    "bit.band(u, 1)",
    "conn[0]",
    "conn + 1",
    "conn.host + 1",
    "conn()",
    "u.view",
    "u.__index",
    "conn.frame",
    "conn.word",
    "conn.client_ptr",
    "math.floor(u)",
    "string.format('%d', u)",
    "string.format('%p', u) == nil",
    "('x'):rep(5000):find('x-x-x-y')",
    "('x'):rep(300):find('.-.-.-.-.-.-y')",
    "table.concat(u)",
    "unpack(u)",
    "select(u)",
    "string.byte(u)",
    "ctx.timers",
    "ctx.every(5)",
    "ctx.metric",
    "getmetatable(ctx)",
    "ctx.counter('c').at",
    "os.time(5)",
    "ctx.params.x",
    "_G.io",
    "_G._G.ffi",
    "_ENV",
};

static const char ESCAPE_HEAD[] = "return { name = 'p', new = function(ctx)\n"
                                  "return { pick = function(conn, uplinks)\n"
                                  "local u = uplinks[1]\n"
                                  "local function try() return ";
static const char ESCAPE_TAIL[] =
    " end\n"
    "local ok, got = pcall(try)\n"
    "if ok and got ~= nil and got ~= false then error('reached: ' .. type(got)) end\n"
    "return u\n"
    "end } end }\n";

static int try_exit(struct fixture *f, const char *exit)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "%s%s%s", ESCAPE_HEAD, exit, ESCAPE_TAIL);
    return fixture_load(f, text);
}

static void no_way_leads_out(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_exit(f, "u.name"), -EINVAL); /* the trap itself works */
    assert_non_null(strstr(f->err, "reached: string"));
    for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
        if (try_exit(f, exits[i]) != 0)
            FIXTURE_FAIL(f, "%s: %s", exits[i], f->err);
        if (fixture_pick(f).by_default)
            FIXTURE_FAIL(f, "%s: the VM does not work afterwards", exits[i]);
    }
}

struct attempt {
    const char *body, *expected;
};

/* Each raises an error that names the reason. */
static const struct attempt attempts[] = {
    {"u.weight = 3",
     "the fields of conn, uplink and stats are read-only; keep what is yours in a local of new"},
    {"u.id = 3", "are read-only"},
    {"u.up = true", "are read-only"},
    {"u.name = 'x'", "uplink.name cannot be set"},
    {"u.color = 'x'", "uplink.color cannot be set"},
    {"u[1] = 2", "uplink.1 cannot be set"},
    {"u.tags.x = true", "tags.x cannot be set"},
    {"conn.port = 1", "are read-only"},
    {"conn.host = 'x'", "conn.host cannot be set"},
    {"return u.wieght", "uplink has no field 'wieght'; did you mean 'weight'?"},
    {"return u.zebra", "uplink has no field 'zebra'"},
    {"return conn.hots", "conn has no field 'hots'; did you mean 'host'?"},
    {"return conn.lastError", "did you mean 'last_error'?"},
    {"return conn.is_domian", "did you mean 'is_domain'?"},
    {"return ctx.prams", "ctx has no field 'prams'; did you mean 'params'?"},
    {"return ctx.params.x", "ctx.params has no field 'x'"},
    {"ctx.hash(1)", "expected a string"},
    {"require 'nothing_here'", "nothing_here.lua: No such file"},
    {"io.open('x')",
     "(a nil value): io is not in the sandbox: a policy reads lists with ctx.domains { file = … }"},
    {"return debug.traceback()", "debug is not in the sandbox: ctx.log and print write to the log"},
    {"return package.path", "package is not in the sandbox: require finds files beside the policy"},
    {"dofile('x.lua')", "dofile is not in the sandbox: require \"name\" runs name.lua beside the policy"},
    {"setfenv(1, {})", "setfenv is not in the sandbox: load takes an environment"},
    {"return os.getenv('HOME')",
     "os.getenv is not in the sandbox: give the policy a parameter (params, --set)"},
    {"os.execute('true')", "os.execute is not in the sandbox: a policy starts no program"},
    {"math.randomseed(1)", "math.randomseed is not in the sandbox: ctx.random is seeded"},
    {"return table.unpack({ 1 })", "(a nil value): in Lua 5.1 it is the global unpack"},
    {"require 'socket'",
     "a policy can require steerway.balance, hours, quota, rules and sticky, and files beside itself"},
    {"require 'ffi'", "; ffi is not in the sandbox: a policy calls no C"},
    {"return balance.smooth()", "(a nil value): local balance = require \"steerway.balance\" loads it"},
    {"return require('steerway.balance').smoth()", "balance has no field 'smoth'; did you mean 'smooth'?"},
    {"return ioo.open('x')", "attempt to index global 'ioo' (a nil value) (in a pick on trial"},
};

static void what_is_not_there_raises_with_its_line(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        char text[1024];
        (void)snprintf(text, sizeof text,
                       "return { name = 'p', new = function(ctx) return { pick = function(conn, uplinks)\n"
                       "local u = uplinks[1]\n%s\nend } end }\n",
                       attempts[i].body);
        assert_true(fixture_load(f, text) < 0);
        if (!strstr(f->err, attempts[i].expected) || !strstr(f->err, "p.lua:3: "))
            FIXTURE_FAIL(f, "%s: %s", attempts[i].body, f->err);
    }
    assert_true(f->set.items[0]->view.weight == 7);
}

static void bytecode_is_refused(void **state)
{
    struct fixture *f = *state;
    /* The signature of string.dump's output; the rest does not matter. */
    static const char bytecode[] = "\x1bLJ\x02\x00 and so on";
    struct policy_options o = fixture_options(f);
    fixture_write(f, "p.lua", bytecode, sizeof bytecode);
    assert_int_equal(policy_new(&f->policy, &o, f->err), -EINVAL);
    assert_non_null(strstr(f->err, "/p.lua: expected Lua text, got bytecode"));
    fixture_write(f, "byte.lua", bytecode, sizeof bytecode);
    assert_true(fixture_load(f, "require 'byte'") < 0);
    assert_non_null(strstr(f->err, "/byte.lua: expected Lua text, got bytecode"));
}

static void requires_the_library_and_files_beside_it(void **state)
{
    struct fixture *f = *state;
    char folder[128];
    (void)snprintf(folder, sizeof folder, "%s/more", f->dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    const char *mine = "local m = { n = 0 } function m.choose(u) m.n = m.n + 1 return u[2] end return m";
    fixture_write(f, "mine.lua", mine, strlen(mine));
    fixture_write(f, "more/deep.lua", "return require('mine')", strlen("return require('mine')"));
    fixture_write(f, "ring.lua", "return require 'ring'", strlen("return require 'ring'"));
    FIXTURE_LOAD(f, "local mine, again, deep = require 'mine', require 'mine', require 'more.deep'\n"
                    "assert(mine == again and mine == deep)\n"
                    "assert(require('steerway.balance').smooth)\n" PICK("", "return mine.choose(uplinks)"));
    assert_ptr_equal(fixture_pick(f).order[0], f->set.items[1]);
    assert_true(fixture_load(f, "require 'ring'") < 0);
    assert_non_null(strstr(f->err, "module 'ring' requires itself"));
    fixture_write(f, "bad.lua", "\n\nx = = 1", 8);
    assert_true(fixture_load(f, "require 'bad'") < 0);
    assert_non_null(strstr(f->err, "bad.lua:3: "));
}

/* A policy's changes to its libraries affect only itself. */
static void tampering_harms_nobody(void **state)
{
    struct fixture *f = *state;
    FIXTURE_LOAD(f,
                 "for _, t in pairs { string, table, math, bit, os, coroutine } do for k in pairs(t) do t[k] "
                 "= nil end end\n"
                 "error, type, tostring, pairs, ipairs, setmetatable = nil\n" PICK(
                     "", "_G.x = (_G.x or 0) + 1; if conn.port == 1 then return 'x' end return uplinks[1]"));
    assert_false(fixture_pick(f).by_default);
    struct policy_conn conn = fixture_conn(1);
    struct policy_choice choice;
    conn.port = 1;
    policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
    assert_true(choice.by_default);
    assert_int_equal(fixture_log_count(f, "pick returned a string"), 1);
    FIXTURE_LOAD(f, PICK("", "return uplinks[1], string.format('%s', ('y'):rep(2))"));
    assert_string_equal(fixture_pick(f).reason, "yy");
}

/* Each would write out of bounds and end the process. */
static const char *const wrongly_compiled[] = {
    /* Many times, since the place of the code decides where LuaJIT begins to compile. */
    "local text = [[local s local function f(n) s = { nil, nil, nil, nil }\n"
    "for i = 1, 2 do if i ~= 1 then for k = -0, i do if k ~= 0 then s[k] = nil s = {} end end end end\n"
    "if n > 0 then f(n - 1) end end for i = 1, 20 do f(50) end]]\n"
    "for i = 1, 20 do load(('local x '):rep(i) .. text)() end\n",
    "for i = 1, 300 do local b = ('xxx'):byte(0x7fffffff, -0x7fffffff) end\n",
    "local function f(from, to) local s for i = 1, 100 do s = ('xxx'):sub(from, to) end return s end\n"
    "f(1, -2) f(0x7fffffff, -0x7fffffff)\n",
    "local t = {} local function f(...)\n"
    "for i = 1, 120 do local r, q = (2 ^ 63 <= ...), (select('12', ...)) t[i % 5] = r end end\n"
    "f(1, 'two', 3.5, nil, 5)\n",
};

static void no_policy_reaches_what_luajit_compiles_wrongly(void **state)
{
    struct fixture *f = *state;
    char text[1024];

    for (size_t i = 0; i < ARRAY_LEN(wrongly_compiled); i++) {
        (void)snprintf(text, sizeof text, PICK("", "%s return uplinks[2], 'well'"), wrongly_compiled[i]);
        FIXTURE_LOAD(f, text);
        assert_string_equal(fixture_pick(f).reason, "well");
    }
}

static void nothing_is_compiled_without_the_compiler(void **state)
{
    struct fixture *f = *state;
    struct policy_options o = fixture_options(f);

    FIXTURE_LOAD(f, PICK("local n = 0", "for i = 1, 1000 do n = n + i end return uplinks[2], 'well'"));
    assert_string_equal(fixture_pick(f).reason, "well");
    assert_true(luajit_edge_areas() > 0);
    policy_free(f->policy);
    assert_int_equal(luajit_edge_areas(), 0);
    o.no_jit = true;
    assert_int_equal(policy_new(&f->policy, &o, f->err), 0);
    assert_string_equal(fixture_pick(f).reason, "well");
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_string_equal(fixture_pick(f).reason, "well");
    assert_int_equal(luajit_edge_areas(), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(lua_and_c_agree_on_the_structs),
        T(no_way_leads_out),
        T(whoever_slips_through_finds_no_globals),
        T(what_is_not_there_raises_with_its_line),
        T(bytecode_is_refused),
        T(requires_the_library_and_files_beside_it),
        T(tampering_harms_nobody),
        T(no_policy_reaches_what_luajit_compiles_wrongly),
        T(nothing_is_compiled_without_the_compiler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
