/* The relay over real loopback TCP connections: order, half-close, back-pressure, resets, idleness. */
#include "relay/fixture.h"

#include "net/unwatch.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

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
        if (server_saw == 1) { /* the server begins to answer only after the FIN */
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
    assert_int_equal(f.relay.counters.tx, UP);
    assert_int_equal(f.relay.counters.rx, DOWN);
    finish(&f);
}

static void early_bytes_go_first(void **state)
{
    enum { EARLY = 5000, TOTAL = 200000 };
    struct fixture f;
    char early[EARLY];
    int saw = 0, other = 0;

    (void)state;
    for (size_t i = 0; i < EARLY; i++)
        early[i] = byte_at(i);
    start(&f, slice_of(early, EARLY), slice_of(early, EARLY), 0);
    assert_int_equal(counters_get(&f.relay.counters.tx), EARLY);
    assert_int_equal(counters_get(&f.relay.counters.rx), EARLY);
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
    assert_int_equal(f.relay.counters.tx, TOTAL);
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
        assert_true(pump_waiting(&f.relay.client.in) <= PIPE_SIZE);
    }
    assert_false(f.relay.dest.io.events & EV_READ && ev_is_active(&f.relay.dest.io));
    /* And nothing is lost once it reads. */
    shutdown(f.server, SHUT_WR);
    size_t got = 0;
    while (saw == 0) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    assert_int_equal(got, sent);
    assert_null(f.relay.client.in.waiting); /* an idle direction holds neither buffer nor pipe */
    assert_null(f.relay.client.in.pipe);
    relay_stop(&f.relay);
    finish(&f);
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

/* A server that answers and then resets (it closed with unread bytes of ours) has still answered. */
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
    /* Wait until the relay has read everything, since the server's reset discards unread bytes. */
    while (f.relay.counters.rx < ANSWER) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    reset_now(&f.server);
    for (int i = 0; i < 3; i++) /* the relay notices it while the client is not reading */
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

static size_t queued(int fd)
{
    int n = 0;

    assert_return_code(ioctl(fd, SIOCOUTQ, &n), errno);
    return (size_t)n;
}

/* Reads of the client for each look of the relay. */
static size_t drain_some(struct fixture *f, size_t got, size_t most)
{
    char data[16384];
    ssize_t n = recv(f->client, data, most < sizeof data ? most : sizeof data, 0);

    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(data[i], byte_at(got + (size_t)i));
    ev_run(f->loop, EVRUN_ONCE);
    return n > 0 ? got + (size_t)n : got;
}

/* The client reads nothing yet, so part of the answer is unread in the relay's socket when the server
 * resets. Then the client sends more, which fails. The client still gets the whole answer, however slowly
 * it reads. */
static void a_failed_send_loses_no_answer(void **state)
{
    enum { UNREAD = 30000, LOOKS = 250 }; /* 2.5 s: longer than the limit for a reader that takes nothing */
    struct fixture f;
    size_t sent = 0, got = 0;
    int saw = 0;

    (void)state;
    start_with_window(&f, 4096, NOTHING, NOTHING, 0);
    while (pump_waiting(&f.relay.client.in) == 0) {
        sent = feed(f.server, sent, sent + 16384);
        turn(&f);
    }
    sent = feed(f.server, sent, sent + UNREAD);
    while (queued(f.server) > 0)
        turn(&f);
    assert_true(f.relay.counters.rx < sent);
    reset_now(&f.server);
    assert_int_equal(send(f.client, "more", 4, MSG_NOSIGNAL), 4);
    while (!f.relay.last_words)
        turn(&f);
    for (int i = 0; i < LOOKS; i++)
        got = drain_some(&f, got, sent / (2 * LOOKS));
    assert_false(f.done);
    while (saw == 0) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    assert_int_equal(got, sent);
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

/* Bytes in one direction, read as fast as they come. */
static void send_down(struct fixture *f, size_t from, size_t to, size_t step)
{
    int saw = 0;

    for (size_t sent = from, got = from; got < to;) {
        size_t until = sent + step < to ? sent + step : to;
        if (sent == got || step > PUMP_BUFFER_MAX)
            sent = feed(f->server, sent, until);
        turn(f);
        got = drain(f->client, got, &saw);
    }
}

/* The first bytes are copied, bulk is spliced, and later messages are copied again. */
static void bulk_is_spliced_and_messages_are_copied(void **state)
{
    enum { BULK = 16 << 20 };
    struct fixture f;

    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    const struct pump *down = &f.relay.client.in;
    send_down(&f, 0, 100, 100);
    assert_false(down->bulk);
    assert_int_equal(f.room.pump.pipes.n_idle, 0);
    send_down(&f, 100, BULK, BULK);
    assert_true(down->bulk);
    assert_int_equal(f.room.pump.pipes.n_idle, 1);
    assert_int_equal(f.room.pump.pipes.n_held, 0);
    send_down(&f, BULK, BULK + 1000, 100);
    assert_false(down->bulk);
    assert_false(f.relay.dest.in.bulk);
    relay_stop(&f.relay);
    finish(&f);
}

/* Bytes in a kernel pipe when the source ends go first; then the end follows unchanged. */
static void ends_come_after_spliced_bytes(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        struct fixture f;
        size_t sent = 0, got = 0, heard = 0;
        int saw = 0, server_saw = 0;
        start(&f, NOTHING, NOTHING, 0);
        while (!f.relay.client.in.pipe) { /* the client does not read */
            sent = feed(f.server, sent, sent + (1 << 20));
            turn(&f);
        }
        assert_true(f.relay.client.in.pipe->held > 0);
        size_t taken = f.relay.counters.rx;
        if (reset)
            reset_now(&f.server);
        else
            shutdown(f.server, SHUT_WR);
        while (saw == 0) {
            got = drain(f.client, got, &saw);
            turn(&f);
        }
        assert_int_equal(saw, reset ? -1 : 1);
        assert_true(reset ? got >= taken : got == sent);
        if (!reset) { /* the other direction is still open */
            assert_int_equal(feed(f.client, 0, 1000), 1000);
            shutdown(f.client, SHUT_WR);
            while (server_saw == 0) {
                heard = drain(f.server, heard, &server_saw);
                turn(&f);
            }
            assert_int_equal(heard, 1000);
            assert_int_equal(server_saw, 1);
        }
        while (!f.done)
            turn(&f);
        assert_int_equal(f.end, reset ? RELAY_RESET : RELAY_CLOSED);
        finish(&f);
    }
}

