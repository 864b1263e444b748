/* The smallest possible SOCKS5 relay on libev: the floor that the proxy is compared with. It serves one
 * destination, chooses nothing, logs nothing, and has no timeouts. floor ADDRESS:PORT copy|splice [BYTES] */
#include "wire.h"

#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

enum { BUFFER_MAX = 1 << 20, PIPE = 256 * 1024 };

struct side {
    ev_io read, write;
    struct side *other;
    struct pair *pair;
    size_t waiting; /* bytes for this side: in the pair's pipe, or copied in kept */
    char *kept;
    size_t kept_from;
    int pipe[2];
    bool ended, shut;
};

struct pair {
    struct side client, far;
    int step; /* 0: greeting, 1: request, 2: connecting, 3: open */
    unsigned char in[300];
    size_t n_in;
};

static struct ev_loop *loop;
static bool splicing;
static size_t piece = 64 * 1024;
static char buffer[BUFFER_MAX];

static void end(struct pair *p)
{
    struct side *sides[] = {&p->client, &p->far};

    for (int i = 0; i < 2; i++) {
        struct side *s = sides[i];
        ev_io_stop(loop, &s->read);
        ev_io_stop(loop, &s->write);
        if (s->read.fd >= 0)
            (void)close(s->read.fd);
        if (s->pipe[0] >= 0) {
            (void)close(s->pipe[0]);
            (void)close(s->pipe[1]);
        }
        free(s->kept);
    }
    free(p);
}

static bool pass_end(struct side *to)
{
    struct pair *p = to->pair;

    if (!to->other->ended || to->shut || to->waiting > 0)
        return true;
    to->shut = true;
    (void)shutdown(to->read.fd, SHUT_WR);
    if (!p->client.shut || !p->far.shut)
        return true;
    end(p);
    return false;
}

static void rest(struct side *from)
{
    ev_io_stop(loop, &from->read);
    ev_io_start(loop, &from->other->write);
}

/* A read gave n, which is 0 or an error.
 *  @return false when the pair is gone */
static bool ended(struct side *from, ssize_t n)
{
    if (n < 0)
        return end(from->pair), false;
    from->ended = true;
    ev_io_stop(loop, &from->read);
    return pass_end(from->other);
}

/* @return false when the pair is gone */
static bool copy(struct side *from)
{
    struct side *to = from->other;
    ssize_t n = recv(from->read.fd, buffer, piece, 0);

    if (wire_later(n))
        return true;
    if (n <= 0)
        return ended(from, n);
    ssize_t sent = send(to->read.fd, buffer, (size_t)n, MSG_NOSIGNAL);
    if (sent < 0 && !wire_later(sent))
        return end(from->pair), false;
    if (sent == n)
        return true;
    if (sent < 0)
        sent = 0;
    to->waiting = (size_t)(n - sent);
    to->kept = malloc(to->waiting);
    if (!to->kept)
        die("malloc");
    memcpy(to->kept, buffer + sent, to->waiting);
    to->kept_from = 0;
    rest(from);
    return true;
}

