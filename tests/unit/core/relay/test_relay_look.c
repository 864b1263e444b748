/* What the relay learns only by looking: the reset of a half-closed side, and that a peer is slow but not
 * idle. */
#include "relay/fixture.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

static bool has_error(int fd)
{
    struct pollfd p = {.fd = fd};
    assert_return_code(poll(&p, 1, 0), errno);
    return p.revents & POLLERR;
}

static void await_error(int fd)
{
    struct pollfd p = {.fd = fd};
    assert_int_equal(poll(&p, 1, (int)(GIVE_UP_S * 1000)), 1);
    assert_true(p.revents & POLLERR);
}

/* The timer's look, without the wait. */
static void look(struct fixture *f)
{
    wheel_cancel(&f->relay.look);
    f->room.looks.rang(&f->room.looks, &f->relay.look);
}

/* After its FIN a side is not read any more, but its reset is still passed on. */
static void resets_travel_after_a_half_close(void **state)
{
    (void)state;
    for (int from_server = 0; from_server < 2; from_server++) {
        struct fixture f;
        int saw = 0;
        start(&f, NOTHING, NOTHING, 0);
        int *broken = from_server ? &f.server : &f.client, far = from_server ? f.client : f.server;
        shutdown(*broken, SHUT_WR);
        while (saw == 0) {
            turn(&f);
            (void)drain(far, 0, &saw);
        }
        assert_int_equal(saw, 1);
        assert_false(has_error(far));
        reset_now(broken);
        while (!f.done) {
            ev_run(f.loop, EVRUN_ONCE);
            assert_false(f.late);
        }
        assert_int_equal(f.end, RELAY_RESET);
        while (!has_error(far))
            turn(&f);
        finish(&f);
    }
}

static int option(int fd, int level, int name)
{
    int value = -1;
    assert_return_code(getsockopt(fd, level, name, &value, &(socklen_t){sizeof value}), errno);
    return value;
}

/* Not before, as that costs time, and not later, however idle it is. */
static void a_relay_that_lives_for_a_minute_uses_keepalives(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    int dest = f.relay.dest.io.fd;
    assert_false(option(dest, SOL_SOCKET, SO_KEEPALIVE));
    assert_true(wheel_is_set(&f.relay.look));
    assert_true(wheel_left_s(&f.relay.look) < 61);
    look(&f);
    assert_true(option(dest, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option(dest, IPPROTO_TCP, TCP_KEEPIDLE), 120);
    assert_false(wheel_is_set(&f.relay.look)); /* never idle, and both ends are noticed */
    relay_stop(&f.relay);
    finish(&f);
}

static void a_half_close_alone_is_not_a_reset(void **state)
{
    (void)state;
    for (int from_server = 0; from_server < 2; from_server++) {
        struct fixture f;
        int saw = 0;
        start(&f, NOTHING, NOTHING, 0);
        int ended = from_server ? f.server : f.client, far = from_server ? f.client : f.server;
        shutdown(ended, SHUT_WR);
        while (saw == 0) {
            turn(&f);
            (void)drain(far, 0, &saw);
        }
        struct relay_side *told = from_server ? &f.relay.client : &f.relay.dest;
        for (int unheard = 1; unheard > 0; turn(&f)) /* the FIN that was passed on may be acknowledged late */
            assert_return_code(ioctl(told->io.fd, SIOCOUTQ, &unheard), errno);
        for (int i = 0; i < 10; i++) {
            assert_true(wheel_is_set(&f.relay.look));
            assert_true(wheel_left_s(&f.relay.look) < 3);
            look(&f);
            turn(&f);
        }
        assert_false(f.done);
        shutdown(far, SHUT_WR);
        while (!f.done)
            turn(&f);
        assert_int_equal(f.end, RELAY_CLOSED);
        assert_false(has_error(ended));
        finish(&f);
    }
}

enum { QUEUED = 150000 };

/* The server has sent QUEUED bytes and the relay has written them all, but the client's window is small
 * and most wait in the kernel. */
static void start_with_a_full_queue(struct fixture *f, double idle_s)
{
    int room = 4 * QUEUED;
    size_t sent = 0;

    start_with_window(f, 8192, NOTHING, NOTHING, idle_s);
    assert_return_code(setsockopt(f->relay.client.io.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), errno);
    while (f->relay.counters.rx < QUEUED || pump_waiting(&f->relay.client.in) > 0) {
        sent = feed(f->server, sent, QUEUED);
        turn(f);
    }
}

/* A server that sent everything, closed, and received more resets; the client still reads to the end. */
static void reset_after_a_half_close_waits_for_a_slow_reader(void **state)
{
    struct fixture f;
    int saw = 0;

    (void)state;
    start_with_a_full_queue(&f, 0);
    shutdown(f.server, SHUT_WR);
    while (!f.relay.dest.read_ended)
        turn(&f);
    reset_now(&f.server);
    await_error(f.relay.dest.io.fd);
    for (int i = 0; i < 10; i++) {
        look(&f);
        turn(&f);
        assert_false(f.done);
        assert_null(f.relay.last_words); /* no deadline */
    }
    size_t got = 0;
    while (saw == 0) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    assert_int_equal(got, QUEUED);
    assert_int_equal(saw, 1);
    while (!f.done) {
        ev_run(f.loop, EVRUN_ONCE);
        assert_false(f.late);
    }
    assert_int_equal(f.end, RELAY_RESET);
    finish(&f);
}

/* A side that is still read reports its reset itself, after its bytes. */
static void a_look_does_not_overtake_data(void **state)
{
    enum { ANSWER = 1000 };
    struct fixture f;
    size_t got = 0;
    int saw = 0;

    (void)state;
    start(&f, NOTHING, NOTHING, 5);
    assert_int_equal(feed(f.server, 0, ANSWER), ANSWER);
    reset_now(&f.server);
    await_error(f.relay.dest.io.fd);
    look(&f);
    while (saw == 0) {
        turn(&f);
        got = drain(f.client, got, &saw);
    }
    assert_int_equal(got, ANSWER);
    assert_int_equal(saw, -1);
    assert_int_equal(f.end, RELAY_RESET);
    finish(&f);
}

/* Once a reset is known, the last bytes have their own deadline, and the relay does not end as idle. */
static void no_look_after_a_reset(void **state)
{
    struct fixture f;

    (void)state;
    start_with_a_full_queue(&f, 1);
    reset_now(&f.server);
    while (!f.relay.last_words)
        turn(&f);
    assert_false(wheel_is_set(&f.relay.look));
    while (!f.done) {
        ev_run(f.loop, EVRUN_ONCE);
        assert_false(f.late);
    }
    assert_int_equal(f.end, RELAY_RESET);
    finish(&f);
}

struct slow_reader {
    ev_timer timer;
    int fd, saw;
    size_t got, stop_at;
};

/* A little from time to time. */
static void on_slow_read(struct ev_loop *loop, ev_timer *w, int events)
{
    struct slow_reader *reader = container_of(w, struct slow_reader, timer);
    char data[500];
    ssize_t n = recv(reader->fd, data, sizeof data, 0);

    (void)events;
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(data[i], byte_at(reader->got + (size_t)i));
    if (n > 0)
        reader->got += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN))
        reader->saw = n == 0 ? 1 : -1;
    if (reader->saw != 0 || reader->got >= reader->stop_at)
        ev_timer_stop(loop, w);
}

