/* Stops a call into Lua that takes too long or too much memory, also in compiled loops.
 *
 * LuaJIT does not check hooks in compiled code. But its profiler, in mode 'l', makes every trace poll for
 * a sample. So the profiler runs (with its own timer stopped). When a call is over its budget, a tick of our
 * timer sets a count hook that raises an error. It then lets LuaJIT's signal handler request a sample.
 * Compiled code then falls back to the interpreter, which runs the hook. The hook stays until the call is
 * left, so no pcall can catch the error for good.
 *
 * That stops Lua code. A C function that does not return never meets the hook. When a call has taken eight
 * times its budget, the tick leaves it (escape.h), and its VM is lost.
 *
 * The time of a call is read from the thread's CPU clock at each tick, since ticks may be late.
 *
 * SIGPROF, its handler and LuaJIT's profiler exist once per process, so the state here is static. The
 * timer uses the CPU clock of the thread that makes the first watchdog, so a busy machine does not stop a
 * harmless policy. All VMs belong to that thread. A child process does not inherit the timer:
 * watchdog_after_fork makes a new one. */
#ifndef STEERWAY_CAGE_WATCHDOG_H
#define STEERWAY_CAGE_WATCHDOG_H

#include "base/compiler.h"
#include "cage/escape.h"

#include <lua.h>
#include <signal.h>
#include <stdint.h>

enum watchdog_finding { WATCHDOG_FINE, WATCHDOG_OVERRUN, WATCHDOG_MEMORY };

/** One for each VM; embedded. */
struct watchdog {
    lua_State *L;
    const char *library;       /* borrowed; folder whose code is not blamed; or NULL */
    double budget_s;           /* of the current call */
    sig_atomic_t budget_ticks; /* the budget, rounded up */
    sig_atomic_t grace_ticks;  /* ticks after the budget until the call is left */
    volatile sig_atomic_t
        taken_ticks; /* part of grace_ticks that earlier calls have used (watchdog_note_taken) */
    volatile sig_atomic_t patience;    /* ticks until the call is stopped */
    volatile sig_atomic_t first_ticks; /* ticks that its first signal counted for; 0 before it */
    sig_atomic_t late_ticks;       /* ticks before the first signal that do not count, at most the budget */
    int64_t first_ns;              /* the thread's CPU clock at the first signal */
    double used_s;                 /* CPU time of the last call, in whole ticks */
    volatile sig_atomic_t finding; /* of the current call: enum watchdog_finding */
    struct escape escape;          /* where the call lands when it is left */
};

/** CPU seconds after which a call is left: eight times the budget, but at most 0.35 s more than it. */
static inline double watchdog_limit_s(double budget_s)
{
    return budget_s + (budget_s < 0.05 ? 7 * budget_s : 0.35);
}

/** The same for the current or last call, reduced by the time that earlier calls have just taken. */
double watchdog_left_after_s(const struct watchdog *w);

/** @param library  folder of Lua files that are never blamed; their caller is. Borrowed, may be NULL
 *  @return 0, or negative errno when no timer can be created */
MUST_CHECK int watchdog_init(struct watchdog *w, lua_State *L, const char *library);
/** Find the innermost place of the running code that can be blamed. Allocates nothing, and raises no
 * error. @param ret  source, short_src and currentline are set; currentline is -1 for none */
void watchdog_blame(const struct watchdog *w, lua_State *L, lua_Debug *ret);
/** Before lua_close. Harmless on a zeroed watchdog. After an escape, if watchdog_has_profiler, w->L must
 * point to a new state at the same address. */
void watchdog_done(struct watchdog *w);
/** Whether LuaJIT's profiler refers to this VM. */
bool watchdog_has_profiler(const struct watchdog *w);

/** In a child after fork(), outside calls: continue with the existing VMs.
 *  @return 0, or negative errno: then no call may be made */
MUST_CHECK int watchdog_after_fork(void);

/** Other calls have just taken this much of the loop's time. The next calls are left that much earlier, so
 * that together they block the loop for at most half a second. @param taken_s  0..0.25 */
void watchdog_note_taken(struct watchdog *w, double taken_s);

/** Start to count a call's CPU time; ESCAPE_LANDED(&w->escape) must follow. Calls do not nest. */
void watchdog_enter(struct watchdog *w, double budget_s);
/** End the call and set used_s, in whole ticks: 0 for most short calls and a tick for some, so that sums
 * are right. A call without a tick reads no clock. */
enum watchdog_finding watchdog_leave(struct watchdog *w);
/** End a call that was left by an escape. */
void watchdog_landed(struct watchdog *w);

/** For the VM's allocator: the current call is over its memory limit. It is stopped at its next
 * instruction. */
void watchdog_memory_low(struct watchdog *w);

#endif
