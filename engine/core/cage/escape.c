#include "cage/escape.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    ROOM = 256 * 1024,           /* reserve for the frames of libc, the unwinder and a signal */
    BELOW = 256 * 1024,          /* a frame that overruns the stack touches at most this much below its end */
    STACK_MAX = 8 * 1024 * 1024, /* limit for the main thread's stack, which grows */
    SIGNAL_STACK = 64 * 1024,
};

struct escape_state escape_state;

static struct {
    unsigned users;
    struct sigaction before; /* earlier action for SIGSEGV */
    void *signal_stack;      /* NULL: the thread already had one */
} mine;

void escape_try(enum escape_cause cause)
{
    struct escape *e = escape_state.armed;

    if (!escape_within())
        return;
    if (escape_state.held || escape_state.unwinding) {
        escape_state.wanted = (sig_atomic_t)cause;
        return;
    }
    e->cause = (sig_atomic_t)cause;
    escape_disarm();
    __builtin_longjmp(e->jump, 1);
}

void escape_want_room(void)
{
    if (escape_within() && (const char *)__builtin_frame_address(0) < escape_state.stack_end + ROOM)
        escape_try(ESCAPE_STACK);
}

void escape_unblock(void)
{
    sigset_t set;

    ESCAPE_FORGET_FRAMES();
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    sigaddset(&set, SIGSEGV);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Any other fault happens again after the return. It then ends the process under the earlier action. */
static void on_fault(int sig, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr, end = (uintptr_t)escape_state.stack_end;

    (void)context;
    if (info->si_code > 0 && at >= end - BELOW && at < end + ROOM)
        escape_try(ESCAPE_STACK);
    (void)sigaction(sig, &mine.before, NULL);
}

static int find_stack(void)
{
    struct rlimit limit;
    pthread_attr_t attr;
    void *lowest;
    size_t size;

    /* Without a limit, the main thread's stack could grow until memory is full. */
    if (getrlimit(RLIMIT_STACK, &limit) == 0 &&
        (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > STACK_MAX)) {
        limit.rlim_cur = STACK_MAX;
        (void)setrlimit(RLIMIT_STACK, &limit);
    }
    int rc = pthread_getattr_np(pthread_self(), &attr);
    if (rc != 0)
        return -rc;
    rc = pthread_attr_getstack(&attr, &lowest, &size);
    (void)pthread_attr_destroy(&attr);
    if (rc != 0)
        return -rc;
    escape_state.stack_end = lowest;
    escape_state.thread = pthread_self();
    return 0;
}

static int give_signal_stack(void)
{
    stack_t now, ours = {.ss_size = SIGNAL_STACK};

    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
        return 0;
    mine.signal_stack = ours.ss_sp = malloc(SIGNAL_STACK);
    if (!ours.ss_sp)
        return -ENOMEM;
    return sigaltstack(&ours, NULL) < 0 ? -errno : 0;
}

static void take_signal_stack(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};

    if (!mine.signal_stack)
        return;
    (void)sigaltstack(&none, NULL);
    free(mine.signal_stack);
    mine.signal_stack = NULL;
}

int escape_init(void)
{
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    if (mine.users > 0) {
        mine.users++;
        return 0;
    }
    int rc = find_stack();
    if (rc == 0)
        rc = give_signal_stack();
    sigemptyset(&ours.sa_mask);
    if (rc == 0 && sigaction(SIGSEGV, &ours, &mine.before) < 0)
        rc = -errno;
    if (rc < 0) {
        take_signal_stack();
        return rc;
    }
    mine.users = 1;
    return 0;
}

void escape_done(void)
{
    if (mine.users == 0 || --mine.users > 0)
        return;
    (void)sigaction(SIGSEGV, &mine.before, NULL);
    take_signal_stack();
}