/* Bytes in a pipe move to the other room, and count there. A relay that is sending its last bytes stays. */
static void a_relay_moves_with_waiting_bytes(void **state)
{
    struct fixture f;
    static struct relay_room other;
    size_t sent = 0, got = 0;
    int saw = 0;

    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    relay_room_init(&other, f.loop, 0, &EVENTS);
    while (!f.relay.client.in.pipe) {
        sent = feed(f.server, sent, sent + (1 << 20));
        turn(&f);
    }
    assert_true(relay_may_leave(&f.relay));
    relay_leave(&f.relay);
    assert_int_equal(f.room.pump.pipes.n_held, 0);
    relay_join(&f.relay, &other);
    assert_int_equal(other.pump.pipes.n_held, 1);
    reset_now(&f.server);
    while (!f.relay.last_words && saw == 0) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    assert_true(f.done || !relay_may_leave(&f.relay));
    while (saw == 0) {
        got = drain(f.client, got, &saw);
        turn(&f);
    }
    while (!f.done)
        turn(&f);
    assert_int_equal(other.pump.pipes.n_held, 0);
    relay_room_done(&other);
    finish(&f);
}

/* Without pipes, bytes are copied. */
static void without_pipes_it_copies(void **state)
{
    enum { BULK = 4 << 20 };
    struct fixture f;

    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    f.room.pump.pipes.n_held = PIPES_HELD_MAX;
    send_down(&f, 0, BULK, BULK);
    assert_int_equal(f.room.pump.pipes.n_idle, 0);
    f.room.pump.pipes.n_held = 0;
    relay_stop(&f.relay);
    finish(&f);
}

static void early_bytes_are_bounded(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    static struct relay_room room;
    struct relay r;
    int a, b, c, d, saw = 0;
    static char much[RELAY_EARLY_MAX + 1];

    (void)state;
    tcp_pair(0, &a, &b);
    tcp_pair(0, &c, &d);
    relay_room_init(&room, loop, 0, &EVENTS);
    assert_true(relay_start(&r, &room, b, c, slice_of(much, sizeof much), NOTHING) < 0);
    while (saw == 0)
        (void)drain(a, 0, &saw); /* its descriptor was closed */
    close(a);
    close(d);
    ev_loop_destroy(loop);
}

static void ignore(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
}

/* Its socket's number belonged to another socket, which that loop has closed but not forgotten. */
static void it_joins_a_loop_that_knew_its_descriptor(void **state)
{
    enum { TOTAL = 1000 };
    struct fixture f;
    struct relay_room room;
    struct unwatch unwatch;
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL);
    ev_io other;
    int saw = 0;

    (void)state;
    relay_room_init(&room, loop, 0, &EVENTS);
    assert_int_equal(unwatch_init(&unwatch, loop), 0);
    start(&f, NOTHING, NOTHING, 0);
    relay_leave(&f.relay);
    ev_io_init(&other, ignore, f.relay.client.io.fd, EV_READ);
    ev_io_start(loop, &other);
    ev_run(loop, EVRUN_NOWAIT);
    unwatch_fd(&unwatch, f.relay.client.io.fd); /* as close does */
    ev_io_stop(loop, &other);
    relay_join(&f.relay, &room);
    assert_int_equal(feed(f.client, 0, TOTAL), TOTAL);
    for (size_t got = 0; got < TOTAL; turn(&f)) {
        ev_run(loop, EVRUN_NOWAIT);
        got = drain(f.server, got, &saw);
    }
    relay_stop(&f.relay);
    finish(&f);
    relay_room_done(&room);
    unwatch_done(&unwatch);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_close_up_then_down),
        cmocka_unit_test(early_bytes_go_first),
        cmocka_unit_test(slow_reader_stops_the_sender),
        cmocka_unit_test(resets_travel),
        cmocka_unit_test(reset_does_not_overtake_data),
        cmocka_unit_test(a_failed_send_loses_no_answer),
        cmocka_unit_test(idle_ends_it),
        cmocka_unit_test(it_joins_a_loop_that_knew_its_descriptor),
        cmocka_unit_test(early_bytes_are_bounded),
        cmocka_unit_test(bulk_is_spliced_and_messages_are_copied),
        cmocka_unit_test(ends_come_after_spliced_bytes),
        cmocka_unit_test(a_relay_moves_with_waiting_bytes),
        cmocka_unit_test(without_pipes_it_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
