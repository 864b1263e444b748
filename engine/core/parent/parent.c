#include "parent/parent.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* @return the connection, or -1 */
static int stop(struct parent *u)
{
    int fd = u->io.fd;

    if (u->request.loops)
        loops_leave(u->request.loops, u);
    u->running = false;
    resolver_cancel(&u->query);
    dial_cancel(&u->dial);
    ev_timer_stop(u->loop, &u->deadline);
    ev_io_stop(u->loop, &u->io);
    u->io.fd = -1;
    return fd;
}

static void parent_finish(struct parent *u, enum fault fault)
{
    int fd = stop(u);

    if (fault != FAULT_NONE && fd >= 0) {
        (void)close(fd);
        fd = -1;
    }
    u->took_s = clock_now_s() - u->since_s;
    u->done(u, fault, fd); /* u may be freed by now */
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    parent_finish(container_of(timer, struct parent, deadline), FAULT_TIMEOUT);
}

/* --- the dialogue --------------------------------------------------------------------------------------- */

static void watch(struct parent *u, int events)
{
    ev_io_stop(u->loop, &u->io);
    ev_io_set(&u->io, u->io.fd, events);
    ev_io_start(u->loop, &u->io);
}

/* A message is small, and the socket's buffer is empty, so it fits. */
static void say(struct parent *u)
{
    struct parent_talk *t = &u->talk;

    if (send(u->io.fd, t->out, t->out_len, MSG_NOSIGNAL) != (ssize_t)t->out_len)
        return parent_finish(u, FAULT_PARENT);
    t->out_len = 0;
    watch(u, EV_READ);
}

/* Bytes after the dialogue's end stay in the socket. @return bytes read; 0: the dialogue is over, u may be
 * freed */
static size_t hear(struct parent *u)
{
    char data[2048];
    ssize_t n = recv(u->io.fd, data, sizeof data, MSG_PEEK);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        parent_finish(u, FAULT_PARENT);
        return 0;
    }
    size_t share = parent_talk_share(&u->talk, data, (size_t)n);
    if (recv(u->io.fd, data, share, 0) != (ssize_t)share) {
        parent_finish(u, FAULT_PARENT);
        return 0;
    }
    if (!parent_talk_take(&u->talk, data, share))
        return share;
    parent_finish(u, u->talk.fault);
    return 0;
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
    struct parent *u = container_of(io, struct parent, io);

    (void)loop;
    if (events & EV_WRITE)
        return say(u);
    if (hear(u) > 0 && u->talk.out_len > 0)
        say(u);
}

static enum parent_protocol protocol_of(const struct parent_spec *s)
{
    if (strcmp(s->scheme, "http") == 0)
        return PARENT_HTTP;
    return strcmp(s->scheme, "socks5") == 0 ? PARENT_SOCKS5 : PARENT_SOCKS4A;
}

/* --- reaching the parent proxy -------------------------------------------------------------------------- */

static void on_dialed(struct dial *d, enum fault fault, int fd)
{
    struct parent *u = container_of(d, struct parent, dial);
    const struct parent_spec *s = u->request.spec;
    const struct parent_talk_request request = {.protocol = protocol_of(s),
                                                .target = u->request.target,
                                                .datagrams = u->request.datagrams,
                                                .user = s->user,
                                                .pass = s->pass};
    double left_s = u->until_s - clock_now_s();
    struct sockaddr_storage own;

    if (fault != FAULT_NONE)
        return parent_finish(u, fault);
    u->reached = true;
    if (u->request.loops && getsockname(fd, (struct sockaddr *)&own, &(socklen_t){sizeof own}) == 0)
        (void)!addr_from_sockaddr(&u->local, (struct sockaddr *)&own, sizeof own);
    parent_talk_begin(&u->talk, &request);
    ev_io_set(&u->io, fd, EV_WRITE); /* defer to the loop: the first send may fail at once */
    ev_io_start(u->loop, &u->io);
    ev_now_update(u->loop);
    ev_timer_set(&u->deadline, left_s > 0 ? left_s : 0, 0.);
    ev_timer_start(u->loop, &u->deadline);
}

/* Drop the addresses that this proxy listens on. @return the number that is left */
static size_t leave_out(const struct parent *u, const struct addr **addrs, size_t n,
                        struct addr others[DIAL_ADDRS_MAX])
{
    if (!u->request.loops)
        return n;
    n = loops_leave_out(u->request.loops, *addrs, n, others, DIAL_ADDRS_MAX);
    *addrs = others;
    return n;
}

/* @return FAULT_PARENT if this proxy listens at all of them */
static enum fault dial_others(struct parent *u, const struct addr *addrs, size_t n)
{
    struct addr others[DIAL_ADDRS_MAX];
    bool more = resolver_awaits_more(&u->query);

    n = leave_out(u, &addrs, n, others);
    u->held = n == 0 && more;
    if (u->held)
        return FAULT_NONE;
    if (n == 0) {
        loops_tell(u->request.loops, u->request.uplink, "this proxy listens at the parent proxy's address");
        return FAULT_PARENT;
    }
    dial_start(&u->dial, u->loop, addrs, n, &u->egress, fmax(u->until_s - u->since_s, 0), on_dialed);
    if (more)
        dial_expect(&u->dial);
    return FAULT_NONE;
}

static void on_resolved(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n)
{
    struct parent *u = container_of(q, struct parent, query);

    u->since_s = clock_now_s();
    if (fault == FAULT_UNREACHABLE || (fault == FAULT_NONE && !egress_allows_any(&u->egress, addrs, n)))
        fault = FAULT_NAME;
    if (fault == FAULT_NONE)
        fault = dial_others(u, addrs, n);
    if (fault != FAULT_NONE)
        parent_finish(u, fault);
}

static void on_more(struct resolver_query *q, const struct addr *addrs, size_t n)
{
    struct parent *u = container_of(q, struct parent, query);
    struct addr others[DIAL_ADDRS_MAX];
    enum fault fault = FAULT_NONE;

    if (u->held) {
        fault = dial_others(u, addrs, n);
    } else if (u->dial.running) {
        n = leave_out(u, &addrs, n, others);
        dial_add(&u->dial, addrs, n, false);
    }
    if (fault != FAULT_NONE)
        parent_finish(u, fault);
}

void parent_start(struct parent *u, struct ev_loop *loop, const struct parent_request *request,
                  parent_done_fn *done)
{
    *u = (struct parent){.loop = loop,
                         .done = done,
                         .owner = u->owner,
                         .request = *request,
                         .egress = *request->egress,
                         .running = true,
                         .since_s = clock_now_s()};
    u->until_s = u->since_s + request->timeout_s;
    if (request->loops)
        loops_enter(request->loops, u);
    ev_io_init(&u->io, on_ready, -1, EV_WRITE);
    ev_init(&u->deadline, on_deadline);
    /* The name is asked on the program's own account, not for a client. */
    resolver_start_for(request->resolver, &u->query, NULL, request->spec->host, request->spec->port,
                       on_resolved, on_more);
    resolver_limit(&u->query, request->timeout_s);
}

void parent_cancel(struct parent *u)
{
    int fd = u->running ? stop(u) : -1;

    if (fd >= 0)
        (void)close(fd);
}
