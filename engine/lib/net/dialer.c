#include "net/dialer.h"

#include "base/clock.h"
#include "net/defer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* RFC 8305 5, "Connection Attempt Delay": the recommended value. */
static const double STAGGER_S = 0.25;
/* All addresses have failed, and the other family's are announced: wait for them so long. */
static const double GRACE_S = 0.5;

static void dial_note(struct dial *d, enum fault f)
{
    d->worst = fault_more_telling(d->worst, f);
}

/* End one attempt. @return its socket, now the caller's */
static int dial_attempt_stop(struct dial_attempt *a)
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

static void dial_attempt_note_wait(const struct dial_attempt *a)
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
    for (struct dial_attempt *a = d->latest, *before; a; a = before) {
        before = a->before;
        if (a->io.fd >= 0) {
            dial_attempt_note_wait(a);
            (void)close(dial_attempt_stop(a));
        }
        if (a != &d->lone)
            free(a);
    }
    if (d->queue != &d->lone.to)
        free(d->queue);
    d->latest = NULL;
    d->queue = NULL;
    d->next = d->n_queue = 0;
    d->running = d->expecting = false;
}

static void dial_finish(struct dial *d, enum fault fault, int fd)
{
    dial_stop(d);
    d->done(d, fault, fd); /* d may be gone */
}

static void dial_connected(struct dial_attempt *a, int fd)
{
    struct dial *d = a->dial;

    d->connect_s = clock_now_s() - a->started_s;
    d->family = addr_family(&a->to);
    family_of(a)->answered = true;
    if (d->early_by != a)
        d->early_sent = 0;
    dial_finish(d, FAULT_NONE, fd); /* a is gone */
}

static void on_attempt(struct ev_loop *loop, ev_io *io, int events);

/* A connect to a closed port of this machine may get that port as its source. Then it connects to itself (RFC
 * 9293 3.5, simultaneous open). The kernel assigns no port below FREE_PORTS_FROM, so most connections skip
 * the check. */
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

/* Report a refusal, as a closed port would: -ECONNREFUSED. The socket must end with a reset: else the port
 * stays in TIME-WAIT, and its server could not start. */
static int refuse_itself(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    return -ECONNREFUSED;
}

/* Connect, and send the early bytes that the kernel takes. While another attempt may have delivered them,
 * this one does not. */
static int connect_early(struct dial *d, const struct dial_attempt *a, int fd, const struct addr *to)
{
    if (d->early_len == 0 || d->pending > 0)
        return connect(fd, &to->sa, addr_len(to));
    ssize_t taken = sendto(fd, buf_slice(d->early).data, d->early_len, MSG_FASTOPEN | MSG_NOSIGNAL, &to->sa,
                           addr_len(to));
    if (taken < 0 && errno == EOPNOTSUPP) /* the kernel does not allow it to clients; nothing was sent */
        return connect(fd, &to->sa, addr_len(to));
    d->early_by = a;
    d->early_sent = taken > 0 ? (size_t)taken : 0;
    if (taken >= 0)
        errno = EINPROGRESS; /* the server has not answered yet */
    return -1;
}

/* @return 0 if connected or in progress, or a negative errno */
static int dial_attempt_start(struct dial_attempt *a, bool *ret_connected)
{
    const struct addr *to = &a->to;
    struct dial *d = a->dial;

    int fd = egress_socket(&d->egress, to, SOCK_STREAM);
    if (fd < 0)
        return fd;
    int r = egress_aim(&d->egress, fd, to);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    /* An urgent byte is a byte of the stream (RFC 6093); else recv leaves it out. */
    (void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int));

    a->started_s = clock_now_s();
    bool connected = connect_early(d, a, fd, to) == 0;
    /* An interrupted connect continues (POSIX connect, EINTR). */
    if (!connected && errno != EINPROGRESS && errno != EINTR) {
        int err = -errno;
        (void)close(fd);
        return err;
    }
    if (d->ends && !d->egress.device[0])
        own_ends_note(d->ends, fd, to);
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

/* @return NULL without memory */
static struct dial_attempt *next_attempt(struct dial *d)
{
    struct addr to = d->queue[d->next++];
    struct dial_attempt *a = d->latest ? malloc(sizeof *a) : &d->lone;

    if (!a)
        return NULL;
    *a = (struct dial_attempt){.dial = d, .to = to, .before = d->latest};
    ev_io_init(&a->io, on_attempt, -1, EV_WRITE);
    d->latest = a;
    return a;
}

static void set_stagger(struct dial *d, double after_s)
{
    ev_timer_stop(d->loop, &d->stagger);
    ev_timer_set(&d->stagger, after_s, 0);
    ev_timer_start(d->loop, &d->stagger);
}

/* Begin the next attempt. After an immediate failure, begin the one after. May finish the dial. */
static void dial_advance(struct dial *d)
{
    ev_timer_stop(d->loop, &d->stagger);
    while (d->next < d->n_queue) {
        bool connected = false;
        struct dial_attempt *a = next_attempt(d);
        int err = a ? dial_attempt_start(a, &connected) : -ENOMEM;
        if (connected) {
            dial_connected(a, dial_attempt_stop(a));
            return;
        }
        if (err == 0) {
            if (d->next < d->n_queue)
                set_stagger(d, STAGGER_S);
            return;
        }
        dial_note(d, fault_from_errno(-err));
    }
    if (d->pending > 0)
        return;
    if (!d->expecting || d->has_waited)
        return dial_finish(d, d->worst, -1);
    d->has_waited = true;
    set_stagger(d, GRACE_S);
}

