#include "ask/until_stopped.h"

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP};

static volatile sig_atomic_t stopped;
static sigset_t waits_with; /* the signals are blocked but while it waits, so none can come just before */

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

void until_stopped_begin(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;

    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < ARRAY_LEN(SIGNALS); i++) {
        (void)sigaddset(&blocked, SIGNALS[i]);
        (void)sigaction(SIGNALS[i], &action, NULL);
    }
    (void)sigprocmask(SIG_BLOCK, &blocked, &waits_with);
}

bool until_stopped_wait(int fd, double seconds)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const struct timespec limit = {.tv_sec = (time_t)seconds,
                                   .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

    if (!stopped)
        (void)ppoll(&p, 1, seconds < 0 ? NULL : &limit, &waits_with);
    return !stopped;
}