/* The relay itself has nothing to do for several idle times, while the client's kernel takes what waits. */
static void a_slow_reader_is_not_idle(void **state)
{
    static const double IDLE_S = 1;
    struct fixture f;
    struct slow_reader reader = {.stop_at = QUEUED};

    (void)state;
    start_with_a_full_queue(&f, IDLE_S);
    assert_true(wheel_left_s(&f.relay.look) <= IDLE_S / 8 + 1. / WHEEL_TICKS_A_S + 0.001);
    reader.fd = f.client;
    ev_timer_init(&reader.timer, on_slow_read, 0.01, 0.01);
    ev_timer_start(f.loop, &reader.timer);
    while (reader.got < QUEUED) {
        assert_int_equal(reader.saw, 0);
        ev_run(f.loop, EVRUN_ONCE);
        assert_false(f.late);
    }
    while (!f.done) { /* now it is idle */
        ev_run(f.loop, EVRUN_ONCE);
        assert_false(f.late);
    }
    assert_int_equal(f.end, RELAY_IDLE);
    finish(&f);
}

/* Bytes that wait in the kernel keep nothing open by themselves. */
static void a_reader_that_stops_is_idle(void **state)
{
    struct fixture f;

    (void)state;
    start_with_a_full_queue(&f, 0.5);
    while (!f.done) {
        ev_run(f.loop, EVRUN_ONCE);
        assert_false(f.late);
    }
    assert_int_equal(f.end, RELAY_IDLE);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resets_travel_after_a_half_close),
        cmocka_unit_test(a_relay_that_lives_for_a_minute_uses_keepalives),
        cmocka_unit_test(a_half_close_alone_is_not_a_reset),
        cmocka_unit_test(reset_after_a_half_close_waits_for_a_slow_reader),
        cmocka_unit_test(a_look_does_not_overtake_data),
        cmocka_unit_test(no_look_after_a_reset),
        cmocka_unit_test(a_slow_reader_is_not_idle),
        cmocka_unit_test(a_reader_that_stops_is_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
