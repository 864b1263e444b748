#include "cage/watchdog.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <luajit.h>

#ifndef sigev_notify_thread_id /* glibc before 2.38 has the field, but no name for it */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { TICK_NS = 5 * 1000 * 1000, BLAME_DEPTH = 32 };

static struct {
    struct watchdog *volatile running; /* of the current call */
    struct watchdog *owner;            /* its VM has LuaJIT's profiler */
    void (*volatile request)(int);     /* LuaJIT's handler, which requests a sample of the owner's VM */
    unsigned users;
    timer_t timer;           /* on the thread's CPU clock, always running */
    timer_t fine;            /* on the monotonic clock, while a call runs that has met a tick */
    struct sigaction before; /* LuaJIT found this handler, ours, and puts it back */
} dog;

static bool to_blame(const struct watchdog *w, const lua_Debug *at)
{
    if (at->source[0] != '@' || at->currentline <= 0)
        return false;
    return !w->library || strncmp(at->source + 1, w->library, strlen(w->library)) != 0;
}

void watchdog_blame(const struct watchdog *w, lua_State *L, lua_Debug *ret)
{
    lua_Debug at;

    ret->currentline = -1;
    for (int level = 0; level < BLAME_DEPTH && lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (to_blame(w, &at)) {
            *ret = at;
            return;
        }
    }
}

/* The hook: runs at the next instruction, and at each one until the call is left. */
static void stop_call(lua_State *L, lua_Debug *now)
{
    struct watchdog *w = dog.running;
    if (!w)
        return;
    lua_Debug at = *now, blamed;
    lua_getinfo(L, "Sl", &at);
    if (!to_blame(w, &at)) {
        watchdog_blame(w, L, &blamed);
        if (blamed.currentline > 0)
            at = blamed;
    }
    if (w->finding == WATCHDOG_MEMORY)
        lua_pushfstring(L, "%s:%d: stopped: not enough memory", at.short_src, at.currentline);
    else
        lua_pushfstring(L, "%s:%d: stopped: took longer than %d ms", at.short_src, at.currentline,
                        (int)(w->budget_s * 1e3));
    lua_error(L);
}

/* Async-signal-safe as far as LuaJIT's own handlers are: it writes flags and dispatch tables. Each tick
 * repeats it. That also restores a hook that was lost when the signal came while LuaJIT changed those
 * tables. */
static void bark(struct watchdog *w, enum watchdog_finding finding)
{
    if (w->finding == WATCHDOG_FINE)
        w->finding = (sig_atomic_t)finding;
    lua_sethook(w->L, stop_call, LUA_MASKCOUNT, 1);
    if (dog.request && dog.owner == w)
        dog.request(SIGPROF);
}

static int64_t cpu_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 * 1000 * 1000 + now.tv_nsec;
}

static void set_timer(timer_t timer, long interval_ns)
{
    const struct itimerspec every = {.it_interval = {.tv_nsec = interval_ns},
                                     .it_value = {.tv_nsec = interval_ns}};
    (void)timer_settime(timer, 0, &every, NULL);
}

/* A call's first tick counts as one, or as two when the kernel delivers two at once (100 Hz). A larger
 * overrun may come from a virtual processor that was suspended while its clock ran, which is not the
 * policy's fault. From then on the thread's CPU clock is read, so late signals do not matter.
 *
 * Signals are late when many threads share a processor. The kernel checks a thread's CPU timer when its
 * own tick meets that thread, which may take 50 ms. So a monotonic timer ticks as well from then on. */
static sig_atomic_t ticks_of(struct watchdog *w, const siginfo_t *info)
{
    if (w->first_ticks == 0) {
        sig_atomic_t more = info->si_code == SI_TIMER && info->si_overrun > 0 ? info->si_overrun : 0;
        w->first_ticks = more > 0 ? 2 : 1;
        w->late_ticks = (more < w->budget_ticks ? more : w->budget_ticks) - (w->first_ticks - 1);
        w->first_ns = cpu_now_ns();
        set_timer(dog.fine, TICK_NS);
    }
    return w->first_ticks + (sig_atomic_t)((cpu_now_ns() - w->first_ns) / TICK_NS);
}

static void on_tick(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    struct watchdog *w = dog.running;
    if (!w || !escape_is_ours())
        return;
    w->patience = w->budget_ticks - ticks_of(w, info);
    if (w->patience < 0)
        bark(w, WATCHDOG_OVERRUN);
    if (w->patience < w->taken_ticks - w->grace_ticks)
        escape_try(ESCAPE_STUCK);
}

static void no_sample(void *data, lua_State *L, int samples, int vmstate)
{
    (void)data, (void)L, (void)samples, (void)vmstate;
}

/* It runs on the signal stack, since the normal stack may be full. */
static int install_handler(struct sigaction *ret_before)
{
    struct sigaction ours = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    return sigaction(SIGPROF, &ours, ret_before) < 0 ? -errno : 0;
}

