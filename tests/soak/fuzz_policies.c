/* Random policies: calls of everything that a policy can reach, with random and extreme arguments.
 *   fuzz_policies [SECONDS [SEED]]
 * fuzz_policies.lua makes the text of each seed. No call may take more than 100 ms of CPU time, but for those
 * that the last wall ends (the VM is abandoned), and none may end the process. What is found is told by its
 * seed and the policy's text, and is counted. With 0 SECONDS the SEED alone is run.
 *
 * CPU time is told by two clocks. A virtual processor that the host takes away may come back with that time
 * on the thread's clock. The watchdog's timer ticks once then, where it ticks each 5 ms for what the policy
 * does. So a call is slow when both say so; what only the thread's clock says is a note.
 */
#include "base/clock.h"
#include "base/log.h"
#include "policy/policy_internal.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lauxlib.h>
#include <luajit.h>
#include <lualib.h>

enum { BATCH = 20, PICKS = 20, FINDINGS_MAX = 20 };
/* A load makes a VM and makes about seven calls, each with its own budget. */
static const double CALL_MAX_S = 0.1, LOAD_MAX_S = 0.5;

/* Shared with the child that runs the policies. */
struct counts {
    unsigned seed, calls, loaded, refused, reload_failures, abandoned, slow, away;
    double longest_s;
    char doing[32];
};

struct run {
    struct uplink_set set;
    struct uplink uplinks[3];
    struct policy *policy;
    struct counts *counts;
    double began_s, now;
    bool abandoned;
    char path[64];
};

static double run_now(void *arg)
{
    return ((struct run *)arg)->now;
}

static void begin(struct run *r, const char *what)
{
    (void)snprintf(r->counts->doing, sizeof r->counts->doing, "%s", what);
    r->began_s = clock_read_s(CLOCK_THREAD_CPUTIME_ID);
}

enum { TICK_MS = 5, TICKS_MISSED = 2 }; /* before the first one and behind the last */

/* The most CPU time that the timer has seen of the latest call into Lua, including garbage collection. */
static double seen_s(const struct run *r)
{
    const struct watchdog *w = &r->policy->script->vm->dog;
    return (double)(w->budget_ticks - w->patience + TICKS_MISSED) * TICK_MS * 1e-3;
}

/* A hook is one call into Lua; timers and loads are several. */
static bool is_one_call(const struct run *r, double max_s)
{
    return r->policy && max_s == CALL_MAX_S && strcmp(r->counts->doing, "timers") != 0 &&
           strcmp(r->counts->doing, "free") != 0;
}

static void end(struct run *r, double max_s)
{
    struct counts *t = r->counts;
    double took_s = clock_read_s(CLOCK_THREAD_CPUTIME_ID) - r->began_s;

    t->calls++;
    if (r->abandoned)
        return;
    if (r->policy && !r->policy->script->vm->L) { /* once: run_policy ends with that */
        t->abandoned++;
        r->abandoned = true;
        (void)printf("note: seed %u: %s was ended by the last wall after %.0f ms\n", t->seed, t->doing,
                     took_s * 1e3);
        return;
    }
    if (took_s > max_s && is_one_call(r, max_s) && seen_s(r) < max_s) {
        t->away++;
        (void)printf("note: seed %u: %s took %.0f ms by the thread's clock, of which the timer saw %.0f\n",
                     t->seed, t->doing, took_s * 1e3, seen_s(r) * 1e3);
        took_s = seen_s(r);
    }
    if (max_s == CALL_MAX_S && took_s > t->longest_s)
        t->longest_s = took_s;
    if (took_s > max_s) {
        t->slow++;
        (void)printf("finding: seed %u: %s took %.0f ms; its text: luajit tests/soak/fuzz_policies.lua %u\n",
                     t->seed, t->doing, took_s * 1e3, t->seed);
        (void)fflush(stdout);
    }
}

static void call(struct run *r, uint64_t id)
{
    static const struct policy_stats stats = {.reason = "closed", .first_byte_s = -1};
    const struct policy_conn conn = {.id = id,
                                     .host = id % 2 ? "www.example.org" : "192.0.2.9",
                                     .port = 443,
                                     .proto = POLICY_SOCKS5,
                                     .client = "192.0.2.7",
                                     .listener = "127.0.0.1:1080",
                                     .attempt = 1};
    struct policy_choice choice;

    begin(r, "pick");
    policy_pick(r->policy, &conn, r->set.items, r->set.n, &choice);
    end(r, CALL_MAX_S);
    begin(r, "opened");
    policy_opened(r->policy, &conn, r->set.items[0], 0.02);
    end(r, CALL_MAX_S);
    begin(r, "closed");
    policy_closed(r->policy, &conn, r->set.items[0], &stats);
    end(r, CALL_MAX_S);
    begin(r, "uplink_changed");
    policy_uplink_changed(r->policy, r->set.items[1], "down");
    end(r, CALL_MAX_S);
    begin(r, "forget");
    policy_forget(r->policy, id);
    end(r, CALL_MAX_S);
    r->now += 1;
    begin(r, "timers");
    policy_run_timers(r->policy);
    end(r, CALL_MAX_S);
}

