/* A policy that is stopped repeatedly, in every way that it can misbehave, with good picks in between.
 * soak_kills [KILLS] Each bad call must be stopped, each good pick be right, and nothing else count as a
 * failure. Neither the Lua heap nor the process may grow after each way was used once. */
#include "soak/soak.h"

#include "base/clock.h"
#include "policy/policy_internal.h"

#include <math.h>
#include <string.h>

enum { GOOD = 443, WAYS = 16, GOOD_BETWEEN = 5, GROWTH_MAX_KIB = 4096, HOARD_EVERY = 97 };
/* Short, so that ten thousand stops take minutes. */
static const double BUDGET_S = 0.005;

/* conn.port selects the way to misbehave; `closed` and a timer use the one that pick stored. */
static const char POLICY[] =
    "local n, t, s = 0, {}, ''\n"
    "local function deep(x) return 1 + deep(x) end\n"
    "local function tail(x) return tail(x + 1) end\n"
    "local ways = {\n"
    "function() while true do end end,\n"
    "function() while true do n = n + 1 end end,\n"
    "function() while true do t[n % 8] = n n = n + 1 end end,\n"
    "function() while true do pcall(function() n = n + 1 end) end end,\n"
    "function() while true do pcall(function() while true do n = n + 1 end end) end end,\n"
    "function() while true do local c = coroutine.wrap(function() coroutine.yield() end) c() c() end end,\n"
    "function() coroutine.wrap(function() while true do n = n + 1 end end)() end,\n"
    "function() return tail(1) end,\n"
    "function() while true do pcall(deep, 1) end end,\n"
    "function() while true do s = s .. 'x' if #s > 1000 then s = '' end end end,\n"
    "function() t.a = 1 while true do for k, v in pairs(t) do n = n + v end end end,\n"
    "function() for i = 1, math.huge do n = n + i end end,\n"
    "function() while true do s = ('x'):rep(1e4 + n % 100) n = n + 1 end end,\n"
    "function() while true do table.sort({ 3, 1, 2 }, function(a, b) n = n + 1 return a > b end) end end,\n"
    "function() while true do (('x'):rep(100)):gsub('.', function() n = n + 1 end) end end,\n"
    "function() ::again:: goto again end,\n"
    "}\n"
    "local function hoard() local h = {} while true do h[#h + 1] = { #h } end end\n"
    "return { name = 'astray', new = function(ctx)\n"
    "ctx.every(0.5, function() end)\n"
    "return { pick = function(conn, uplinks)\n"
    "n, s = 0, '' for k in pairs(t) do t[k] = nil end\n"
    "if conn.port == 443 then return uplinks[#uplinks], 'well' end\n"
    "if conn.port == 100 then hoard() end\n"
    "if conn.port == 101 then ctx.after(0, ways[conn.id % #ways + 1]) return uplinks[#uplinks], 'well' end\n"
    "ways[conn.port]() end,\n"
    "closed = function(conn) if conn.port ~= 443 then ways[conn.port]() end end } end }\n";

struct soak {
    struct soak_uplinks room;
    struct policy *policy;
    double now;
    uint64_t id, expected_errors;
};

static double soak_now(void *arg)
{
    return ((struct soak *)arg)->now;
}

static void die(const char *what, uint64_t id, const char *more)
{
    (void)printf("soak_kills: connection %llu: %s%s%s\n", (unsigned long long)id, what, *more ? ": " : "",
                 more);
    exit(1);
}

static void pick(struct soak *s, uint16_t port, bool astray)
{
    const struct policy_conn conn = soak_conn(++s->id, port);
    struct policy_choice choice;

    policy_pick(s->policy, &conn, s->room.set.items, s->room.set.n, &choice);
    s->expected_errors += astray;
    if (choice.by_default != astray)
        die(astray ? "was not stopped" : "a good pick failed", conn.id, choice.reason);
    if (!astray && choice.order[0] != s->room.set.items[s->room.set.n - 1])
        die("a good pick went wrong", conn.id, choice.order[0]->name);
}

static void go_astray(struct soak *s, size_t i)
{
    static const struct policy_stats stats = {.reason = "closed", .first_byte_s = -1};
    uint16_t way = (uint16_t)(i % WAYS + 1);

    s->policy->overruns = 0; /* otherwise it would be quarantined after 20 within a minute */

    if (i % HOARD_EVERY == HOARD_EVERY - 1) {
        pick(s, 100, true);
    } else if (i % 3 == 0) {
        pick(s, way, true);
    } else if (i % 3 == 1) {
        const struct policy_conn conn = soak_conn(++s->id, way);
        policy_closed(s->policy, &conn, s->room.set.items[0], &stats);
        s->expected_errors++;
    } else {
        pick(s, 101, false);
        s->now += 1;
        policy_run_timers(s->policy);
        s->expected_errors++;
    }
    for (int k = 0; k < GOOD_BETWEEN; k++) {
        const struct policy_conn conn = soak_conn(++s->id, GOOD);
        pick(s, GOOD, false);
        policy_closed(s->policy, &conn, s->room.set.items[0], &stats);
    }
    struct policy_info info = policy_info(s->policy);
    if (info.errors != s->expected_errors || info.quarantined)
        die("failures counted wrongly", s->id, info.quarantined ? "quarantined" : "");
}

static void load(struct soak *s)
{
    char path[] = "/tmp/steerway-soak-XXXXXX", err[POLICY_ERROR_MAX];
    struct policy_options o = soak_options(&s->room, path, BUDGET_S);

    o.memory_max = 8 << 20;
    o.env = (struct policy_env){.now = soak_now, .arg = s};
    soak_write(mkstemp(path), POLICY, sizeof POLICY - 1);
    if (policy_new(&s->policy, &o, err) < 0)
        die("the policy does not load", 0, err);
    (void)unlink(path);
}

int main(int argc, char **argv)
{
    size_t kills = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000, warm = kills / 5;
    struct soak s = {.now = 1};
    long before = 0;

    soak_uplinks_init(&s.room);
    load(&s);
    soak_log_nothing();
    double began = clock_now_s();
    for (size_t i = 0; i < kills; i++) {
        if (i == warm)
            before = soak_resident_kib();
        go_astray(&s, i);
    }
    long grown = soak_resident_kib() - before;
    (void)printf("%zu stops and %zu good picks in %.0f s; the process grew by %ld KiB since the first fifth, "
                 "heap %zu KiB\n",
                 kills, kills * GOOD_BETWEEN, clock_now_s() - began, grown,
                 policy_info(s.policy).memory / 1024);
    if (grown > GROWTH_MAX_KIB)
        die("the process grows", s.id, "");
    policy_free(s.policy);
    return 0;
}
