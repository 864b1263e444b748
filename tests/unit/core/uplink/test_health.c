/* Three silences in a row make a suspect, any answer clears it, and it is tried now and then. */
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
    assert_false(health_silent(&h, 0, 101)); /* it is a suspect already */
    assert_true(health_answered(&h));
    assert_false(health_answered(&h));
    assert_true(health_is_fit(&h, 0, 101));
}

/* Connections that open and then break, repeatedly. */
static void three_resets_make_a_suspect_until_bytes_arrive(void **state)
{
    struct health h = {.silences = 0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_false(health_answered(&h)); /* each was connected before */
        assert_int_equal(health_reset(&h, 0, 100), i == 2);
    }
    assert_false(health_answered(&h));
    assert_true(health_is_suspect(&h, 0)); /* connecting does not clear it */
    assert_false(health_check_passed(&h, false));
    assert_true(health_is_suspect(&h, 0));
    assert_false(health_is_suspect(&h, 1)); /* bytes do */
    assert_true(health_check_passed(&h, true));
    assert_false(health_is_suspect(&h, 0));
    for (int i = 1; i < 9; i++)
        assert_false(health_reset(&h, i, 100)); /* something came in between */
}

/* Torrents contact many dead peers. */
static void an_answer_or_a_byte_between_them_clears_it(void **state)
{
    struct health h = {.silences = 0};
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_false(health_silent(&h, 0, i));
        assert_false(health_silent(&h, 0, i));
        assert_false(health_answered(&h));
    }
    for (int i = 1; i < 10; i++)
        assert_false(health_silent(&h, i, i)); /* bytes arrived in between */
    assert_false(health_silent(&h, 9, 10));
    assert_true(health_silent(&h, 9, 10));
    assert_true(health_is_suspect(&h, 9));
    assert_false(health_is_suspect(&h, 10)); /* open connections continue to receive */
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

static void failed_checks_bring_a_suspect_down(void **state)
{
    struct health h = {.silences = 0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(health_state(&h, 0), HEALTH_UP);
        assert_int_equal(health_check_failed(&h, 0, 100), i == 2);
    }
    assert_int_equal(health_state(&h, 0), HEALTH_DOWN);
    assert_int_equal(health_state(&h, 1), HEALTH_UP); /* bytes have come in */
    assert_true(health_check_passed(&h, true));
    assert_int_equal(health_state(&h, 0), HEALTH_UP);
    for (int i = 0; i < 3; i++)
        (void)health_silent(&h, 0, 100);
    assert_int_equal(health_state(&h, 0), HEALTH_SUSPECT);
    for (int i = 0; i < 3; i++)
        assert_false(health_check_failed(&h, 0, 100));
    assert_int_equal(health_state(&h, 0), HEALTH_DOWN);
    assert_true(health_answered(&h));
    assert_int_equal(health_state(&h, 0), HEALTH_UP);
}

/* A portal answers every connection, so connections say nothing. */
static void only_a_check_ends_captivity(void **state)
{
    struct health h = {.silences = 0};
    (void)state;
    assert_true(health_check_captive(&h));
    assert_false(health_check_captive(&h));
    assert_false(health_is_fit(&h, 0, 1e9));
    assert_false(health_answered(&h));
    assert_int_equal(health_state(&h, 5), HEALTH_CAPTIVE);
    assert_true(health_check_passed(&h, true));
    assert_false(health_check_passed(&h, true));
    assert_true(health_is_fit(&h, 0, 0));
}

static void a_portal_answers_for_nobody(void **state)
{
    struct health h = {.silences = 0};
    (void)state;
    (void)health_answered(&h);
    (void)health_check_passed(&h, false);
    assert_true(h.answers == 2);
    (void)health_check_captive(&h);
    (void)health_check_failed(&h, 0, 1);
    (void)health_silent(&h, 0, 1);
    assert_true(h.answers == 2);
}

/* A mapping has no second attempt, so each try costs a client some seconds. */
static void datagrams_try_a_suspect_ever_more_rarely(void **state)
{
    static const double waits[] = {4, 8, 16, 32, 60, 60};
    struct health h = {.silences = 0};
    double now = 100;

    (void)state;
    health_tried_by_datagrams(&h, 0, now); /* in good health */
    for (int i = 0; i < 3; i++)
        (void)health_silent(&h, 0, now);
    assert_false(health_lets_datagrams_try(&h, true, now + 1.9));
    now += 2;
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        assert_true(health_lets_datagrams_try(&h, true, now));
        assert_int_equal(health_lets_datagrams_try(&h, false, now), now - 102 >= 20);
        health_tried_by_datagrams(&h, 0, now);
        assert_false(health_lets_datagrams_try(&h, true, now + waits[i] - 0.1));
        assert_false(health_lets_datagrams_try(&h, false, now + waits[i] - 0.1));
        now += waits[i];
    }
    health_tried_by_datagrams(&h, 1, now); /* bytes have come, and it falls silent again */
    assert_true(health_lets_datagrams_try(&h, true, now));
    health_tried_by_datagrams(&h, 0, now);
    assert_true(health_lets_datagrams_try(&h, true, now + 4));
    /* Connections try it, too. */
    health_tried(&h, now + 4);
    assert_false(health_lets_datagrams_try(&h, true, now + 5.9));
    assert_false(health_lets_datagrams_try(&h, false, now + 25.9));
    assert_true(health_lets_datagrams_try(&h, false, now + 26));
}

static void datagrams_leave_tries_to_checks(void **state)
{
    struct health h = {.checked = true};

    (void)state;
    for (int i = 0; i < 3; i++)
        (void)health_silent(&h, 0, 100);
    assert_false(health_lets_datagrams_try(&h, true, 1e6));
    h.checked = false;
    assert_true(health_lets_datagrams_try(&h, true, 1e6));
    (void)health_check_captive(&h);
    assert_false(health_lets_datagrams_try(&h, true, 1e6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_silences_make_a_suspect),
        cmocka_unit_test(three_resets_make_a_suspect_until_bytes_arrive),
        cmocka_unit_test(an_answer_or_a_byte_between_them_clears_it),
        cmocka_unit_test(a_suspect_is_tried_every_two_seconds),
        cmocka_unit_test(failed_checks_bring_a_suspect_down),
        cmocka_unit_test(only_a_check_ends_captivity),
        cmocka_unit_test(a_portal_answers_for_nobody),
        cmocka_unit_test(datagrams_try_a_suspect_ever_more_rarely),
        cmocka_unit_test(datagrams_leave_tries_to_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
