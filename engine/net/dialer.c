#include "net/dialer.h"

#include "base/clock.h"
#include "net/soon.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

/* RFC 8305 5, "Connection Attempt Delay": the recommended value. */
static const double STAGGER_S = 0.25;

/* How much a failure tells about the destination: what came from afar before what this machine made up. */
static int telling(enum fault f)
{
    static const int rank[] = {
        [FAULT_RESOURCES] = 1, [FAULT_BIND] = 2,  [FAULT_UNREACHABLE] = 3,
        [FAULT_TIMEOUT] = 4,   [FAULT_RESET] = 5, [FAULT_REFUSED] = 6,
    };
    return (size_t)f < ARRAY_LEN(rank) ? rank[f] : 0;
}

static void dial_note(struct dial *d, enum fault f)
{
    if (telling(f) > telling(d->worst))
        d->worst = f;
}

/* Ends one attempt. @return its socket, now the caller's */
static int attempt_stop(struct dial_attempt *a)
{
    int fd = a->io.fd;
    ev_io_stop(a->dial->loop, &a->io);
    ev_io_set(&a->io, -1, EV_WRITE);
    a->dial->pending--;
    return fd;
}

static struct dial_family *family_of(const struct dial_attempt *a)
{
    return addr_family(&a->to) == AF_INET6 ? &a->dial->six : &a->dial->four;
}

static void attempt_note_wait(const struct dial_attempt *a)
{
    struct dial_family *f = family_of(a);
    double waited_s = clock_now_s() - a->started_s;

    if (waited_s > f->waited_s)
        f->waited_s = waited_s;
}

static void dial_stop(struct dial *d)
{
    ev_timer_stop(d->loop, &d->deadline);
    ev_timer_stop(d->loop, &d->stagger);
    for (size_t i = 0; i < d->next; i++) {
        if (d->attempts[i].io.fd < 0)
            continue;
        attempt_note_wait(&d->attempts[i]);
        (void)close(attempt_stop(&d->attempts[i]));
    }
    if (d->attempts != &d->lone)
        free(d->attempts);
    d->attempts = NULL;
    d->next = d->n_attempts = 0;
    d->running = false;
}

static void dial_finish(struct dial *d, enum fault fault, int fd)
{
    dial_stop(d);
    d->done(d, fault, fd); /* d may be gone */
}

static void dial_connected(struct dial_attempt *a, int fd)
{
    a->dial->connect_s = clock_now_s() - a->started_s;
    a->dial->family = addr_family(&a->to);
    family_of(a)->answered = true;
    if (a->dial->early_by != a)
        a->dial->early_sent = 0;
    dial_finish(a->dial, FAULT_NONE, fd);
}

static void on_attempt(struct ev_loop *loop, ev_io *io, int events);

/* A connect to a closed port of this machine may be given that port as its own, and then meets itself (RFC
 * 9293 3.5, simultaneous open). The kernel gives no port below FREE_PORTS_FROM, so that most connections need
 * not ask. */
enum { FREE_PORTS_FROM = 1024 };

static bool is_connected_to_itself(const struct dial_attempt *a, int fd)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof local;
    struct addr own;

    return addr_port(&a->to) >= FREE_PORTS_FROM && getsockname(fd, (struct sockaddr *)&local, &len) == 0 &&
           addr_from_sockaddr(&own, (struct sockaddr *)&local, len) == 0 &&
           addr_port(&own) == addr_port(&a->to) && addr_same_ip(&own, &a->to);
}

/* A closed port refuses. With a reset, for otherwise the port rests in TIME-WAIT, and its server could not
 * start. */
static int refuse_itself(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    return ECONNREFUSED;
}

/* As connect, with what the kernel takes of the early octets. While another attempt may have delivered them,
 * this one goes without. */
static int connect_early(struct dial *d, const struct dial_attempt *a, int fd, const struct addr *to)
{
    if (d->early_len == 0 || d->pending > 0)
        return connect(fd, &to->sa, addr_len(to));
    ssize_t taken = sendto(fd, buf_slice(d->early).data, d->early_len, MSG_FASTOPEN | MSG_NOSIGNAL, &to->sa,
                           addr_len(to));
    if (taken < 0 && errno == EOPNOTSUPP) /* the kernel does not let clients; nothing has happened */
        return connect(fd, &to->sa, addr_len(to));
    d->early_by = a;
    d->early_sent = taken > 0 ? (size_t)taken : 0;
    if (taken >= 0)
        errno = EINPROGRESS; /* whether the server answers is yet to be seen */
    return -1;
}

