/* The relay over real loopback TCP connections: order, half-close, back-pressure, resets, idleness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const double GIVE_UP_S = 20;

struct fixture {
    struct ev_loop *loop;
    struct relay relay;
    ev_timer alarm;
    int client, server; /* the far ends: what the proxy's clients and servers hold */
    bool done, late;
    enum relay_end end;
};

static void nonblocking(int fd)
{
    assert_return_code(fcntl(fd, F_SETFL, O_NONBLOCK), errno);
}

/* A connected TCP pair, so that resets and half-closes are the kernel's own. */
static void tcp_pair(int *ret_a, int *ret_b)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_return_code(bind(listener, (struct sockaddr *)&addr, sizeof addr), errno);
    assert_return_code(listen(listener, 1), errno);
    assert_return_code(getsockname(listener, (struct sockaddr *)&addr, &len), errno);
    *ret_a = socket(AF_INET, SOCK_STREAM, 0);
    assert_return_code(connect(*ret_a, (struct sockaddr *)&addr, sizeof addr), errno);
    *ret_b = accept(listener, NULL, NULL);
    assert_return_code(*ret_b, errno);
    nonblocking(*ret_a);
    nonblocking(*ret_b);
    close(listener);
}

static void on_done(struct relay *r, enum relay_end end)
{
    struct fixture *f = r->owner;
    assert_false(f->done);
    f->done = true;
    f->end = end;
}

static void on_alarm(struct ev_loop *loop, ev_timer *w, int events)
{
    struct fixture *f = container_of(w, struct fixture, alarm);
    (void)loop;
    (void)events;
    f->late = true;
}

static void start(struct fixture *f, struct slice early_client, struct slice early_server, double idle_s)
{
    int client_fd, upstream_fd;

    *f = (struct fixture){.loop = ev_loop_new(EVFLAG_AUTO)};
    tcp_pair(&f->client, &client_fd);
    tcp_pair(&upstream_fd, &f->server);
    ev_timer_init(&f->alarm, on_alarm, GIVE_UP_S, 0.);
    ev_timer_start(f->loop, &f->alarm);
    assert_int_equal(relay_start(&f->relay, f->loop, client_fd, upstream_fd, early_client, early_server,
                                 idle_s, on_done, f),
                     0);
}

static void finish(struct fixture *f)
{
    assert_true(f->done);
    if (f->client >= 0)
        close(f->client);
    if (f->server >= 0)
        close(f->server);
    ev_timer_stop(f->loop, &f->alarm);
    assert_int_equal(ev_pending_count(f->loop), 0);
    ev_loop_destroy(f->loop);
}

static const struct slice NOTHING = {"", 0};

static void turn(struct fixture *f)
{
    ev_run(f->loop, EVRUN_NOWAIT);
    assert_false(f->late);
}

/* The n-th octet of a stream, so that loss, doubling and disorder all show. */
static char octet(size_t n)
{
    return (char)(n * 31 + (n >> 8) * 7 + (n >> 16));
}

/* Write as much as goes. @return octets written in all */
static size_t feed(int fd, size_t sent, size_t total)
{
    char data[16384];
    while (sent < total) {
        size_t n = total - sent < sizeof data ? total - sent : sizeof data;
        for (size_t i = 0; i < n; i++)
            data[i] = octet(sent + i);
        ssize_t w = send(fd, data, n, MSG_NOSIGNAL);
        if (w < 0)
            break;
        sent += (size_t)w;
    }
    return sent;
}

/* Read and check what is there. @return octets read in all; sets *ret_end to 1 at FIN, to -1 at a reset */
static size_t drain(int fd, size_t got, int *ret_end)
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
            if (data[i] != octet(got + i))
                fail_msg("octet %zu is wrong", got + i);
        got += (size_t)n;
    }
}

static void half_close_up_then_down(void **state)
{
    enum { UP = 8 << 20, DOWN = 1 << 20 };
    struct fixture f;
    size_t up_sent = 0, up_got = 0, down_sent = 0, down_got = 0;
    int server_saw = 0, client_saw = 0;
    bool client_shut = false, server_shut = false;

    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    while (!f.done || client_saw == 0) {
        up_sent = feed(f.client, up_sent, UP);
        if (up_sent == UP && !client_shut) {
            shutdown(f.client, SHUT_WR);
            client_shut = true;
        }
        up_got = drain(f.server, up_got, &server_saw);
        if (server_saw == 1) { /* only after the FIN does the server begin to answer */
            down_sent = feed(f.server, down_sent, DOWN);
            if (down_sent == DOWN && !server_shut) {
                shutdown(f.server, SHUT_WR);
                server_shut = true;
            }
        }
        down_got = drain(f.client, down_got, &client_saw);
        turn(&f);
    }
    assert_int_equal(up_got, UP);
    assert_int_equal(down_got, DOWN);
    assert_int_equal(server_saw, 1);
    assert_int_equal(client_saw, 1);
    assert_int_equal(f.end, RELAY_CLOSED);
    assert_int_equal(f.relay.client.received, UP);
    assert_int_equal(f.relay.upstream.received, DOWN);
    finish(&f);
}