static void run_policy(struct run *r)
{
    char err[POLICY_ERROR_MAX];
    const struct policy_options o = {.source = {.file = r->path},
                                     .lua_dir = STEERWAY_SOURCE_DIR "/lua",
                                     .uplinks = &r->set,
                                     .seed = 1,
                                     .share_s = INFINITY, /* no call may be skipped */
                                     .env = {.now = run_now, .arg = r}};

    r->policy = NULL;
    r->abandoned = false;
    begin(r, "load");
    int rc = policy_new(&r->policy, &o, err);
    end(r, LOAD_MAX_S);
    if (rc < 0) {
        r->counts->refused++;
        return;
    }
    r->counts->loaded++;
    for (uint64_t i = 1; i <= PICKS && !policy_info(r->policy).quarantined; i++)
        call(r, i);
    if (!policy_info(r->policy).quarantined) {
        begin(r, "reload");
        r->counts->reload_failures += policy_reload(r->policy, err) < 0;
        end(r, LOAD_MAX_S);
    }
    begin(r, "free");
    policy_free(r->policy);
    r->policy = NULL;
    end(r, CALL_MAX_S);
}

static void add_uplinks(struct run *r)
{
    for (size_t i = 0; i < 3; i++) {
        r->uplinks[i].view = (struct uplink_view){
            .weight = 1, .tier = 1, .id = (int32_t)i + 1, .up = true, .ipv4 = true, .quota_left = INFINITY};
        (void)snprintf(r->uplinks[i].name, sizeof r->uplinks[i].name, "wan%zu", i + 1);
        uplink_set_put(&r->set, &r->uplinks[i]);
    }
}

/* --- the texts ------------------------------------------------------------------------------------------ */

static lua_State *open_generator(void)
{
    lua_State *L = luaL_newstate();

    if (!L)
        abort();
    luaL_openlibs(L);
    (void)luaJIT_setmode(L, 0,
                         LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF); /* no machine code besides that of policies */
    if (luaL_dofile(L, STEERWAY_SOURCE_DIR "/tests/soak/fuzz_policies.lua")) {
        (void)printf("%s\n", lua_tostring(L, -1));
        exit(1);
    }
    return L;
}

static void write_text(lua_State *L, unsigned seed, const char *path)
{
    size_t len;

    lua_pushvalue(L, -1);
    lua_pushnumber(L, seed);
    lua_call(L, 1, 1);
    const char *text = lua_tolstring(L, -1, &len);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        abort();
    (void)close(fd);
    lua_pop(L, 1);
}

static void show_text(lua_State *L, unsigned seed)
{
    lua_pushvalue(L, -1);
    lua_pushnumber(L, seed);
    lua_call(L, 1, 1);
    (void)printf("--- the policy of seed %u\n%s---\n", seed, lua_tostring(L, -1));
    lua_pop(L, 1);
}

/* --- batches -------------------------------------------------------------------------------------------- */

/* Runs in a child process, so that its end is noticed. @return whether nothing was found */
static bool run_batch(lua_State *L, struct counts *t, const char *dir, unsigned first, unsigned n)
{
    unsigned slow_before = t->slow;
    int status;

    (void)fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        struct run r = {.counts = t, .now = 1};
        (void)snprintf(r.path, sizeof r.path, "%s/p.lua", dir);
        add_uplinks(&r);
        log_silence();
        for (t->seed = first; t->seed < first + n; t->seed++) {
            write_text(L, t->seed, r.path);
            run_policy(&r);
        }
        (void)fflush(stdout);
        _exit(0);
    }
    while (waitpid(child, &status, 0) < 0)
        ;
    bool crashed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (crashed) {
        (void)printf("finding: seed %u: the process ended in %s, status %d\n", t->seed, t->doing, status);
        show_text(L, t->seed);
    }
    return !crashed && t->slow == slow_before;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;
    unsigned seed = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1, findings = 0;
    char dir[] = "/tmp/steerway-fuzz-XXXXXX", path[64];
    struct counts *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (t == MAP_FAILED || !mkdtemp(dir))
        abort();
    lua_State *L = open_generator();
    double began_s = clock_now_s();
    if (seconds == 0) {
        findings += !run_batch(L, t, dir, seed, 1);
        show_text(L, seed);
    }
    for (; clock_now_s() - began_s < seconds && findings < FINDINGS_MAX; seed += BATCH)
        findings += !run_batch(L, t, dir, seed, BATCH);
    (void)printf(
        "%u policies loaded, %u refused, %u calls in %.0f s; %u abandoned, the longest other call took %.0f "
        "ms, %u while the processor was away, findings: %u\n",
        t->loaded, t->refused, t->calls, clock_now_s() - began_s, t->abandoned, t->longest_s * 1e3, t->away,
        findings);
    (void)snprintf(path, sizeof path, "%s/p.lua", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    lua_close(L);
    return findings > 0;
}
