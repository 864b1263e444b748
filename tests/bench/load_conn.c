#include "load.h"

#include <stdarg.h>

enum { EVENTS = 256, SOURCE_ADDRESSES = 64, PORTS_EACH = 20000 };

struct load load;
static unsigned char scratch[WIRE_PIECE];

static void fail(const struct conn *c, const char *what)
{
    (void)fprintf(stderr, "load: %s (step %d, %llu of %llu bytes): %s\n", what, c->step,
                  (unsigned long long)c->place, (unsigned long long)c->length, strerror(errno));
    exit(1);
}

static void watch(struct conn *c, bool writing)
{
    struct epoll_event e = {.events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};

    if (c->writing == writing)
        return;
    c->writing = writing;
    if (epoll_ctl(load.poller, EPOLL_CTL_MOD, c->fd, &e) < 0)
        fail(c, "epoll_ctl");
}

/* Send something shorter than any buffer. */
static void say(struct conn *c, const void *data, size_t n)
{
    if (send(c->fd, data, n, MSG_NOSIGNAL) != (ssize_t)n)
        fail(c, "cannot send");
}

static void say_text(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say_text(struct conn *c, const char *fmt, ...)
{
    char text[320];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    say(c, text, (size_t)n);
}

static const char *origin_text(char out[32])
{
    char host[INET_ADDRSTRLEN];

    (void)snprintf(out, 32, "%s:%u", inet_ntop(AF_INET, &load.origin.sin_addr, host, sizeof host),
                   ntohs(load.origin.sin_port));
    return out;
}

/* --- tasks ---------------------------------------------------------------------------------------------- */

enum { STEP_CONNECTING, STEP_GREETED, STEP_ASKED, STEP_OPEN, STEP_BODY /* nothing but the pattern comes */ };

static void ask_http(struct conn *c)
{
    bool forward = c->how == BY_FORWARD;
    char origin[32], path[24] = "";

    (void)origin_text(origin);
    if (c->task == TASK_GET)
        (void)snprintf(path, sizeof path, "%llu", (unsigned long long)c->length);
    say_text(c, "GET %s%s/%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\n%s\r\n", forward ? "http://" : "",
             forward ? origin : "", path, origin, forward ? "Proxy-Connection: keep-alive\r\n" : "");
}

static void begin_unit(struct conn *c)
{
    unsigned char message[WIRE_MESSAGE];

    c->resting = false;
    c->since = wire_now();
    c->place = 0;
    c->n_in = 0;
    switch (c->task) {
    case TASK_ECHO:
        memcpy(message, wire_pattern, sizeof message);
        message[0] = 'E';
        return say(c, message, sizeof message);
    case TASK_DOWN:
    case TASK_UP:
        message[0] = c->task == TASK_DOWN ? 'D' : 'U';
        wire_put_length(message + 1, c->length);
        say(c, message, WIRE_ASK);
        if (c->task == TASK_DOWN)
            c->step = STEP_BODY;
        return watch(c, c->task == TASK_UP);
    case TASK_HTTP:
    case TASK_GET:
        return ask_http(c);
    }
}

void conn_again(struct conn *c)
{
    if (c->fd < 0)
        return conn_start(c);
    begin_unit(c);
}

static void unit_done(struct conn *c)
{
    c->n_in = 0;
    c->resting = true;
    if (c->done(c, wire_now() - c->since))
        begin_unit(c);
}

static void take_echo(struct conn *c)
{
    if (c->n_in < WIRE_MESSAGE)
        return;
    if (c->n_in > WIRE_MESSAGE || c->in[0] != 'E' ||
        memcmp(c->in + 1, wire_pattern + 1, WIRE_MESSAGE - 1) != 0)
        fail(c, "another echo came back");
    load.bytes += WIRE_MESSAGE;
    unit_done(c);
}

/* @return the length of the answer's head; 0 while it is incomplete */
static size_t head_of(const struct conn *c)
{
    const unsigned char *blank = memmem(c->in, c->n_in, "\r\n\r\n", 4);

    if (blank && (memcmp(c->in, "HTTP/1.", 7) != 0 || memcmp(c->in + 8, " 200", 4) != 0))
        fail(c, "another answer came");
    return blank ? (size_t)(blank + 4 - c->in) : 0;
}

static void take_http(struct conn *c)
{
    size_t head = head_of(c);

    if (head == 0 || c->n_in < head + WIRE_BODY)
        return;
    if (c->n_in > head + WIRE_BODY || memcmp(c->in + head, wire_pattern, WIRE_BODY) != 0)
        fail(c, "another body came");
    load.bytes += WIRE_BODY;
    unit_done(c);
}

static void take_down(struct conn *c, const unsigned char *data, size_t n)
{
    if (n > c->length - c->place || memcmp(data, wire_at(c->place), n) != 0)
        fail(c, "other bytes came");
    c->place += n;
    load.bytes += n;
    if (c->place == c->length)
        unit_done(c);
}

static void take_get(struct conn *c)
{
    size_t head = head_of(c);

    if (head == 0)
        return;
    c->step = STEP_BODY;
    if (c->n_in > head)
        take_down(c, c->in + head, c->n_in - head);
}

static void give_up(struct conn *c)
{
    for (int turn = 0; turn < 4 && c->place < c->length; turn++) {
        uint64_t left = c->length - c->place;
        ssize_t n =
            send(c->fd, wire_at(c->place), left < WIRE_PIECE ? (size_t)left : WIRE_PIECE, MSG_NOSIGNAL);
        if (wire_later(n))
            return;
        if (n <= 0)
            fail(c, "cannot send");
        c->place += (uint64_t)n;
        load.bytes += (uint64_t)n;
    }
    if (c->place == c->length)
        watch(c, false);
}

static void take_up(struct conn *c)
{
    if (c->n_in == 0)
        return;
    if (c->place < c->length || c->in[0] != 'K')
        fail(c, "the origin got other bytes");
    unit_done(c);
}

/* --- connecting ----------------------------------------------------------------------------------------- */

static void open_up(struct conn *c)
{
    c->step = STEP_OPEN;
    begin_unit(c);
}

static void on_connected(struct conn *c)
{
    char origin[32];
    int err = 0;

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &(socklen_t){sizeof err}) < 0 || err != 0) {
        errno = err;
        fail(c, "cannot connect");
    }
    watch(c, false);
    if (c->how == BY_NONE || c->how == BY_FORWARD)
        return open_up(c);
    if (c->how != BY_CONNECT) {
        c->step = STEP_GREETED;
        return say(c, "\5\1\0", 3);
    }
    c->step = STEP_ASKED;
    (void)origin_text(origin);
    say_text(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", origin, origin);
}