static bool drain(struct side *to)
{
    ssize_t n = to->kept ? send(to->read.fd, to->kept + to->kept_from, to->waiting, MSG_NOSIGNAL)
                         : splice(to->pipe[0], NULL, to->read.fd, NULL, to->waiting,
                                  SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

    if (n < 0 && !wire_later(n))
        return end(to->pair), false;
    if (n > 0) {
        to->waiting -= (size_t)n;
        to->kept_from += (size_t)n;
    }
    return true;
}

static bool splice_on(struct side *from)
{
    struct side *to = from->other;

    if (to->pipe[0] < 0) {
        if (pipe2(to->pipe, O_NONBLOCK | O_CLOEXEC) < 0)
            die("pipe2");
        (void)fcntl(to->pipe[1], F_SETPIPE_SZ, PIPE);
    }
    ssize_t n = splice(from->read.fd, NULL, to->pipe[1], NULL, PIPE, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (wire_later(n))
        return true;
    if (n <= 0)
        return ended(from, n);
    to->waiting += (size_t)n;
    if (!drain(to))
        return false;
    if (to->waiting > 0)
        rest(from);
    return true;
}

static void on_read(struct ev_loop *l, ev_io *w, int events)
{
    struct side *from = (struct side *)w;

    (void)l;
    (void)events;
    (void)(splicing ? splice_on(from) : copy(from));
}

static void on_write(struct ev_loop *l, ev_io *w, int events)
{
    struct side *to = (struct side *)((char *)w - offsetof(struct side, write));

    (void)l;
    (void)events;
    if (!drain(to) || to->waiting > 0)
        return;
    free(to->kept);
    to->kept = NULL;
    ev_io_stop(loop, &to->write);
    if (!to->other->ended)
        ev_io_start(loop, &to->other->read);
    (void)pass_end(to);
}

static void on_connected(struct ev_loop *l, ev_io *w, int events)
{
    struct side *far = (struct side *)((char *)w - offsetof(struct side, write));
    struct pair *p = far->pair;
    static const unsigned char well[] = {5, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    int err = 0;

    (void)l;
    (void)events;
    ev_io_stop(loop, w);
    if (getsockopt(far->read.fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){sizeof err}) < 0 || err != 0 ||
        send(p->client.read.fd, well, sizeof well, MSG_NOSIGNAL) != (ssize_t)sizeof well)
        return end(p);
    p->step = 3;
    ev_set_cb(&far->write, on_write);
    ev_set_cb(&p->client.read, on_read);
    ev_io_start(loop, &p->client.read);
    ev_io_start(loop, &far->read);
}

static void dial(struct pair *p)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return end(p);
    memcpy(&to.sin_addr, p->in + 4, 4);
    memcpy(&to.sin_port, p->in + 8, 2);
    wire_prompt(fd);
    ev_io_set(&p->far.read, fd, EV_READ);
    ev_io_set(&p->far.write, fd, EV_WRITE);
    ev_set_cb(&p->far.write, on_connected);
    ev_io_stop(loop, &p->client.read);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        return end(p);
    p->step = 2;
    ev_io_start(loop, &p->far.write);
}

static void on_handshake(struct ev_loop *l, ev_io *w, int events)
{
    struct side *client = (struct side *)w;
    struct pair *p = client->pair;
    ssize_t n = recv(w->fd, p->in + p->n_in, sizeof p->in - p->n_in, 0);

    (void)l;
    (void)events;
    if (wire_later(n))
        return;
    if (n <= 0)
        return end(p);
    p->n_in += (size_t)n;
    if (p->step == 0 && p->n_in >= 2 && p->n_in >= 2u + p->in[1]) {
        if (send(w->fd, "\5\0", 2, MSG_NOSIGNAL) != 2)
            return end(p);
        p->n_in = 0;
        p->step = 1;
    } else if (p->step == 1 && p->n_in >= 10) {
        dial(p);
    }
}

static void on_client(struct ev_loop *l, ev_io *w, int events)
{
    (void)l;
    (void)events;
    for (int i = 0; i < 16; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct pair *p = calloc(1, sizeof *p);
        if (!p)
            die("calloc");
        wire_prompt(fd);
        ev_io_init(&p->client.read, on_handshake, fd, EV_READ);
        ev_io_init(&p->client.write, on_write, fd, EV_WRITE);
        ev_io_init(&p->far.read, on_read, -1, EV_READ);
        ev_io_init(&p->far.write, on_connected, -1, EV_WRITE);
        p->client.other = &p->far;
        p->far.other = &p->client;
        p->client.pair = p->far.pair = p;
        p->client.pipe[0] = p->far.pipe[0] = -1;
        ev_io_start(loop, &p->client.read);
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    ev_io listening;

    if (argc < 3)
        return 2;
    (void)signal(SIGPIPE, SIG_IGN); /* splice has no MSG_NOSIGNAL */
    struct sockaddr_in at = wire_place(argv[1]);
    splicing = strcmp(argv[2], "splice") == 0;
    if (argc > 3)
        piece = strtoul(argv[3], NULL, 10);
    if (piece == 0 || piece > BUFFER_MAX)
        return 2;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    loop = ev_default_loop(EVFLAG_AUTO);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!loop || fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4096) < 0)
        die("cannot listen");
    ev_io_init(&listening, on_client, fd, EV_READ);
    ev_io_start(loop, &listening);
    (void)printf("ready\n");
    (void)fflush(stdout);
    (void)ev_run(loop, 0);
}
