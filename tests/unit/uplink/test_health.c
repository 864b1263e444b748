/* Three silences in a row make a suspect, any sign of life unmakes it, and it is tried now and then. */
#include "uplink/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void three_silences_make_a_suspect(void **state)
{
    struct health h = {.silences = 0};
    (void)state;
    assert_true(health_is_fit(&h, 0, 100));
    assert_false(health_silent(&h, 0, 100));
    assert_false(health_silent(&h, 0, 100));
    assert_false(health_is_suspect(&h, 0));
    assert_true(health_silent(&h, 0, 100));
    assert_true(health_is_suspect(&h, 0));
    assert_false(health_is_fit(&h, 0, 101));
    assert_false(health_silent(&h, 0, 101)); /* it is one already */
    assert_true(health_answered(&h));
    assert_false(health_answered(&h));
    assert_true(health_is_fit(&h, 0, 101));
}

/* Torrents call many who are dead. */
static void an_answer_or_an_octet_between_them_clears_it(void **state)
{
    struct health h = {.silences = 0};
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_false(health_silent(&h, 0, i));
        assert_false(health_silent(&h, 0, i));
        assert_false(health_answered(&h));
    }
    for (int i = 1; i < 10; i++)
        assert_false(health_silent(&h, i, i)); /* octets came in between */
    assert_false(health_silent(&h, 9, 10));
    assert_true(health_silent(&h, 9, 10));
    assert_true(health_is_suspect(&h, 9));
    assert_false(health_is_suspect(&h, 10)); /* what is open goes on receiving */
}

static void a_suspect_is_tried_every_two_seconds(void **state)
{
    struct health h = {.silences = 0};
    (void)state;
    for (int i = 0; i < 3; i++)
        (void)health_silent(&h, 0, 100);
    for (double now = 102; now < 110; now += 2) {
        assert_false(health_is_fit(&h, 0, now - 0.01));
        assert_true(health_is_fit(&h, 0, now));
        health_tried(&h, now);
        assert_false(health_is_fit(&h, 0, now));
        assert_false(health_silent(&h, 0, now + 0.25));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_silences_make_a_suspect),
        cmocka_unit_test(an_answer_or_an_octet_between_them_clears_it),
        cmocka_unit_test(a_suspect_is_tried_every_two_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
