/* What is read without a copy, and sent from two places at once. */
#include "relay/fixture.h"
#include "relay/wire.h"

static struct pump_room room;

static ssize_t await(int fd, struct buf *into)
{
    ssize_t n;

    do {
        n = wire_read(fd, into, &room);
    } while (n == -EAGAIN);
    return n;
}

static void test_consumed_bytes_are_never_copied(void **state)
{
    struct buf in;
    int a, b;

    (void)state;
    tcp_pair(0, &a, &b);
    buf_init(&in, PUMP_BUFFER_MAX);
    assert_int_equal(wire_read(b, &in, &room), -EAGAIN);
    assert_null(in.data);
    assert_int_equal(send(a, "GET / HT", 8, 0), 8);
    assert_int_equal(await(b, &in), 8);
    assert_ptr_equal(buf_slice(&in).data, room.buffer);
    buf_consume(&in, 6);
    assert_int_equal(buf_keep(&in), 0);
    assert_true(in.data != room.buffer);
    assert_int_equal(send(a, "TP/1.1", 6, 0), 6);
    assert_int_equal(await(b, &in), 6); /* behind what was kept */
    assert_int_equal(in.len, 8);
    assert_memory_equal(buf_slice(&in).data, "HTTP/1.1", 8);
    buf_consume(&in, 8);
    buf_release_if_empty(&in);
    close(a);
    assert_int_equal(await(b, &in), 0);
    assert_null(in.data);
    close(b);
}

static void test_a_reset_is_reported(void **state)
{
    struct buf in;
    int a, b;

    (void)state;
    tcp_pair(0, &a, &b);
    buf_init(&in, PUMP_BUFFER_MAX);
    reset_now(&a);
    assert_int_equal(await(b, &in), -ECONNRESET);
    close(b);
}

/* Whatever part the socket takes of the two, the rest waits, and nothing is lost or said twice. */
static void test_two_places_go_out_in_order(void **state)
{
    static char more[100000];
    struct buf waiting;
    size_t said = 0, sent = 0, got = 0, n, times_full = 0;
    int a, b, end = 0;

    (void)state;
    tcp_pair(0, &a, &b);
    buf_init(&waiting, 2 * sizeof more);
    while (times_full < 20) {
        size_t len = waiting.len <= sizeof more ? sizeof more : 0;
        for (size_t i = 0; i < len; i++)
            more[i] = byte_at(said + i);
        assert_int_equal(wire_send(a, &waiting, slice_of(more, len), &n), 0);
        said += len;
        sent += n;
        assert_int_equal(sent + waiting.len, said);
        if (len > 0)
            continue;
        times_full++;
        got = drain(b, got, &end);
    }
    while (got < said) {
        assert_int_equal(wire_send(a, &waiting, slice_of("", 0), &n), 0);
        got = drain(b, got, &end);
    }
    assert_int_equal(waiting.len, 0);
    assert_int_equal(end, 0);
    buf_done(&waiting);
    close(a);
    close(b);
}

static void test_a_lack_of_room_is_reported(void **state)
{
    static char more[100000];
    struct buf waiting;
    size_t n;
    int a, b, err;

    (void)state;
    tcp_pair(0, &a, &b);
    buf_init(&waiting, 1000);
    do {
        err = wire_send(a, &waiting, slice_of(more, sizeof more), &n);
    } while (err == 0);
    assert_int_equal(err, -ENOBUFS);
    buf_done(&waiting);
    reset_now(&b);
    do {
        err = wire_send(a, &waiting, slice_of(more, 1), &n);
        buf_done(&waiting);
    } while (err == 0);
    assert_int_equal(err, -ECONNRESET);
    close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_consumed_bytes_are_never_copied),
        cmocka_unit_test(test_a_reset_is_reported),
        cmocka_unit_test(test_two_places_go_out_in_order),
        cmocka_unit_test(test_a_lack_of_room_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