static void early_octets_go_first(void **state)
{
    enum { EARLY = 5000, TOTAL = 200000 };
    struct fixture f;
    char early[EARLY];
    int saw = 0, other = 0;

    (void)state;
    for (size_t i = 0; i < EARLY; i++)
        early[i] = octet(i);
    start(&f, slice_of(early, EARLY), slice_of(early, EARLY), 0);
    size_t up = EARLY, down = EARLY, up_got = 0, down_got = 0;
    while (up_got < TOTAL || down_got < TOTAL) {
        up = feed(f.client, up, TOTAL);
        down = feed(f.server, down, TOTAL);
        up_got = drain(f.server, up_got, &saw);
        down_got = drain(f.client, down_got, &other);
        turn(&f);
    }
    relay_stop(&f.relay);
    assert_int_equal(f.end, RELAY_STOPPED);
    assert_int_equal(f.relay.client.received, TOTAL);
    finish(&f);
}

static void slow_reader_stops_the_sender(void **state)
{
    struct fixture f;
    size_t sent = 0, before;
    int saw = 0;

    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    /* The client never reads: once every kernel buffer is full the relay must stop reading the server. */
    int still = 0;
    while (still < 50) {
        before = sent;
        sent = feed(f.server, sent, sent + (1 << 20));
        still = sent == before ? still + 1 : 0;
        turn(&f);
        assert_true(f.relay.client.out.len <= RELAY_BUFFER_MAX);
        assert_true(f.relay.client.out.cap <= RELAY_BUFFER_MAX);
    }
    assert_false(ev_is_active(&f.relay.upstream.read));
    /* And nothing is lost once it does read. */
    shutdown(f.server, SHUT_WR);
    size_t got = 0;
    while (saw == 0) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    assert_int_equal(got, sent);
    assert_null(f.relay.client.out.data); /* an idle direction holds no buffer */
    relay_stop(&f.relay);
    finish(&f);
}

static void reset_now(int *fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(*fd);
    *fd = -1;
}

static void resets_travel(void **state)
{
    (void)state;
    for (int from_server = 0; from_server < 2; from_server++) {
        struct fixture f;
        int saw = 0;
        start(&f, NOTHING, NOTHING, 0);
        turn(&f);
        reset_now(from_server ? &f.server : &f.client);
        while (!f.done || saw == 0) {
            (void)drain(from_server ? f.client : f.server, 0, &saw);
            turn(&f);
        }
        assert_int_equal(saw, -1);
        assert_int_equal(f.end, RELAY_RESET);
        finish(&f);
    }
}

/* A server that answers and then resets (it closed with octets of ours unread) has still answered. */
static void reset_does_not_overtake_data(void **state)
{
    enum { ANSWER = 300000 };
    struct fixture f;
    size_t sent = 0, got = 0;
    int saw = 0;

    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    while (sent < ANSWER) {
        sent = feed(f.server, sent, ANSWER);
        turn(&f);
    }
    /* Wait until the relay has taken all, so that the server's own reset destroys nothing. */
    while (f.relay.upstream.received < ANSWER) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    reset_now(&f.server);
    for (int i = 0; i < 3; i++) /* the relay learns of it while the client is not reading */
        turn(&f);
    while (saw == 0) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    assert_int_equal(got, ANSWER);
    assert_int_equal(saw, -1);
    while (!f.done)
        turn(&f);
    assert_int_equal(f.end, RELAY_RESET);
    finish(&f);
}

static void idle_ends_it(void **state)
{
    struct fixture f;
    int saw = 0;

    (void)state;
    start(&f, NOTHING, NOTHING, 0.05);
    while (!f.done) {
        ev_run(f.loop, EVRUN_ONCE);
        assert_false(f.late);
    }
    assert_int_equal(f.end, RELAY_IDLE);
    (void)drain(f.client, 0, &saw);
    assert_int_equal(saw, -1);
    finish(&f);
}

static void early_octets_are_bounded(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct relay r;
    int a, b, c, d, saw = 0;
    static char much[RELAY_BUFFER_MAX + 1];

    (void)state;
    tcp_pair(&a, &b);
    tcp_pair(&c, &d);
    assert_true(relay_start(&r, loop, b, c, slice_of(much, sizeof much), NOTHING, 0, on_done, NULL) < 0);
    while (saw == 0)
        (void)drain(a, 0, &saw); /* its descriptor was closed */
    close(a);
    close(d);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_close_up_then_down),      cmocka_unit_test(early_octets_go_first),
        cmocka_unit_test(slow_reader_stops_the_sender), cmocka_unit_test(resets_travel),
        cmocka_unit_test(reset_does_not_overtake_data), cmocka_unit_test(idle_ends_it),
        cmocka_unit_test(early_octets_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