/* Different names in different runs, since the proxy may cache. */
static void ask_socks5(struct conn *c)
{
    static unsigned asked;
    unsigned char request[64] = {5, 1, 0, 1};
    size_t n = 8;

    if (c->how == BY_SOCKS5) {
        memcpy(request + 4, &load.origin.sin_addr, 4);
    } else {
        unsigned number = c->how == BY_NAMES ? ++asked : 0;
        request[3] = 3;
        request[4] = (unsigned char)sprintf((char *)request + 5, "n%u.run%d.example", number,
                                            c->how == BY_NAMES ? (int)getpid() : 0);
        n = 5u + request[4];
    }
    memcpy(request + n, &load.origin.sin_port, 2);
    say(c, request, n + 2);
}

static void take_handshake(struct conn *c)
{
    if (c->step == STEP_GREETED) {
        if (c->n_in < 2)
            return;
        if (c->n_in > 2 || memcmp(c->in, "\5\0", 2) != 0)
            fail(c, "the proxy does not greet");
        c->n_in = 0;
        c->step = STEP_ASKED;
        return ask_socks5(c);
    }
    bool whole = c->how == BY_CONNECT ? head_of(c) > 0 : c->n_in >= 10;
    if (!whole)
        return;
    if (c->how != BY_CONNECT && c->in[1] != 0)
        fail(c, "the proxy does not connect");
    open_up(c);
}

static void take(struct conn *c, size_t n)
{
    if (c->step == STEP_BODY)
        return take_down(c, scratch, n);
    if (n > sizeof c->in - c->n_in)
        fail(c, "too much came");
    memcpy(c->in + c->n_in, scratch, n);
    c->n_in += n;
    if (c->step != STEP_OPEN)
        return take_handshake(c);
    if (c->task == TASK_ECHO)
        take_echo(c);
    else if (c->task == TASK_HTTP)
        take_http(c);
    else if (c->task == TASK_GET)
        take_get(c);
    else
        take_up(c);
}

static void on_event(struct conn *c, uint32_t events)
{
    if (c->step == STEP_CONNECTING)
        return on_connected(c);
    if (events & EPOLLOUT)
        give_up(c);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t n = recv(c->fd, scratch, c->step == STEP_BODY ? sizeof scratch : sizeof c->in - c->n_in, 0);
    if (wire_later(n))
        return;
    if (n <= 0 && c->task == TASK_HTTP && c->step == STEP_OPEN && c->n_in == 0) {
        conn_close(c); /* it keeps none: then a new connection is part of a request's cost */
        if (!c->resting)
            conn_start(c);
        return;
    }
    if (n <= 0)
        fail(c, "the connection ended");
    take(c, (size_t)n);
}

void load_begin(void)
{
    wire_init();
    load.poller = epoll_create1(EPOLL_CLOEXEC);
    if (load.poller < 0)
        die("epoll_create1");
}

/* --- connections ---------------------------------------------------------------------------------------- */

/* One address has ports for some 28,000 connections to one place; the loopback network has many. */
static void choose_source(int fd)
{
    static unsigned made;
    struct sockaddr_in from = {.sin_family = AF_INET};

    if ((ntohl(load.proxy.sin_addr.s_addr) >> 24) != 127)
        return;
    from.sin_addr.s_addr = htonl(0x7f000002u + (made++ / PORTS_EACH) % SOURCE_ADDRESSES);
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0)
        die("cannot bind");
}

void conn_start(struct conn *c)
{
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    c->step = STEP_CONNECTING;
    c->writing = true;
    c->n_in = 0;
    c->place = 0;
    wire_prompt(c->fd);
    choose_source(c->fd);
    if (connect(c->fd, (struct sockaddr *)&load.proxy, sizeof load.proxy) < 0 && errno != EINPROGRESS)
        fail(c, "cannot connect");
    if (epoll_ctl(load.poller, EPOLL_CTL_ADD, c->fd,
                  &(struct epoll_event){.events = EPOLLIN | EPOLLOUT, .data.ptr = c}) < 0)
        fail(c, "epoll_ctl");
}

void conn_close(struct conn *c)
{
    (void)close(c->fd);
    c->fd = -1;
}

void conn_turn(double wait_s)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(load.poller, events, EVENTS, (int)(wait_s * 1000));

    for (int i = 0; i < n; i++)
        on_event(events[i].data.ptr, events[i].events);
    if (n < 0 && errno != EINTR)
        die("epoll_wait");
}
