/* What the relay learns by looking only: a peer that is slow, not idle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/fixture.h"

enum { QUEUED = 150000 };

/* The server has sent QUEUED octets and the relay has written them all, but the client's window is small and
 * most wait in the kernel. */
static void start_with_a_full_queue(struct fixture *f, double idle_s)
{
    int room = 4 * QUEUED;
    size_t sent = 0;

    start_with_window(f, 8192, NOTHING, NOTHING, idle_s);
    assert_return_code(setsockopt(f->relay.client.read.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), errno);
    while (f->relay.upstream.received < QUEUED || f->relay.client.out.len > 0) {
        sent = feed(f->server, sent, QUEUED);
        turn(f);
    }
}

/* Once a reset is known the last words have a deadline of their own, and the relay did not end by idleness.
 */
static void no_look_after_a_reset(void **state)
{
    struct fixture f;

    (void)state;
    start_with_a_full_queue(&f, 1);
    reset_now(&f.server);
    while (!ev_is_active(&f.relay.last_words))
        turn(&f);
    assert_false(ev_is_active(&f.relay.look));
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

/* A little, every now and then. */
static void on_slow_read(struct ev_loop *loop, ev_timer *w, int events)
{
    struct slow_reader *reader = container_of(w, struct slow_reader, timer);
    char data[500];
    ssize_t n = recv(reader->fd, data, sizeof data, 0);

    (void)events;
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(data[i], octet(reader->got + (size_t)i));
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
    assert_true(ev_timer_remaining(f.loop, &f.relay.look) <= IDLE_S / 8 + 0.001);
    reader.fd = f.client;
    ev_timer_init(&reader.timer, on_slow_read, 0.01, 0.01);
    ev_timer_start(f.loop, &reader.timer);
    while (reader.got < QUEUED) {
        assert_int_equal(reader.saw, 0);
        ev_run(f.loop, EVRUN_ONCE);
        assert_false(f.late);
    }
    while (!f.done) { /* and now it is */
        ev_run(f.loop, EVRUN_ONCE);
        assert_false(f.late);
    }
    assert_int_equal(f.end, RELAY_IDLE);
    finish(&f);
}

/* What waits in the kernel keeps nothing open by itself. */
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
        cmocka_unit_test(no_look_after_a_reset),
        cmocka_unit_test(a_slow_reader_is_not_idle),
        cmocka_unit_test(a_reader_that_stops_is_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