static int start_timer(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &dog.timer) < 0)
        return -errno;
    if (timer_create(CLOCK_MONOTONIC, &event, &dog.fine) < 0) {
        int rc = -errno;
        (void)timer_delete(dog.timer);
        return rc;
    }
    set_timer(dog.timer, TICK_NS);
    return 0;
}

/* What a call took that met a tick. */
SELDOM static void take_ticks(struct watchdog *w)
{
    int64_t since_first = (cpu_now_ns() - w->first_ns) / TICK_NS;

    w->used_s = (double)(w->first_ticks + w->late_ticks + since_first) * TICK_NS / 1e9;
    set_timer(dog.fine, 0);
}

static int start_clock(void)
{
    int rc = escape_init();
    if (rc < 0)
        return rc;
    rc = install_handler(&dog.before);
    if (rc < 0)
        goto fail;
    rc = start_timer();
    if (rc == 0)
        return 0;
    (void)sigaction(SIGPROF, &dog.before, NULL);
fail:
    escape_done();
    return rc;
}

int watchdog_after_fork(void)
{
    return dog.users > 0 ? start_timer() : 0;
}

/* LuaJIT's profiler serves one VM at a time, and starting or stopping it discards that VM's compiled code.
 * So it moves only when another VM is about to run (at load and reload). */
static void give_up_profiler(void)
{
    if (!dog.owner)
        return;
    dog.request = NULL;
    luaJIT_profile_stop(dog.owner->L); /* restores the handler that it found, which is ours */
    dog.owner = NULL;
}

SELDOM static void take_profiler(struct watchdog *w)
{
    give_up_profiler();
    luaJIT_profile_start(w->L, "li1000", no_sample, NULL);
    /* LuaJIT's timer counts the CPU time of all threads and signals any of them; ours replaces it. */
    struct itimerval none = {.it_value = {.tv_usec = 0}};
    (void)setitimer(ITIMER_PROF, &none, NULL);
    struct sigaction theirs;
    if (install_handler(&theirs) == 0)
        dog.request = theirs.sa_handler;
    dog.owner = w;
}

int watchdog_init(struct watchdog *w, lua_State *L, const char *library)
{
    if (dog.users == 0) {
        int rc = start_clock();
        if (rc < 0)
            return rc;
    }
    dog.users++;
    *w = (struct watchdog){.L = L, .library = library};
    return 0;
}

void watchdog_done(struct watchdog *w)
{
    if (!w->L)
        return;
    if (dog.owner == w)
        give_up_profiler();
    if (--dog.users == 0) {
        (void)timer_delete(dog.timer);
        (void)timer_delete(dog.fine);
        /* Do not restore a default action that ends the process: a last tick may still be pending. */
        if (dog.before.sa_handler == SIG_DFL)
            dog.before.sa_handler = SIG_IGN;
        (void)sigaction(SIGPROF, &dog.before, NULL);
        escape_done();
    }
    w->L = NULL;
}

double watchdog_left_after_s(const struct watchdog *w)
{
    return watchdog_limit_s(w->budget_s) - (double)w->taken_ticks * TICK_NS / 1e9;
}

void watchdog_note_taken(struct watchdog *w, double taken_s)
{
    w->taken_ticks = (sig_atomic_t)(taken_s * 1e9 / TICK_NS);
}

void watchdog_enter(struct watchdog *w, double budget_s)
{
    if (dog.owner != w)
        take_profiler(w);
    if (w->budget_s != budget_s) {
        w->budget_s = budget_s;
        w->budget_ticks = (sig_atomic_t)ceil(budget_s * 1e9 / TICK_NS);
        w->grace_ticks = (sig_atomic_t)((watchdog_limit_s(budget_s) - budget_s) * 1e9 / TICK_NS);
    }
    w->patience = w->budget_ticks;
    w->first_ticks = 0;
    w->finding = WATCHDOG_FINE;
    dog.running = w;
}

enum watchdog_finding watchdog_leave(struct watchdog *w)
{
    escape_disarm();
    dog.running = NULL;
    w->used_s = 0;
    if (w->first_ticks > 0)
        take_ticks(w);
    if (w->finding != WATCHDOG_FINE)
        lua_sethook(w->L, NULL, 0, 0);
    return (enum watchdog_finding)w->finding;
}

void watchdog_landed(struct watchdog *w)
{
    dog.running = NULL;
    if (w->first_ticks > 0)
        set_timer(dog.fine, 0);
    w->finding = WATCHDOG_FINE; /* the hook is gone with the VM */
    w->used_s = 0;
    escape_unblock();
}

bool watchdog_has_profiler(const struct watchdog *w)
{
    return dog.owner == w;
}

void watchdog_memory_low(struct watchdog *w)
{
    if (dog.running == w)
        bark(w, WATCHDOG_MEMORY);
}
