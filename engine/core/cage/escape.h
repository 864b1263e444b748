/* Leaves a call into Lua wherever it is: from a signal handler, at the end of the C stack, from the VM's
 * allocator, from a panic. The call's VM is then in an unknown state and must never be entered again (vm.c
 * throws it away).
 *
 * A call may be left at any instruction but for three places, which hold locks that others need:
 * - functions of the engine that Lua calls, between escape_hold and escape_release;
 * - LuaJIT's requests to the system and to the unwinder's tables (luajit_edge.c holds them);
 * - the unwinder, from the raise of an error to its landing (luajit_edge.c tells escape_unwinding).
 * All three are short, and refuse to begin where the stack has little room left.
 *
 * One thread at a time: that which called escape_init last. */
#ifndef STEERWAY_CAGE_ESCAPE_H
#define STEERWAY_CAGE_ESCAPE_H

#include "base/compiler.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

/* The address sanitizer keeps note of frames, and must hear of a jump past them that it does not see. */
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
    ESCAPE_STUCK = 1, /* it did not come back */
    ESCAPE_STACK,     /* it reached the end of the C stack */
    ESCAPE_MEMORY,    /* its VM is refused memory */
    ESCAPE_PANIC,     /* it raised an error that nothing catches */
};

/** Where a call is left to; embedded, one a VM. */
struct escape {
    void *jump[5]; /* of __builtin_setjmp */
    volatile sig_atomic_t cause;
};

/* For the functions below, which stand on the path of each pick. */
extern struct escape_state {
    struct escape *volatile armed; /* of the call under way */
    volatile sig_atomic_t held, unwinding;
    volatile sig_atomic_t wanted; /* the cause for which it is to be left as soon as it may be; 0 for none */
    const char *stack_end;        /* its lowest byte */
    pthread_t thread;
} escape_state;

/** Find the end of this thread's stack, and catch what overruns it during a call.
 *  @return 0, or negative errno */
MUST_CHECK int escape_init(void);
/** Undo it. */
void escape_done(void);

/** True when a call has been left to here. Use it right before the call, in the same function: nothing that
 * is changed between the two keeps its value, unless it is volatile. */
#define ESCAPE_LANDED(e) (__builtin_setjmp((e)->jump) != 0 ? true : (escape_state.armed = (e), false))

/** The call is over. */
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

/** Whether this thread is within a call. */
static inline bool escape_within(void)
{
    return escape_state.armed && escape_is_ours();
}

/** Leave the call under way, if there is one. Return if it may not be left here: then it is left where the
 * hold, or the unwinder, ends. Async-signal-safe. */
void escape_try(enum escape_cause cause);

/** Leave the call if the stack has too little room left for what is about to hold it. */
void escape_want_room(void);

/** Nothing leaves the call until the matching release. Within a call only; may nest. */
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

/** From the raise of an error on, and at its landing. Within a call only. */
static inline void escape_unwinding(bool now)
{
    escape_state.unwinding = now;
    if (!now && escape_state.wanted)
        escape_try((enum escape_cause)escape_state.wanted);
}

/** Where a call has landed: let the signals come again that were blocked in the handler that left it. */
void escape_unblock(void);

#endif