/* @return 0 when connected or under way, or the positive errno of what failed */
static int attempt_start(struct dial_attempt *a, bool *ret_connected)
{
    const struct addr *to = &a->to;
    struct dial *d = a->dial;

    int fd = egress_socket(&d->egress, to, SOCK_STREAM);
    if (fd < 0)
        return -fd;
    int r = egress_aim(&d->egress, fd, to);
    if (r < 0) {
        (void)close(fd);
        return -r;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));

    a->started_s = clock_now_s();
    bool connected = connect_early(d, a, fd, to) == 0;
    /* An interrupted connect goes on by itself (POSIX connect, EINTR). */
    if (!connected && errno != EINPROGRESS && errno != EINTR) {
        int err = errno;
        (void)close(fd);
        return err;
    }
    if (connected && is_connected_to_itself(a, fd)) {
        int err = refuse_itself(fd);
        (void)close(fd);
        return err;
    }
    ev_io_set(&a->io, fd, EV_WRITE);
    d->pending++;
    if (!connected)
        ev_io_start(d->loop, &a->io);
    *ret_connected = connected;
    return 0;
}

/* Begin the next attempt; those that fail on the spot make way for the one after. May finish the dial. */
static void dial_advance(struct dial *d)
{
    ev_timer_stop(d->loop, &d->stagger);
    while (d->next < d->n_attempts) {
        bool connected = false;
        struct dial_attempt *a = &d->attempts[d->next++];
        int err = attempt_start(a, &connected);
        if (connected) {
            dial_connected(a, attempt_stop(a));
            return;
        }
        if (err == 0) {
            if (d->next < d->n_attempts) {
                ev_timer_set(&d->stagger, STAGGER_S, 0);
                ev_timer_start(d->loop, &d->stagger);
            }
            return;
        }
        dial_note(d, fault_from_errno(err));
    }
    if (d->pending == 0)
        dial_finish(d, d->worst, -1);
}

static void on_attempt(struct ev_loop *loop, ev_io *io, int events)
{
    struct dial_attempt *a = container_of(io, struct dial_attempt, io);
    struct dial *d = a->dial;
    int fd = attempt_stop(a), err = 0;

    (void)loop;
    if (events & EV_ERROR) /* libev could not watch it */
        err = EIO;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){sizeof err}) < 0)
        err = errno;
    if (err == 0 && is_connected_to_itself(a, fd))
        err = refuse_itself(fd);
    if (err == 0) {
        dial_connected(a, fd);
        return;
    }
    (void)close(fd);
    if (err == ECONNREFUSED || err == ECONNRESET)
        family_of(a)->answered = true;
    else if (err == ETIMEDOUT)
        attempt_note_wait(a);
    dial_note(d, fault_from_errno(err));
    dial_advance(d);
}

static void on_stagger(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    dial_advance(container_of(timer, struct dial, stagger));
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct dial *d = container_of(timer, struct dial, deadline);

    (void)loop;
    (void)events;
    dial_note(d, FAULT_TIMEOUT);
    dial_finish(d, d->worst, -1);
}

static void attempt_init(struct dial_attempt *a, struct dial *d, const struct addr *to)
{
    a->dial = d;
    a->to = *to;
    ev_io_init(&a->io, on_attempt, -1, EV_WRITE);
}

/* Nearly always there is one address, for which nothing is allocated. */
static void make_attempts(struct dial *d, const struct addr *addrs, size_t n)
{
    d->attempts = n > 1 ? malloc((n < DIAL_ADDRS_MAX ? n : DIAL_ADDRS_MAX) * sizeof *d->attempts) : &d->lone;
    if (!d->attempts) {
        d->worst = FAULT_RESOURCES;
        return;
    }
    for (size_t i = 0; i < n && d->n_attempts < DIAL_ADDRS_MAX; i++)
        if (egress_allows(&d->egress, addr_family(&addrs[i])))
            attempt_init(&d->attempts[d->n_attempts++], d, &addrs[i]);
    if (d->n_attempts == 0)
        d->worst = FAULT_UNREACHABLE;
}

void dial_start(struct dial *d, struct ev_loop *loop, const struct addr *addrs, size_t n,
                const struct egress *egress, double timeout_s, dial_done_fn *done)
{
    assert(!d->running);
    *d = (struct dial){.loop = loop, .done = done, .egress = *egress, .running = true};
    make_attempts(d, addrs, n);
    /* Timers count from the loop's idea of now, which is as old as the callback that runs. */
    ev_now_update(loop);
    ev_timer_init(&d->deadline, on_deadline, timeout_s, 0);
    ev_timer_start(loop, &d->deadline);
    /* Even the first attempt may end on the spot, and done must not come from here. */
    ev_timer_init(&d->stagger, on_stagger, 0, 0);
    soon(loop, &d->stagger);
}

void dial_early(struct dial *d, const struct buf *early, size_t len)
{
    assert(d->running && d->next == 0 && len <= early->len);
    d->early = early;
    d->early_len = len;
}

/* Bit 0 is the client's (Linux, ip-sysctl.rst, "tcp_fastopen"). */
bool dial_early_is_allowed(void)
{
    char text[16] = "";
    int fd = open("/proc/sys/net/ipv4/tcp_fastopen", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    return n > 0 && (strtol(text, NULL, 0) & 1);
}

void dial_cancel(struct dial *d)
{
    if (d->running)
        dial_stop(d);
}
