/* A server for measurements (wire.h): origin ADDRESS:PORT */
#include "wire.h"

#include <fcntl.h>
#include <sys/resource.h>

enum { EVENTS = 256, HEAD_MAX = 2048 };

struct client {
    int fd;
    char wish; /* 0: not known yet */
    bool writing, bad, half;
    uint64_t place, length;
    unsigned char ask[WIRE_ASK];
    size_t n_ask;
    unsigned char wait[WIRE_MESSAGE * 64]; /* the part of an echo that is not sent yet */
    size_t n_wait;
    char head[HEAD_MAX];
    size_t n_head;
};

static int poller;

static void watch(struct client *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};

    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e) < 0)
        die("epoll_ctl");
}

static void end(struct client *c)
{
    (void)close(c->fd);
    free(c);
}

/* @return false when the client is gone */
static bool give_pattern(struct client *c)
{
    for (int turn = 0; turn < 4 && c->place < c->length; turn++) {
        uint64_t left = c->length - c->place;
        size_t n = left < WIRE_PIECE ? (size_t)left : WIRE_PIECE;
        ssize_t sent = send(c->fd, wire_at(c->place), n, MSG_NOSIGNAL);
        if (wire_later(sent))
            break;
        if (sent <= 0)
            return false;
        c->place += (uint64_t)sent;
        if ((size_t)sent < n)
            break;
    }
    if (c->place == c->length)
        return false;
    if (!c->writing)
        watch(c, EPOLLOUT);
    c->writing = true;
    return true;
}

static bool take_pattern(struct client *c, const unsigned char *data, size_t n)
{
    if (n > c->length - c->place)
        return false;
    c->bad = c->bad || memcmp(data, wire_at(c->place), n) != 0;
    c->place += n;
    if (c->place < c->length)
        return true;
    (void)!send(c->fd, c->bad ? "X" : "K", 1, MSG_NOSIGNAL);
    return false;
}

static bool echo(struct client *c, const unsigned char *data, size_t n)
{
    ssize_t sent = c->n_wait == 0 ? send(c->fd, data, n, MSG_NOSIGNAL) : 0;

    if (sent < 0 && !wire_later(sent))
        return false;
    if (sent < 0)
        sent = 0;
    if (n - (size_t)sent > sizeof c->wait - c->n_wait)
        return false; /* none of our messages is that long */
    memcpy(c->wait + c->n_wait, data + sent, n - (size_t)sent);
    c->n_wait += n - (size_t)sent;
    if (c->n_wait > 0)
        watch(c, EPOLLIN | EPOLLOUT);
    return true;
}

static bool flush_echo(struct client *c)
{
    ssize_t sent = send(c->fd, c->wait, c->n_wait, MSG_NOSIGNAL);

    if (sent < 0)
        return wire_later(sent);
    memmove(c->wait, c->wait + sent, c->n_wait - (size_t)sent);
    c->n_wait -= (size_t)sent;
    if (c->n_wait == 0)
        watch(c, EPOLLIN);
    return true;
}

/* @return false when the client is gone, or to go */
static bool answer_one(struct client *c, uint64_t length, bool closing)
{
    char answer[256 + WIRE_BODY];
    int head = snprintf(answer, sizeof answer,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                        "Content-Length: %llu\r\n%s\r\n",
                        (unsigned long long)(length ? length : WIRE_BODY),
                        length || closing ? "Connection: close\r\n" : "");
    size_t n = (size_t)head;

    if (!length) {
        memcpy(answer + head, wire_pattern, WIRE_BODY);
        n += WIRE_BODY;
    }
    if (send(c->fd, answer, n, MSG_NOSIGNAL) != (ssize_t)n)
        return false;
    c->length = length;
    return length ? give_pattern(c) : !closing;
}

static bool answer_http(struct client *c, const unsigned char *data, size_t n)
{

    if (n > sizeof c->head - 1 - c->n_head)
        return false;
    memcpy(c->head + c->n_head, data, n);
    c->n_head += n;
    c->head[c->n_head] = '\0';
    for (char *blank; (blank = strstr(c->head, "\r\n\r\n"));) {
        size_t used = (size_t)(blank + 4 - c->head);
        blank[2] = '\0';
        bool closing = strcasestr(c->head, "\nConnection: close\r\n") != NULL;
        uint64_t length = strncmp(c->head, "GET /", 5) == 0 ? strtoull(c->head + 5, NULL, 10) : 0;
        memmove(c->head, blank + 4, c->n_head - used + 1);
        c->n_head -= used;
        if (!answer_one(c, length, closing))
            return false;
        if (length)
            return true; /* the last one */
    }
    return true;
}

static bool take(struct client *c, const unsigned char *data, size_t n)
{
    if (!c->wish) {
        c->wish = (char)data[0];
        if (c->wish != 'E' && c->wish != 'D' && c->wish != 'U' && c->wish != 'G')
            return false;
    }
    if (c->wish == 'E')
        return echo(c, data, n);
    if (c->wish == 'G')
        return answer_http(c, data, n);
    for (; c->n_ask < WIRE_ASK && n > 0; n--)
        c->ask[c->n_ask++] = *data++;
    if (c->n_ask < WIRE_ASK)
        return true;
    c->length = wire_length(c->ask + 1);
    if (c->wish == 'D')
        return give_pattern(c);
    return n == 0 || take_pattern(c, data, n);
}

static void on_event(struct client *c, uint32_t events)
{
    static unsigned char data[WIRE_PIECE];

    if (events & EPOLLOUT) {
        if (!(c->n_wait > 0 ? flush_echo(c) : give_pattern(c)))
            end(c);
        return;
    }
    ssize_t n = recv(c->fd, data, sizeof data, 0);
    if (wire_later(n))
        return;
    if (n <= 0 || !take(c, data, (size_t)n))
        end(c);
}

static void welcome(int listener)
{
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct client *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        c->fd = fd;
        wire_prompt(fd);
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c}) < 0)
            die("epoll_ctl");
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    struct epoll_event events[EVENTS];

    if (argc != 2)
        return 2;
    struct sockaddr_in at = wire_place(argv[1]);
    wire_init();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4096) < 0)
        die("cannot listen");
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN}) < 0)
        die("epoll");
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_event(events[i].data.ptr, events[i].events);
            else
                welcome(listener);
        }
    }
}
