/* A relay between two loopback TCP connections; the test holds the far ends. Include cmocka.h before it. */
#ifndef STEERWAY_TESTS_RELAY_FIXTURE_H
#define STEERWAY_TESTS_RELAY_FIXTURE_H

#include "relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const double GIVE_UP_S = 60;

struct fixture {
    struct ev_loop *loop;
    struct relay_room room;
    struct relay relay;
    ev_timer alarm;
    int client, server; /* the far ends: what the proxy's clients and servers hold */
    bool done, late;
    enum relay_end end;
};

static inline void nonblocking(int fd)
{
    assert_return_code(fcntl(fd, F_SETFL, O_NONBLOCK), errno);
}

/* A connected TCP pair, so that resets and half-closes come from the kernel.
 * @param window  bytes that a's kernel buffers for its reader; 0 for the default */
static inline void tcp_pair(int window, int *ret_a, int *ret_b)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_return_code(bind(listener, (struct sockaddr *)&addr, sizeof addr), errno);
    assert_return_code(listen(listener, 1), errno);
    assert_return_code(getsockname(listener, (struct sockaddr *)&addr, &len), errno);
    *ret_a = socket(AF_INET, SOCK_STREAM, 0);
    /* Segments as on a real line: with loopback's 64 KiB, a small window would open only in leaps. */
    int segment = 1400;
    assert_return_code(setsockopt(*ret_a, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment), errno);
    if (window > 0)
        assert_return_code(setsockopt(*ret_a, SOL_SOCKET, SO_RCVBUF, &window, sizeof window), errno);
    assert_return_code(connect(*ret_a, (struct sockaddr *)&addr, sizeof addr), errno);
    *ret_b = accept(listener, NULL, NULL);
    assert_return_code(*ret_b, errno);
    nonblocking(*ret_a);
    nonblocking(*ret_b);
    close(listener);
}

static inline void on_done(struct relay *r, enum relay_end end)
{
    struct fixture *f = container_of(r, struct fixture, relay);
    assert_false(f->done);
    f->done = true;
    f->end = end;
}

static const struct relay_events EVENTS = {.done = on_done};

static inline void on_alarm(struct ev_loop *loop, ev_timer *w, int events)
{
    struct fixture *f = container_of(w, struct fixture, alarm);
    (void)loop;
    (void)events;
    f->late = true;
}

static inline void start_with_window(struct fixture *f, int client_window, struct slice early_client,
                                     struct slice early_server, double idle_s)
{
    int client_fd, dest_fd;

    *f = (struct fixture){.loop = ev_loop_new(EVFLAG_AUTO)};
    relay_room_init(&f->room, f->loop, idle_s, &EVENTS);
    tcp_pair(client_window, &f->client, &client_fd);
    tcp_pair(0, &dest_fd, &f->server);
    ev_timer_init(&f->alarm, on_alarm, GIVE_UP_S, 0.);
    ev_timer_start(f->loop, &f->alarm);
    assert_int_equal(relay_start(&f->relay, &f->room, client_fd, dest_fd, early_client, early_server), 0);
}

static inline void start(struct fixture *f, struct slice early_client, struct slice early_server,
                         double idle_s)
{
    start_with_window(f, 0, early_client, early_server, idle_s);
}

static inline void finish(struct fixture *f)
{
    assert_true(f->done);
    if (f->client >= 0)
        close(f->client);
    if (f->server >= 0)
        close(f->server);
    ev_timer_stop(f->loop, &f->alarm);
    assert_int_equal(ev_pending_count(f->loop), 0);
    assert_int_equal(f->room.pump.pipes.n_held, 0);
    relay_room_done(&f->room);
    ev_loop_destroy(f->loop);
}

static const struct slice NOTHING = {"", 0};

static inline void turn(struct fixture *f)
{
    ev_run(f->loop, EVRUN_NOWAIT);
    assert_false(f->late);
}

/* Byte n of a stream; a lost, doubled or misplaced byte shows. */
static inline char byte_at(size_t n)
{
    return (char)(n * 31 + (n >> 8) * 7 + (n >> 16));
}

/* Write as much as possible. @return bytes written in all */
static inline size_t feed(int fd, size_t sent, size_t total)
{
    char data[16384];
    while (sent < total) {
        size_t n = total - sent < sizeof data ? total - sent : sizeof data;
        for (size_t i = 0; i < n; i++)
            data[i] = byte_at(sent + i);
        ssize_t w = send(fd, data, n, MSG_NOSIGNAL);
        if (w < 0)
            break;
        sent += (size_t)w;
    }
    return sent;
}

/* Read and check what has arrived. @return bytes read in all; sets *ret_end to 1 at FIN, to -1 at a reset */
static inline size_t drain(int fd, size_t got, int *ret_end)
{
    char data[16384];
    for (;;) {
        ssize_t n = recv(fd, data, sizeof data, 0);
        if (n == 0)
            *ret_end = 1;
        else if (n < 0 && errno != EAGAIN)
            *ret_end = -1;
        if (n <= 0)
            return got;
        for (size_t i = 0; i < (size_t)n; i++)
            if (data[i] != byte_at(got + i))
                fail_msg("byte %zu is wrong", got + i);
        got += (size_t)n;
    }
}

static inline void reset_now(int *fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(*fd);
    *fd = -1;
}

#endif
