#include "relay/pipes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void discard(struct pipe *pipe)
{
    (void)close(pipe->in);
    (void)close(pipe->out);
    free(pipe);
}

static struct pipe *make(void)
{
    struct pipe *pipe = malloc(sizeof *pipe);
    int fds[2];

    if (!pipe || pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
        free(pipe);
        return NULL;
    }
    *pipe = (struct pipe){.in = fds[1], .out = fds[0]};
    /* The kernel lets a user have so much in pipes (pipe-user-pages-soft), and gives less beyond that. */
    if (fcntl(pipe->in, F_SETPIPE_SZ, (int)PIPE_SIZE) < (int)PIPE_SIZE) {
        discard(pipe);
        return NULL;
    }
    return pipe;
}

struct pipe *pipes_take(struct pipes *p)
{
    struct pipe *pipe = NULL;

    if (p->n_held < PIPES_HELD_MAX)
        pipe = p->n_idle > 0 ? p->idle[--p->n_idle] : make();
    if (pipe)
        p->n_held++;
    return pipe;
}

void pipes_give(struct pipes *p, struct pipe *pipe)
{
    if (!pipe)
        return;
    p->n_held--;
    if (pipe->held > 0 || p->n_idle == PIPES_IDLE_MAX)
        discard(pipe);
    else
        p->idle[p->n_idle++] = pipe;
}

void pipes_done(struct pipes *p)
{
    while (p->n_idle > 0)
        discard(p->idle[--p->n_idle]);
}
