/* Blocks of all sizes are allocated, resized and freed; they keep their content, and leave no gaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "cage/arena.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, BLOCKS = 400, STEPS = 200000 };

static int setup(void **state)
{
    *state = arena_new(8 * MIB);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

struct block {
    unsigned char *at;
    size_t size;
    unsigned char fill;
};

static void fill(struct block *b, size_t from, unsigned char with)
{
    memset(b->at + from, with, b->size - from);
    b->fill = with;
}

static void check(const struct block *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(b->at[i], b->fill);
}

/* Mostly small sizes, as Lua's are; some of many pages. */
static size_t any_size(void)
{
    long r = random();
    size_t most = r % 100 < 80 ? 200 : r % 100 < 95 ? 5000 : 200000;
    return 1 + (size_t)random() % most;
}

static void blocks_keep_their_bytes(void **state)
{
    struct arena *a = *state;
    static struct block blocks[BLOCKS];

    srandom(1);
    memset(blocks, 0, sizeof blocks);
    for (int i = 0; i < STEPS; i++) {
        struct block *b = &blocks[random() % BLOCKS];
        if (b->at)
            check(b, b->size);
        if (!b->at || random() % 3 == 0) {
            size_t size = any_size(), kept = b->at && b->size < size ? b->size : size;
            unsigned char *got = arena_resize(a, b->at, b->size, size);
            if (!got) {
                assert_true(!b->at || size > b->size); /* shrinking never fails */
                continue;
            }
            assert_int_equal((uintptr_t)got % 16, 0);
            bool fresh = !b->at;
            b->at = got;
            b->size = size;
            if (!fresh)
                check(b, kept);
            fill(b, 0, (unsigned char)random());
        } else {
            arena_release(a, b->at);
            b->at = NULL;
            b->size = 0;
        }
    }
    for (int i = 0; i < BLOCKS; i++)
        arena_release(a, blocks[i].at);
    /* Everything except some last spans is one piece again. */
    void *most = arena_allocate(a, 6 * MIB);
    assert_non_null(most);
    arena_release(a, most);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct arena *a = *state;

    assert_null(arena_allocate(a, 9 * MIB));
    assert_null(arena_allocate(a, SIZE_MAX));
    char *big = arena_allocate(a, 5 * MIB);
    assert_non_null(big);
    memset(big, 7, 5 * MIB);
    assert_null(arena_allocate(a, 5 * MIB));
    assert_null(arena_resize(a, big, 5 * MIB, SIZE_MAX));
    assert_null(arena_resize(a, big, 5 * MIB, 9 * MIB));
    assert_ptr_equal(arena_resize(a, big, 5 * MIB, 7 * MIB), big); /* it grows in place */
    assert_int_equal(big[5 * MIB - 1], 7);
    /* Even when it is full to the last page, blocks can shrink. */
    for (size_t size = 4096; size >= 16; size /= 2)
        while (arena_allocate(a, size))
            ;
    assert_null(arena_allocate(a, 16));
    assert_non_null(arena_resize(a, big, 7 * MIB, 10));
}

/* Pages of a size that is not used any more are available to others. */
static void pages_go_from_one_size_to_another(void **state)
{
    static const size_t sizes[] = {16, 48, 208, 320, 1000, 4096, 5000, 70000};
    struct arena *a = *state;

    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        size_t takes = sizes[s] <= 4096 ? sizes[s] + sizes[s] / 4 : (sizes[s] + 4095) / 4096 * 4096;
        size_t n = 7 * MIB / takes, got = 0;
        void **blocks = calloc(n, sizeof *blocks);
        assert_non_null(blocks);
        for (; got < n; got++) {
            blocks[got] = arena_allocate(a, sizes[s]);
            if (!blocks[got])
                break;
            memset(blocks[got], 1, sizes[s]);
        }
        if (got < n)
            fail_msg("%zu of %zu blocks of %zu bytes", got, n, sizes[s]);
        while (got > 0)
            arena_release(a, blocks[--got]);
        free(blocks);
        arena_trim(a);
    }
}

static void after_a_reset_the_same_is_got_again(void **state)
{
    struct arena *a = *state;
    void *first = arena_allocate(a, 6000), *second = arena_allocate(a, 100);

    for (int i = 0; i < 1000; i++)
        (void)arena_allocate(a, any_size());
    arena_reset(a);
    assert_ptr_equal(arena_allocate(a, 6000), first);
    assert_ptr_equal(arena_allocate(a, 100), second);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(blocks_keep_their_bytes),
        T(what_does_not_fit_is_refused),
        T(pages_go_from_one_size_to_another),
        T(after_a_reset_the_same_is_got_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
