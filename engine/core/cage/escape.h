/* Leaves a call into Lua wherever it is: from a signal handler, at the end of the C stack, from the VM's
 * allocator, or from a panic. The call's VM is then in an unknown state and must never be entered again
 * (vm.c throws it away).
 *
 * A call may be left at any instruction, except in three places that hold locks:
 * - functions of the engine that Lua calls, between escape_hold and escape_release;
 * - LuaJIT's requests to the system and to the unwinder's tables (luajit_edge.c holds them);
 * - the unwinder, from the raise of an error to its landing (luajit_edge.c calls escape_unwinding). All
 * three are short, and refuse to begin when little stack is left.
 *
 * For one thread only: the last caller of escape_init. */
#ifndef STEERWAY_CAGE_ESCAPE_H
#define STEERWAY_CAGE_ESCAPE_H

#include "base/compiler.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

/* The address sanitizer tracks frames, so it must be told of a jump past them. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define ESCAPE_FORGET_FRAMES() __asan_handle_no_return()
#endif
#endif
#ifndef ESCAPE_FORGET_FRAMES
#define ESCAPE_FORGET_FRAMES() ((void)0)
#endif

enum escape_cause {
    ESCAPE_STUCK = 1, /* it did not return */
    ESCAPE_STACK,     /* it reached the end of the C stack */
    ESCAPE_MEMORY,    /* its VM was refused memory */
    ESCAPE_PANIC,     /* it raised an error that was not caught */
};

/** The place to which a call is left; embedded, one for each VM. */
struct escape {
    void *jump[5]; /* buffer of __builtin_setjmp */
    volatile sig_atomic_t cause;
};

/* For the inline functions below, which each pick calls. */
extern struct escape_state {
    struct escape *volatile armed; /* the current call's */
    volatile sig_atomic_t held, unwinding;
    volatile sig_atomic_t wanted; /* cause for leaving the call when that becomes possible; 0 for none */
    const char *stack_end;        /* lowest address */
    pthread_t thread;
} escape_state;

/** Find the end of this thread's stack, and catch overruns of it during calls.
 *  @return 0, or negative errno */
MUST_CHECK int escape_init(void);
/** Undo escape_init. */
void escape_done(void);

/** True when a call was left and has landed here. Use it right before the call, in the same function.
 * Variables changed in between lose their value unless they are volatile. */
#define ESCAPE_LANDED(e) (__builtin_setjmp((e)->jump) != 0 ? true : (escape_state.armed = (e), false))

/** End the call. */
static inline void escape_disarm(void)
{
    escape_state.armed = NULL;
    escape_state.held = escape_state.wanted = 0;
}

/** Whether this is the thread that calls into Lua. */
static inline bool escape_is_ours(void)
{
    return pthread_equal(escape_state.thread, pthread_self());
}

/** Whether this thread is inside a call. */
static inline bool escape_within(void)
{
    return escape_state.armed && escape_is_ours();
}

/** Leave the current call, if there is one. If it may not be left here, return; it is then left at the end
 * of the hold or of the unwinding. Async-signal-safe. */
void escape_try(enum escape_cause cause);

/** Leave the call if too little stack is left for a hold. */
void escape_want_room(void);

/** Prevent leaving until the matching release. Only inside a call; may nest. */
static inline void escape_hold(void)
{
    escape_want_room();
    escape_state.held++;
}

static inline void escape_release(void)
{
    if (--escape_state.held == 0 && escape_state.wanted)
        escape_try((enum escape_cause)escape_state.wanted);
}

/** Call it with true when an error is raised, and with false at its landing. Only inside a call. */
static inline void escape_unwinding(bool now)
{
    escape_state.unwinding = now;
    if (!now && escape_state.wanted)
        escape_try((enum escape_cause)escape_state.wanted);
}

/** After a landing: unblock the signals that the left handler had blocked. */
void escape_unblock(void);

#endif
