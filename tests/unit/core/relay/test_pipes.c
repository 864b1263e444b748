/* Pipes from the pool: few stay open, a process keeps to its share of descriptors, and a refusal is
 * followed by a pause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/pipes.h"

#include <sys/resource.h>

enum { FILES = 400, SHARE = FILES / PIPES_SHARE / 2 };

static void limit(rlim_t n)
{
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static void few_pipes_stay_open(void **state)
{
    struct pipes pool = {.n_idle = 0};
    struct pipe *held[PIPES_IDLE_MAX + 3];

    (void)state;
    for (size_t i = 0; i < PIPES_IDLE_MAX + 3; i++) {
        held[i] = pipes_take(&pool);
        assert_non_null(held[i]);
    }
    for (size_t i = 0; i < PIPES_IDLE_MAX + 3; i++)
        pipes_give(&pool, held[i]);
    assert_int_equal(pool.n_idle, PIPES_IDLE_MAX);
    assert_int_equal(pool.n_held, 0);
    pipes_done(&pool);
}

static void all_pools_share_a_part_of_the_descriptors(void **state)
{
    struct pipes pools[2] = {{.n_idle = 0}, {.n_idle = 0}};
    struct pipe *held[SHARE];

    (void)state;
    limit(FILES);
    for (size_t i = 0; i < SHARE; i++) {
        held[i] = pipes_take(&pools[i % 2]);
        assert_non_null(held[i]);
    }
    assert_null(pipes_take(&pools[0]));
    assert_null(pipes_take(&pools[1]));
    for (size_t i = 0; i < SHARE; i++)
        pipes_give(&pools[i % 2], held[i]);
    pipes_done(&pools[0]);
    pipes_done(&pools[1]);
    struct pipes later = {.n_idle = 0}; /* and what was closed can be opened again */
    struct pipe *one = pipes_take(&later);
    assert_non_null(one);
    pipes_give(&later, one);
    pipes_done(&later);
}

static void after_a_refusal_there_is_a_pause(void **state)
{
    struct pipes pool = {.n_idle = 0};
    struct pipe *pipe = NULL;
    unsigned without = 0;

    (void)state;
    limit(2);
    assert_null(pipes_take(&pool));
    limit(FILES);
    for (; !pipe && without < 100000; without++)
        pipe = pipes_take(&pool);
    assert_non_null(pipe);
    assert_true(without > 100);
    pipes_give(&pool, pipe);
    pipes_done(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_pipes_stay_open),
        cmocka_unit_test(all_pools_share_a_part_of_the_descriptors),
        cmocka_unit_test(after_a_refusal_there_is_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
