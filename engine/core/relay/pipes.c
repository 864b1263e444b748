#include "relay/pipes.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Reads to skip after a pipe could not be had: another attempt costs more system calls than a copy. */
enum { PAUSE = 256 };

/* Open pipes of this process, over all threads. */
static _Atomic size_t n_open;

static bool may_open(void)
{
    struct rlimit files;
    size_t before = atomic_fetch_add(&n_open, 1);

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && 2 * (before + 1) <= files.rlim_cur / PIPES_SHARE)
        return true;
    atomic_fetch_sub(&n_open, 1);
    return false;
}

static void close_pipe(struct pipe *pipe)
{
    atomic_fetch_sub(&n_open, 1);
    (void)close(pipe->in);
    (void)close(pipe->out);
    free(pipe);
}

static struct pipe *make(void)
{
    struct pipe *pipe = NULL;
    int fds[2];

    if (!may_open())
        return NULL;
    pipe = malloc(sizeof *pipe);
    if (!pipe || pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
        free(pipe);
        atomic_fetch_sub(&n_open, 1);
        return NULL;
    }
    *pipe = (struct pipe){.in = fds[1], .out = fds[0]};
    /* The kernel limits a user's pipe memory (pipe-user-pages-soft); above it, pipes are smaller. */
    if (fcntl(pipe->in, F_SETPIPE_SZ, (int)PIPE_SIZE) < (int)PIPE_SIZE) {
        close_pipe(pipe);
        return NULL;
    }
    return pipe;
}

struct pipe *pipes_take(struct pipes *p)
{
    struct pipe *pipe = NULL;

    if (p->n_held >= PIPES_HELD_MAX)
        return NULL;
    if (p->n_idle > 0) {
        pipe = p->idle[--p->n_idle];
    } else if (p->pause > 0) {
        p->pause--;
        return NULL;
    } else {
        pipe = make();
    }
    if (pipe)
        p->n_held++;
    else
        p->pause = PAUSE;
    return pipe;
}

void pipes_give(struct pipes *p, struct pipe *pipe)
{
    if (!pipe)
        return;
    p->n_held--;
    if (pipe->held > 0 || p->n_idle == PIPES_IDLE_MAX)
        close_pipe(pipe);
    else
        p->idle[p->n_idle++] = pipe;
}

void pipes_done(struct pipes *p)
{
    while (p->n_idle > 0)
        close_pipe(p->idle[--p->n_idle]);
}
