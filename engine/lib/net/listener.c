#include "net/listener.h"

#include "net/keepalive.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* Clients accepted in one turn of the loop, so that a storm of them does not delay the others. */
enum { ACCEPTS_A_TURN = 64 };
/* Long enough not to spin, too short for a person to notice. */
static const double STARVED_PAUSE_S = 0.1;

static void listener_starve(struct listener *l, int err)
{
    ev_io_stop(l->loop, &l->io);
    ev_timer_set(&l->pause, STARVED_PAUSE_S, 0);
    ev_timer_start(l->loop, &l->pause);
    if (l->starved)
        l->starved(l, err);
}

/* Whether a failure of accept concerns one client only, so that the next can be accepted. Linux also reports
 * pending network errors of the new socket here (accept(2), "Error handling"). */
static bool one_client_lost(int err)
{
    switch (err) {
    case EINTR:
    case ECONNABORTED:
    case EPERM: /* a firewall rejects this client */
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return true;
    default:
        return false;
    }
}

/* accepted() may close or hold the listener. */
static void take(struct listener *l, int most, int tries_max)
{
    for (int tries = 0, taken = 0; tries < tries_max && taken < most && l->open && !l->held; tries++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof from;
        int fd = accept4(l->io.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (one_client_lost(errno))
                continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                listener_starve(l, errno); /* pause for unknown errors too, so that they do not spin */
            return;
        }
        struct addr peer = {.in6 = {.sin6_family = AF_UNSPEC}};
        (void)!addr_from_sockaddr(&peer, (struct sockaddr *)&from, len);
        taken++;
        l->accepted(l, fd, &peer);
    }
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
    struct listener *l = container_of(io, struct listener, io);

    /* An accept that finds no client costs as much as one that does. So more than one is tried only if
     * clients came in the previous turn too. */
    unsigned turn = ev_iteration(loop);
    int most = turn - l->last_turn == 1 ? ACCEPTS_A_TURN : 1;

    (void)events;
    l->last_turn = turn;
    take(l, most, ACCEPTS_A_TURN);
}

void listener_take_waiting(struct listener *l)
{
    take(l, SOMAXCONN, SOMAXCONN);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct listener *l = container_of(timer, struct listener, pause);

    (void)events;
    if (!l->held)
        ev_io_start(loop, &l->io);
}

void listener_hold(struct listener *l, bool held)
{
    if (!l->open || l->held == held)
        return;
    l->held = held;
    if (held)
        ev_io_stop(l->loop, &l->io);
    else if (!ev_is_active(&l->pause))
        ev_io_start(l->loop, &l->io);
}

/* @param ret_absent  whether this machine lacks the address */
static int bind_address(int fd, const struct addr *addr, enum listener_absent absent, bool *ret_absent)
{
    *ret_absent = false;
    if (bind(fd, &addr->sa, addr_len(addr)) == 0)
        return 0;
    /* A loopback address is missing only with its family. */
    if (errno != EADDRNOTAVAIL || absent == LISTENER_REFUSES || addr_is_loopback(addr))
        return -errno;
    *ret_absent = true;
    return setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &(int){1}, sizeof(int)) < 0 ||
                   bind(fd, &addr->sa, addr_len(addr)) < 0
               ? -errno
               : 0;
}

static int be_transparent(int fd, const struct addr *addr)
{
    bool four = addr_family(addr) == AF_INET;

    return setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_TRANSPARENT : IPV6_TRANSPARENT,
                      &(int){1}, sizeof(int)) < 0
               ? -errno
               : 0;
}

/* Set what accepted sockets inherit, which saves system calls for each client. */
static int set_inherited(int fd)
{
    int on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return -errno;
    /* An urgent byte is a byte of the stream (RFC 6093); else recv leaves it out. */
    if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on) < 0)
        return -errno;
    keepalive_set(fd);
    return 0;
}

static int share_port(int fd, bool on)
{
    int value = on;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value) < 0 ? -errno : 0;
}

int listener_share_port(struct listener *l, bool on)
{
    return l->open ? share_port(l->io.fd, on) : 0;
}

static int socket_bind(int fd, const struct addr *addr, const struct listener_kind *kind, bool *ret_absent)
{
    int on = 1;

    /* A restart must not wait until connections of the last run leave TIME_WAIT. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    if (addr_family(addr) == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        return -errno;
    int r = kind->beside ? share_port(fd, true) : 0;
    if (r == 0 && kind->transparent)
        r = be_transparent(fd, addr);
    return r < 0 ? r : bind_address(fd, addr, kind->absent, ret_absent);
}

static int socket_listen(int fd, struct addr *ret_bound)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    int r = set_inherited(fd);

    if (r < 0)
        return r;
    if (listen(fd, SOMAXCONN) < 0)
        return -errno;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0)
        return -errno;
    return addr_from_sockaddr(ret_bound, (struct sockaddr *)&bound, len);
}

int listener_open_on(struct listener *l, struct ev_loop *loop, int fd, listener_accept_fn *accepted,
                     listener_starved_fn *starved)
{
    struct addr bound;
    int r = socket_listen(fd, &bound);

    if (r < 0) {
        (void)close(fd);
        return r;
    }
    *l = (struct listener){
        .loop = loop, .addr = bound, .accepted = accepted, .starved = starved, .open = true};
    ev_io_init(&l->io, on_client, fd, EV_READ);
    ev_timer_init(&l->pause, on_pause_over, STARVED_PAUSE_S, 0);
    ev_io_start(loop, &l->io);
    return 0;
}

int listener_open(struct listener *l, struct ev_loop *loop, const struct addr *addr,
                  const struct listener_kind *kind, listener_accept_fn *accepted,
                  listener_starved_fn *starved)
{
    bool is_absent;

    if (kind->bound)
        return listener_open_on(l, loop, *kind->bound, accepted, starved);
    if (addr_len(addr) == 0)
        return -EAFNOSUPPORT;
    int fd = socket(addr_family(addr), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = socket_bind(fd, addr, kind, &is_absent);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    r = listener_open_on(l, loop, fd, accepted, starved);
    if (r == 0)
        l->absent = is_absent;
    if (r == 0 && kind->beside)
        r = listener_share_port(l, false);
    return r;
}

void listener_close(struct listener *l)
{
    if (!l->open)
        return;
    ev_io_stop(l->loop, &l->io);
    ev_timer_stop(l->loop, &l->pause);
    (void)close(l->io.fd);
    l->open = false;
}
