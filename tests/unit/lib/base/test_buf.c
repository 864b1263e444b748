#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_holds(const struct buf *b, const char *expected)
{
    struct slice s = buf_slice(b);
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.data, expected, s.len);
}

static void test_bytes_come_out_in_order(void **state)
{
    struct buf b;
    buf_init(&b, 64);
    assert_holds(&b, "");
    assert_int_equal(buf_append(&b, "hello ", 6), 0);
    assert_int_equal(buf_append(&b, "world", 5), 0);
    assert_holds(&b, "hello world");
    buf_consume(&b, 3);
    assert_holds(&b, "lo world");
    assert_int_equal(buf_append(&b, "!", 1), 0);
    assert_holds(&b, "lo world!");
    buf_consume(&b, 9);
    assert_holds(&b, "");
    buf_done(&b);
    (void)state;
}

static void test_limit_is_exact_and_all_or_nothing(void **state)
{
    struct buf b;
    char *space = NULL;
    buf_init(&b, 8);
    assert_int_equal(buf_append(&b, "123456789", 9), -ENOBUFS);
    assert_holds(&b, "");
    assert_int_equal(buf_append(&b, "12345678", 8), 0);
    assert_int_equal(buf_room(&b), 0);
    assert_int_equal(buf_append(&b, "9", 1), -ENOBUFS);
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_int_equal(buf_reserve(&b, 1, &space), -ENOBUFS);
    assert_null(space);
    assert_int_equal(buf_reserve(&b, SIZE_MAX, &space), -ENOBUFS);
    assert_holds(&b, "12345678");
    buf_consume(&b, 5);
    assert_int_equal(buf_room(&b), 5);
    assert_int_equal(buf_append(&b, "abcde", 5), 0);
    assert_holds(&b, "678abcde");
    buf_done(&b);
    (void)state;
}

static void test_reserved_space_becomes_content_by_commit(void **state)
{
    struct buf b;
    char *space = NULL;
    buf_init(&b, 4096);
    assert_int_equal(buf_reserve(&b, 0, &space), 0);
    assert_non_null(space);
    assert_int_equal(buf_reserve(&b, 4096, &space), 0);
    memset(space, 'x', 4096);
    assert_holds(&b, "");
    buf_commit(&b, 2);
    assert_holds(&b, "xx");
    buf_done(&b);
    (void)state;
}

/* Every mixture of appends and consumes returns the bytes in order, whatever moves inside. */
static void test_long_run_through_a_small_buffer(void **state)
{
    struct buf b;
    uint8_t in = 0, out = 0;
    buf_init(&b, 700);
    srand(7);
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)rand() % 300;
        uint8_t chunk[300];
        for (size_t i = 0; i < n; i++)
            chunk[i] = (uint8_t)(in + i);
        bool fits = n <= buf_room(&b);
        assert_int_equal(buf_append(&b, chunk, n), fits ? 0 : -ENOBUFS);
        if (fits)
            in = (uint8_t)(in + n);
        assert_true(b.len <= 700);
        size_t eat = b.len ? (size_t)rand() % (b.len + 1) : 0;
        for (size_t i = 0; i < eat; i++)
            assert_int_equal((uint8_t)buf_slice(&b).data[i], out++);
        buf_consume(&b, eat);
    }
    buf_done(&b);
    (void)state;
}

static void test_printf_fills_to_the_last_byte(void **state)
{
    struct buf b;
    buf_init(&b, 10);
    assert_int_equal(buf_printf(&b, "%s", ""), 0);
    assert_holds(&b, "");
    assert_int_equal(buf_printf(&b, "%d-%s", 12345, "abcd"), 0);
    assert_holds(&b, "12345-abcd");
    assert_int_equal(buf_printf(&b, "x"), -ENOBUFS);
    assert_holds(&b, "12345-abcd");
    buf_consume(&b, 6);
    assert_int_equal(buf_printf(&b, "%s", "1234567"), -ENOBUFS);
    assert_int_equal(buf_printf(&b, "%s", "123456"), 0);
    assert_holds(&b, "abcd123456");
    buf_done(&b);
    (void)state;
}

static void test_memory_is_held_only_while_needed(void **state)
{
    struct buf b;
    buf_init(&b, 64);
    assert_null(b.data);
    assert_int_equal(buf_append(&b, "x", 1), 0);
    buf_release_if_empty(&b);
    assert_holds(&b, "x");
    buf_consume(&b, 1);
    assert_non_null(b.data);
    buf_release_if_empty(&b);
    assert_null(b.data);
    assert_int_equal(buf_append(&b, "again", 5), 0);
    buf_done(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 64);
    assert_int_equal(buf_append(&b, "usable", 6), 0);
    buf_done(&b);
    buf_done(&b);
    (void)state;
}

static void test_borrowed_bytes_stay_where_they_lie(void **state)
{
    char lent[] = "borrowed";
    struct buf b;

    buf_init(&b, 16);
    assert_int_equal(buf_keep(&b), 0);
    buf_borrow(&b, lent, 8);
    assert_ptr_equal(buf_slice(&b).data, lent);
    buf_consume(&b, 6);
    assert_holds(&b, "ed");
    assert_int_equal(buf_keep(&b), 0);
    memset(lent, 'x', sizeof lent);
    assert_holds(&b, "ed");
    assert_int_equal(buf_append(&b, "!", 1), 0);
    assert_holds(&b, "ed!");
    buf_done(&b);

    buf_borrow(&b, lent, 8); /* all is consumed: nothing is held */
    buf_consume(&b, 8);
    assert_int_equal(buf_keep(&b), 0);
    assert_null(b.data);
    buf_borrow(&b, lent, 8); /* dropped: the buffer does not free it */
    buf_done(&b);
    assert_null(b.data);
    buf_borrow(&b, lent, 2); /* a write ends the loan */
    assert_int_equal(buf_append(&b, "y", 1), 0);
    assert_holds(&b, "xxy");
    assert_int_equal(lent[2], 'x');
    buf_done(&b);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_out_in_order),
        cmocka_unit_test(test_limit_is_exact_and_all_or_nothing),
        cmocka_unit_test(test_reserved_space_becomes_content_by_commit),
        cmocka_unit_test(test_long_run_through_a_small_buffer),
        cmocka_unit_test(test_printf_fills_to_the_last_byte),
        cmocka_unit_test(test_memory_is_held_only_while_needed),
        cmocka_unit_test(test_borrowed_bytes_stay_where_they_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
