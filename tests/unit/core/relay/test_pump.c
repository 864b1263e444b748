/* One direction alone: where it stops, how much one turn moves, and what waits. */
#include "relay/fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

enum { MUCH_MORE = 4 * 1024 * 1024, TURN_MAX = 128 * 1024 + PIPE_SIZE };

struct line {
    struct pump_room room;
    struct pump pump;
    int far_source, source, sink, far_sink;
    size_t fed, got;
};

static void open_line(struct line *l)
{
    *l = (struct line){.fed = 0};
    tcp_pair(0, &l->far_source, &l->source);
    tcp_pair(0, &l->sink, &l->far_sink);
}

static void close_line(struct line *l)
{
    pump_done(&l->pump, &l->room);
    assert_int_equal(l->room.pipes.n_held, 0);
    pipes_done(&l->room.pipes);
    close(l->far_source);
    close(l->source);
    close(l->sink);
    close(l->far_sink);
}

static void take(struct line *l)
{
    int end = 0;

    l->got = drain(l->far_sink, l->got, &end);
    assert_int_equal(end, 0);
}

/* Turn after turn until limit bytes have come. @return the rest of the limit */
static size_t move(struct line *l, size_t limit, size_t total)
{
    size_t n;

    for (int turn = 0; turn < 100000 && limit > 0; turn++) {
        l->fed = feed(l->far_source, l->fed, total);
        if (pump_waiting(&l->pump) > 0) {
            assert_true(pump_flush(&l->pump, &l->room, l->sink) >= 0);
        } else {
            enum pump_end end = pump_turn(&l->pump, &l->room, l->source, l->sink, limit, &n);
            assert_true(end == PUMP_AGAIN || end == PUMP_EMPTY || end == PUMP_FULL);
            assert_true(n <= limit && n <= TURN_MAX);
            limit -= n;
        }
        take(l);
    }
    while (pump_waiting(&l->pump) > 0) {
        assert_true(pump_flush(&l->pump, &l->room, l->sink) >= 0);
        take(l);
    }
    return limit;
}

/* However the bytes arrive, those behind the limit stay in the source, and come out next. */
static void a_limit_is_exact(void **state)
{
    static const size_t limits[] = {1,
                                    2,
                                    16383,
                                    16384,
                                    PUMP_BUFFER_MAX - 1,
                                    PUMP_BUFFER_MAX,
                                    PUMP_BUFFER_MAX + 1,
                                    PIPE_SIZE - 1,
                                    PIPE_SIZE,
                                    PIPE_SIZE + 1,
                                    MUCH_MORE};
    struct line l;
    size_t sum = 0;

    (void)state;
    open_line(&l);
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        size_t before = l.got;
        assert_int_equal(move(&l, limits[i], SIZE_MAX), 0);
        take(&l);
        while (l.got < before + limits[i])
            take(&l);
        assert_int_equal(l.got, before + limits[i]);
        sum += limits[i];
    }
    assert_int_equal(l.got, sum);
    close_line(&l);
}

/* All bytes are ready: the last reads of a spliced body are limited as well. */
static void a_spliced_body_ends_exactly(void **state)
{
    struct line l;

    (void)state;
    for (size_t extra = 0; extra < 3; extra++) {
        size_t body = 1000 * 1000 + extra * 7777;
        open_line(&l);
        assert_int_equal(move(&l, body, body + 5), 0);
        assert_true(l.room.pipes.n_idle > 0); /* it was spliced */
        while (l.got < body)
            take(&l);
        assert_int_equal(l.got, body);
        l.pump = (struct pump){.bulk = false};
        assert_int_equal(move(&l, 5, body + 5), 0);
        while (l.got < body + 5)
            take(&l);
        close_line(&l);
    }
}

/* The sink takes nothing: the bytes of one read wait, and nothing more is read. */
static void a_sink_that_takes_nothing_stops_it(void **state)
{
    struct line l;
    size_t n, moved = 0, held;
    enum pump_end end = PUMP_AGAIN;

    (void)state;
    open_line(&l);
    while (end != PUMP_FULL) {
        l.fed = feed(l.far_source, l.fed, SIZE_MAX);
        end = pump_turn(&l.pump, &l.room, l.source, l.sink, PUMP_ALL, &n);
        assert_true(end == PUMP_AGAIN || end == PUMP_EMPTY || end == PUMP_FULL);
        moved += n;
        assert_true(moved < 1u << 28);
    }
    held = pump_waiting(&l.pump);
    assert_in_range(held, 1, PIPE_SIZE);
    while (l.got < moved) {
        assert_true(pump_flush(&l.pump, &l.room, l.sink) >= 0);
        take(&l);
    }
    assert_int_equal(pump_waiting(&l.pump), 0);
    close_line(&l);
}

