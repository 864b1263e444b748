/* The smallest possible SOCKS5 relay for datagrams, on libev: the floor that the proxy is compared with. Each
 * association has a port, and each port of its client a connected socket. It serves IPv4 alone, and a port of
 * a client has one destination. It chooses nothing, logs nothing, and has no timeouts. floor_udp ADDRESS:PORT
 */
#include "wire.h"

#include <ev.h>
#include <stddef.h>

/* Any datagram fits. One buffer's distance to the next is no multiple of a page: otherwise all of them would
 * compete for the same places of the processor's cache. */
enum { BATCH = 64, HEAD = 10, SPACE = 64 * 1024 + 320 };

struct way {
    ev_io far;
    struct association *of;
    struct sockaddr_in client, origin;
    struct way *next;
};

struct association {
    ev_io control, near;
    struct way *ways;
    bool greeted;
};

static struct ev_loop *loop;
static struct sockaddr_in here;
static unsigned char space[BATCH][SPACE];
static struct sockaddr_in names[BATCH];
static struct iovec parts[BATCH];
static struct mmsghdr messages[BATCH];

/* Receive into the space behind this many bytes of each buffer. */
static int receive(int fd, size_t skip, bool named)
{
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){space[i] + skip, SPACE - skip};
        messages[i].msg_hdr = (struct msghdr){.msg_name = named ? &names[i] : NULL,
                                              .msg_namelen = named ? sizeof names[i] : 0,
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1};
    }
    return recvmmsg(fd, messages, BATCH, 0, NULL);
}

/* What the socket's buffer has no room for is lost. */
static void send_some(int fd, int from, int to)
{
    if (from < to)
        (void)sendmmsg(fd, messages + from, (unsigned)(to - from), 0);
}

static void on_far(struct ev_loop *l, ev_io *w, int events)
{
    struct way *to = (struct way *)((char *)w - offsetof(struct way, far));
    unsigned char head[HEAD] = {0, 0, 0, 1};

    (void)l;
    (void)events;
    memcpy(head + 4, &to->origin.sin_addr, 4);
    memcpy(head + 8, &to->origin.sin_port, 2);
    int n = receive(w->fd, HEAD, false);
    for (int i = 0; i < n; i++) {
        memcpy(space[i], head, HEAD);
        parts[i] = (struct iovec){space[i], HEAD + messages[i].msg_len};
        messages[i].msg_hdr.msg_name = &to->client;
        messages[i].msg_hdr.msg_namelen = sizeof to->client;
    }
    send_some(to->of->near.fd, 0, n);
}

/* @return the way of this client's port; NULL when there is none and none can be made */
static struct way *way_of(struct association *a, const struct sockaddr_in *client, const unsigned char *head)
{
    struct way *to = a->ways;

    while (to && to->client.sin_port != client->sin_port)
        to = to->next;
    if (to)
        return to;
    to = calloc(1, sizeof *to);
    if (!to)
        die("calloc");
    to->client = *client;
    to->origin.sin_family = AF_INET;
    memcpy(&to->origin.sin_addr, head + 4, 4);
    memcpy(&to->origin.sin_port, head + 8, 2);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to->origin, sizeof to->origin) < 0)
        die("cannot reach the origin");
    to->of = a;
    to->next = a->ways;
    a->ways = to;
    ev_io_init(&to->far, on_far, fd, EV_READ);
    ev_io_start(loop, &to->far);
    return to;
}

static void on_near(struct ev_loop *l, ev_io *w, int events)
{
    struct association *a = (struct association *)((char *)w - offsetof(struct association, near));
    struct way *last = NULL;
    int begun = 0;

    (void)l;
    (void)events;
    int n = receive(w->fd, 0, true);
    for (int i = 0; i < n; i++) {
        bool right = messages[i].msg_len >= HEAD && memcmp(space[i], "\0\0\0\1", 4) == 0;
        struct way *to = right ? way_of(a, &names[i], space[i]) : NULL;
        if (to != last || !to) {
            if (last)
                send_some(last->far.fd, begun, i);
            begun = i;
            last = to;
        }
        if (!to)
            continue;
        parts[i] = (struct iovec){space[i] + HEAD, messages[i].msg_len - HEAD};
        messages[i].msg_hdr.msg_name = NULL;
        messages[i].msg_hdr.msg_namelen = 0;
    }
    if (last)
        send_some(last->far.fd, begun, n);
}

static void end(struct association *a)
{
    for (struct way *to = a->ways, *next; to; to = next) {
        next = to->next;
        ev_io_stop(loop, &to->far);
        (void)close(to->far.fd);
        free(to);
    }
    if (a->near.fd >= 0) {
        ev_io_stop(loop, &a->near);
        (void)close(a->near.fd);
    }
    ev_io_stop(loop, &a->control);
    (void)close(a->control.fd);
    free(a);
}

/* @return whether the client knows of its port */
static bool associate(struct association *a)
{
    struct sockaddr_in at = here;
    unsigned char reply[HEAD] = {5, 0, 0, 1};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    at.sin_port = 0;
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &(socklen_t){sizeof at}) < 0)
        die("cannot open a port");
    ev_io_set(&a->near, fd, EV_READ);
    ev_io_start(loop, &a->near);
    memcpy(reply + 4, &at.sin_addr, 4);
    memcpy(reply + 8, &at.sin_port, 2);
    return send(a->control.fd, reply, sizeof reply, MSG_NOSIGNAL) == (ssize_t)sizeof reply;
}

/* The load sends each part of the handshake in one piece. */
static void on_control(struct ev_loop *l, ev_io *w, int events)
{
    struct association *a = (struct association *)w;
    unsigned char in[300];
    ssize_t n = recv(w->fd, in, sizeof in, 0);

    (void)l;
    (void)events;
    if (wire_later(n))
        return;
    if (n <= 0 || a->near.fd >= 0)
        return end(a);
    if (!a->greeted) {
        a->greeted = true;
        if (send(w->fd, "\5\0", 2, MSG_NOSIGNAL) != 2)
            end(a);
    } else if (n < HEAD || in[1] != 3 || !associate(a)) {
        end(a);
    }
}

static void on_client(struct ev_loop *l, ev_io *w, int events)
{
    (void)l;
    (void)events;
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct association *a = calloc(1, sizeof *a);
    if (!a)
        die("calloc");
    ev_io_init(&a->control, on_control, fd, EV_READ);
    ev_io_init(&a->near, on_near, -1, EV_READ);
    ev_io_start(loop, &a->control);
}

int main(int argc, char **argv)
{
    ev_io listening;

    if (argc != 2)
        return 2;
    here = wire_place(argv[1]);
    loop = ev_default_loop(EVFLAG_AUTO);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!loop || fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&here, sizeof here) < 0 || listen(fd, 4096) < 0)
        die("cannot listen");
    ev_io_init(&listening, on_client, fd, EV_READ);
    ev_io_start(loop, &listening);
    (void)ev_run(loop, 0);
}
