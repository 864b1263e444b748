#include "session/upstream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static int stop(struct upstream *u)
{
    int fd = u->io.fd;

    u->running = false;
    ev_io_stop(u->loop, &u->io);
    ev_timer_stop(u->loop, &u->deadline);
    return fd;
}

static void finish(struct upstream *u, enum fault fault)
{
    int fd = stop(u);

    if (fault != FAULT_NONE) {
        (void)close(fd);
        fd = -1;
    }
    u->done(u, fault, fd); /* u may be gone */
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    finish(container_of(timer, struct upstream, deadline), FAULT_TIMEOUT);
}

static void watch(struct upstream *u, int events)
{
    ev_io_stop(u->loop, &u->io);
    ev_io_set(&u->io, u->io.fd, events);
    ev_io_start(u->loop, &u->io);
}

/* A message is small against the buffer of a connection that has nothing in it. */
static void say(struct upstream *u)
{
    struct upstream_talk *t = &u->talk;

    if (send(u->io.fd, t->out, t->out_len, MSG_NOSIGNAL) != (ssize_t)t->out_len)
        return finish(u, FAULT_UPSTREAM);
    t->out_len = 0;
    watch(u, EV_READ);
}

/* What is behind the talk's end stays in the socket. @return octets taken; 0: the talk is over, u may be gone
 */
static size_t hear(struct upstream *u)
{
    char data[2048];
    ssize_t n = recv(u->io.fd, data, sizeof data, MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        finish(u, FAULT_UPSTREAM);
        return 0;
    }
    size_t share = upstream_talk_share(&u->talk, data, (size_t)n);
    if (recv(u->io.fd, data, share, 0) != (ssize_t)share) {
        finish(u, FAULT_UPSTREAM);
        return 0;
    }
    if (!upstream_talk_take(&u->talk, data, share))
        return share;
    finish(u, u->talk.fault);
    return 0;
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
    struct upstream *u = container_of(io, struct upstream, io);

    (void)loop;
    if (events & EV_WRITE)
        return say(u);
    if (hear(u) > 0 && u->talk.out_len > 0)
        say(u);
}

void upstream_start(struct upstream *u, struct ev_loop *loop, int fd,
                    const struct upstream_talk_request *request, double timeout_s, upstream_done_fn *done)
{
    u->loop = loop;
    u->done = done;
    u->running = true;
    upstream_talk_begin(&u->talk, request);
    ev_io_init(&u->io, on_ready, fd, EV_WRITE); /* out of the loop: what is sent first may fail on the spot */
    ev_io_start(loop, &u->io);
    ev_now_update(loop);
    ev_timer_init(&u->deadline, on_deadline, timeout_s, 0.);
    ev_timer_start(loop, &u->deadline);
}

void upstream_cancel(struct upstream *u)
{
    if (u->running)
        (void)close(stop(u));
}