/* Bytes wait in the backlog, or, as a rule, in the pipe. */
static void a_broken_sink_is_told_by_its_errno(void **state)
{
    (void)state;
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* as the program does; splice has no MSG_NOSIGNAL */
    for (int piped = 0; piped <= 1; piped++) {
        struct line l;
        size_t n;
        enum pump_end end = PUMP_AGAIN;
        open_line(&l);
        if (!piped)
            assert_int_equal(pump_keep(&l.pump, "abc", 3), 0);
        while (piped && end != PUMP_FULL) {
            l.fed = feed(l.far_source, l.fed, SIZE_MAX);
            end = pump_turn(&l.pump, &l.room, l.source, l.sink, PUMP_ALL, &n);
            assert_true(end == PUMP_AGAIN || end == PUMP_EMPTY || end == PUMP_FULL);
        }
        assert_int_equal(shutdown(l.sink, SHUT_WR), 0);
        assert_int_equal(pump_flush(&l.pump, &l.room, l.sink), -EPIPE);
        close_line(&l);
    }
}

/* Four reads or 128 KiB, whichever comes first. */
static void a_turn_has_an_end(void **state)
{
    struct line l;
    size_t n;

    (void)state;
    open_line(&l);
    for (int i = 0; i < 200; i++) {
        l.fed = feed(l.far_source, l.fed, SIZE_MAX);
        assert_true(pump_waiting(&l.pump) == 0 || pump_flush(&l.pump, &l.room, l.sink) >= 0);
        if (pump_waiting(&l.pump) == 0) {
            enum pump_end end = pump_turn(&l.pump, &l.room, l.source, l.sink, PUMP_ALL, &n);
            assert_true(end == PUMP_AGAIN || end == PUMP_EMPTY || end == PUMP_FULL);
            assert_true(n <= TURN_MAX);
        }
        take(&l);
    }
    close_line(&l);
}

/* Bulk, an urgent byte, and more behind it. splice stops at the mark, or takes it for the end. Still, each
 * turn of a readable source must bring bytes, and the end comes last. */
static void an_urgent_byte_is_not_the_end(void **state)
{
    enum { BULK = 400000, BEHIND = 30000 };

    (void)state;
    for (int behind_mark = 0; behind_mark < 4;
         behind_mark++) { /* bit 0: the FIN is there; bit 1: more bytes are there */
        const size_t total = BULK + 1 + (behind_mark & 2 ? BEHIND : 0);
        struct line l;
        bool ended = false, marked = false;
        char urgent = byte_at(BULK);
        size_t moved = 0, n;

        open_line(&l);
        assert_return_code(setsockopt(l.source, SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int)), errno);
        while (moved < total || (behind_mark & 1 && !ended)) {
            l.fed = feed(l.far_source, l.fed, marked ? total : BULK);
            if (!marked && l.fed == BULK) {
                marked = send(l.far_source, &urgent, 1, MSG_OOB) == 1;
                assert_true(marked || errno == EAGAIN); /* the bytes may fill the socket */
                l.fed = marked ? feed(l.far_source, l.fed + 1, total) : l.fed;
            }
            if (l.fed == total && behind_mark & 1)
                shutdown(l.far_source, SHUT_WR);
            while (pump_waiting(&l.pump) > 0) {
                assert_true(pump_flush(&l.pump, &l.room, l.sink) >= 0);
                take(&l);
            }
            struct pollfd p = {.fd = l.source, .events = POLLIN};
            assert_int_equal(poll(&p, 1, 10000), 1);
            enum pump_end end = pump_turn(&l.pump, &l.room, l.source, l.sink, PUMP_ALL, &n);
            ended = end == PUMP_ENDED;
            assert_true(n > 0 || ended);
            moved += n;
            assert_true(!ended || moved == total);
            take(&l);
        }
        while (l.got < total)
            take(&l);
        close_line(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_exact),
        cmocka_unit_test(a_spliced_body_ends_exactly),
        cmocka_unit_test(a_sink_that_takes_nothing_stops_it),
        cmocka_unit_test(a_broken_sink_is_told_by_its_errno),
        cmocka_unit_test(a_turn_has_an_end),
        cmocka_unit_test(an_urgent_byte_is_not_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
