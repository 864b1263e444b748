/* Stops a call into Lua that takes too long or too much memory, also when it runs in compiled loops.
 *
 * LuaJIT does not look at hooks in compiled code, except that its profiler, in mode 'l', makes every trace
 * poll for a sample. So the profiler is started (with its own timer at rest), and when a call has overstayed,
 * a tick of our timer sets a count hook that raises and then has LuaJIT's signal handler request a sample:
 * compiled code falls back to the interpreter, which runs the hook. The hook stays until the call is left, so
 * that no pcall can swallow it.
 *
 * That ends what runs in Lua. A C function that does not come back sees no hook: when a call has taken
 * eight times its budget, the tick leaves it (escape.h), and its VM is lost.
 *
 * What a call has taken is read from the thread's CPU clock at each tick, since ticks may be late.
 *
 * SIGPROF, its handler and LuaJIT's profiler exist once a process, hence the state here is static. The timer
 * runs on the CPU clock of the thread that makes the first watchdog: a machine under load kills no innocent
 * policy. All VMs belong to that thread. A child does not inherit the timer: watchdog_after_fork makes
 * another. */
#ifndef STEERWAY_CAGE_WATCHDOG_H
#define STEERWAY_CAGE_WATCHDOG_H

#include "base/compiler.h"
#include "cage/escape.h"

#include <lua.h>
#include <signal.h>
#include <stdint.h>

enum watchdog_finding { WATCHDOG_FINE, WATCHDOG_OVERRUN, WATCHDOG_MEMORY };

/** One a VM; embedded. */
struct watchdog {
    lua_State *L;
    const char *library;               /* borrowed; the folder whose code is not to blame; or NULL */
    double budget_s;                   /* of the call under way */
    sig_atomic_t budget_ticks;         /* the same, rounded up */
    sig_atomic_t grace_ticks;          /* from there on until it is left */
    volatile sig_atomic_t taken_ticks; /* of these, by calls just before it (watchdog_note_taken) */
    volatile sig_atomic_t patience;    /* ticks until it is stopped */
    volatile sig_atomic_t first_ticks; /* that its first signal counted for; 0 before that */
    sig_atomic_t late_ticks;           /* that passed before it beyond those, of the budget at most */
    int64_t first_ns;                  /* the thread's CPU clock at that signal */
    double used_s;                     /* after a call: its CPU time, told by ticks */
    volatile sig_atomic_t finding;     /* enum watchdog_finding of the call under way */
    struct escape escape;              /* where the call is left to */
};

/** CPU seconds that a call with this budget may take before it is left: eight times the budget, but 0.35 s
 * more at most.
 */
static inline double watchdog_limit_s(double budget_s)
{
    return budget_s + (budget_s < 0.05 ? 7 * budget_s : 0.35);
}

/** The same of the call under way, or the last one: less by what others had just taken. */
double watchdog_left_after_s(const struct watchdog *w);

/** @param library  folder of Lua files that are never named as the place of a stop, but their caller;
 * borrowed, may be NULL
 *  @return 0, or negative errno when no timer is to be had */
MUST_CHECK int watchdog_init(struct watchdog *w, lua_State *L, const char *library);
/** Find the innermost place of the running code that may be told to the policy's author: allocates nothing,
 * and raises nothing. @param ret  its source, short_src and currentline are set; currentline is -1 for none
 */
void watchdog_blame(const struct watchdog *w, lua_State *L, lua_Debug *ret);
/** Before lua_close. Harmless on one that is not initialised (zeroes). After an escape the state at w->L must
 * be a new one that lies at the same address, if watchdog_has_profiler. */
void watchdog_done(struct watchdog *w);
/** Whether LuaJIT's profiler holds on to this VM. */
bool watchdog_has_profiler(const struct watchdog *w);

/** In a child after fork(), while no call is under way: go on with the VMs that there are.
 *  @return 0, or negative errno: then no call may be made */
MUST_CHECK int watchdog_after_fork(void);

/** Other calls have just taken so much of the loop's time: the next ones are left so much earlier, so that
 *  together they hold the loop for half a second at most. @param taken_s  0..0.25 */
void watchdog_note_taken(struct watchdog *w, double taken_s);

/** Start to count a call's CPU time; ESCAPE_LANDED(&w->escape) follows. Calls do not nest. */
void watchdog_enter(struct watchdog *w, double budget_s);
/** Then used_s tells what the call took, in whole ticks: 0 for most of the short ones and a tick for some, so
 * that the sum over many is right, and a call that meets no tick costs no look at a clock. */
enum watchdog_finding watchdog_leave(struct watchdog *w);
/** In place of watchdog_leave, when the call has been left by an escape. */
void watchdog_landed(struct watchdog *w);

/** For the VM's allocator: the call under way has taken too much and is to be stopped at its next
 * instruction. */
void watchdog_memory_low(struct watchdog *w);

#endif
