/* The process that is to take the place of this one: its own program and command line again. */
#ifndef STEERWAY_TAKEOVER_SUCCESSOR_H
#define STEERWAY_TAKEOVER_SUCCESSOR_H

#include "base/compiler.h"

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

enum { SUCCESSOR_SAID_MAX = 2048 };

struct successor;

/** It has ended, or takes too long and was ended. @param why  one line, or what it has said last */
typedef void successor_failed_fn(struct successor *s, const char *why);

/** Embedded by its owner, who must not move it; zero-initialised with a loop is none. */
struct successor {
    struct ev_loop *loop;
    successor_failed_fn *failed;
    pid_t pid; /* 0: none */
    int said_fd;
    bool serves; /* if it ends now, it has not failed */
    ev_io said;
    ev_child ended;
    ev_timer patience;
    char text[SUCCESSOR_SAID_MAX]; /* the latest that it has said on standard error */
    size_t len;
};

/** Run it. What it says on standard error is also said by this process.
 *  @param argv  ends with NULL @return 0, or negative errno: the program cannot be run */
MUST_CHECK int successor_start(struct successor *s, const char *program, char *const *argv);
/** It serves, and has standard error of its own. */
void successor_serves(struct successor *s);
/** In that process: standard error is a pipe to the other one until now. @return false: it is not */
bool successor_use_stderr(void);
/** Forget it. One that does not serve yet is ended. */
void successor_done(struct successor *s);

#endif
