#include "net/unwatch.h"

#include <errno.h>
#include <sys/epoll.h>

int unwatch_init(struct unwatch *u, struct ev_loop *loop)
{
    *u = (struct unwatch){.loop = loop, .spare = ev_loop_new(EVBACKEND_POLL | EVFLAG_NOENV)};
    return u->spare ? 0 : -ENOMEM;
}

void unwatch_done(struct unwatch *u)
{
    if (u->spare)
        ev_loop_destroy(u->spare);
    u->spare = NULL;
}

static void ignore(struct ev_loop *loop, ev_embed *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
}

/* Asked each time: after an error libev makes a new one. */
static int epoll_of(const struct unwatch *u)
{
    ev_embed w;

    ev_embed_init(&w, ignore, u->loop);
    ev_embed_start(u->spare, &w);
    int fd = w.io.fd;
    ev_embed_stop(u->spare, &w);
    return fd;
}

void unwatch_fd(const struct unwatch *u, int fd)
{
    if (ev_backend(u->loop) == EVBACKEND_EPOLL)
        (void)epoll_ctl(epoll_of(u), EPOLL_CTL_DEL, fd, NULL); /* ENOENT: it was not registered */
}