static void on_attempt(struct ev_loop *loop, ev_io *io, int events)
{
    struct dial_attempt *a = container_of(io, struct dial_attempt, io);
    struct dial *d = a->dial;
    int fd = dial_attempt_stop(a), err = 0;

    (void)loop;
    if (events & EV_ERROR) /* libev could not watch it */
        err = EIO;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){sizeof err}) < 0)
        err = errno;
    if (err == 0 && is_connected_to_itself(a, fd))
        err = -refuse_itself(fd);
    if (err == 0) {
        dial_connected(a, fd);
        return;
    }
    (void)close(fd);
    if (err == ECONNREFUSED || err == ECONNRESET)
        family_of(a)->answered = true;
    else if (err == ETIMEDOUT)
        dial_attempt_note_wait(a);
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

/* --- addresses ------------------------------------------------------------------------------------------ */

/* Take the addresses that the egress allows, up to DIAL_ADDRS_MAX in total. @return the number taken */
static size_t take_allowed(struct dial *d, struct addr *ret, const struct addr *addrs, size_t n)
{
    size_t taken = 0;

    for (size_t i = 0; i < n && d->n_taken < DIAL_ADDRS_MAX; i++) {
        if (!egress_allows(&d->egress, addr_family(&addrs[i])))
            continue;
        ret[taken++] = addrs[i];
        d->n_taken++;
    }
    return taken;
}

/* Usually there is one address, for which nothing is allocated. */
static void make_queue(struct dial *d, const struct addr *addrs, size_t n)
{
    size_t room = n < DIAL_ADDRS_MAX ? n : DIAL_ADDRS_MAX;

    d->queue = n > 1 ? malloc(room * sizeof *d->queue) : &d->lone.to;
    if (!d->queue) {
        d->worst = FAULT_RESOURCES;
        return;
    }
    d->n_queue = take_allowed(d, d->queue, addrs, n);
    if (d->n_queue == 0)
        d->worst = FAULT_UNREACHABLE;
}

/* a[0], b[0], a[1], b[1], …, then the rest of the longer one. */
static void take_turns(struct addr *ret, const struct addr *a, size_t n_a, const struct addr *b, size_t n_b)
{
    for (size_t i = 0; i < n_a || i < n_b; i++) {
        if (i < n_a)
            *ret++ = a[i];
        if (i < n_b)
            *ret++ = b[i];
    }
}

static void join_queue(struct dial *d, const struct addr *more, size_t n, bool behind)
{
    const struct addr *left = d->queue + d->next;
    size_t n_left = d->n_queue - d->next;
    struct addr *queue = malloc((n_left + n) * sizeof *queue);
    /* The latest attempt, or the one about to begin, was for the other family. */
    bool turn = d->latest && n > 0 && addr_family(&d->latest->to) != addr_family(&more[0]);

    if (!queue) {
        dial_note(d, FAULT_RESOURCES);
        return;
    }
    if (behind) {
        memcpy(queue, left, n_left * sizeof *queue);
        memcpy(queue + n_left, more, n * sizeof *queue);
    } else if (turn) {
        take_turns(queue, more, n, left, n_left);
    } else {
        take_turns(queue, left, n_left, more, n);
    }
    if (d->queue != &d->lone.to)
        free(d->queue);
    d->queue = queue;
    d->next = 0;
    d->n_queue = n_left + n;
}

void dial_expect(struct dial *d)
{
    assert(d->running && !d->latest);
    d->expecting = true;
}

/* Deferred, as an immediate failure must not end the dial from within dial_add. */
void dial_add(struct dial *d, const struct addr *addrs, size_t n, bool behind)
{
    struct addr more[DIAL_ADDRS_MAX];

    if (!d->running || !d->expecting)
        return;
    d->expecting = false;
    n = take_allowed(d, more, addrs, n);
    if (n > 0)
        join_queue(d, more, n, behind);
    if (d->pending == 0)
        return defer(d->loop, &d->stagger);
    if (ev_is_active(&d->stagger) || ev_is_pending(&d->stagger))
        return;
    if (d->next == d->n_queue)
        return;
    double wait_s = d->latest->started_s + STAGGER_S - clock_now_s();
    ev_now_update(d->loop);
    set_stagger(d, wait_s > 0 ? wait_s : 0);
}

/* --- from start to end ---------------------------------------------------------------------------------- */

void dial_start(struct dial *d, struct ev_loop *loop, const struct addr *addrs, size_t n,
                const struct egress *egress, double timeout_s, dial_done_fn *done)
{
    assert(!d->running);
    *d = (struct dial){.loop = loop, .done = done, .egress = *egress, .running = true};
    make_queue(d, addrs, n);
    /* Timers start from the loop's time, which is as old as the present callback. */
    ev_now_update(loop);
    ev_timer_init(&d->deadline, on_deadline, timeout_s, 0);
    ev_timer_start(loop, &d->deadline);
    /* Deferred, as the first attempt may end at once, and done must not be called from here. */
    ev_timer_init(&d->stagger, on_stagger, 0, 0);
    defer(loop, &d->stagger);
}

void dial_note_ends(struct dial *d, struct own_ends *ends)
{
    assert(d->running && !d->latest);
    d->ends = ends;
}

void dial_early(struct dial *d, const struct buf *early, size_t len)
{
    assert(d->running && !d->latest && len <= early->len);
    d->early = early;
    d->early_len = len;
}

/* Bit 0 enables clients (Linux, ip-sysctl.rst, "tcp_fastopen"). */
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
