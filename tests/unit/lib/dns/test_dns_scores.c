#include "dns/dns_scores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* "012 2": the order, and the server that is asked as well. */
static void assert_order(struct dns_scores *s, double now, const char *expected)
{
    struct dns_order o;
    char text[32];
    size_t len = 0;
    dns_scores_order(s, now, &o);
    for (size_t i = 0; i < o.n; i++)
        text[len++] = (char)('0' + o.server[i]);
    text[len] = '\0';
    if (o.beside >= 0)
        (void)snprintf(text + len, sizeof text - len, " %d", o.beside);
    assert_string_equal(text, expected);
}

static void those_that_answer_come_first_as_configured(void **state)
{
    struct dns_scores s;
    (void)state;
    dns_scores_init(&s, 3);
    assert_order(&s, 1000, "012");
    dns_scores_heard(&s, 2, 0.001); /* fast, but configured as the last */
    dns_scores_heard(&s, 0, 0.2);
    assert_order(&s, 1000, "012");
    dns_scores_silent(&s, 0, 1000);
    assert_order(&s, 1000, "120");
    dns_scores_silent(&s, 1, 1000);
    assert_order(&s, 1000, "201");
    dns_scores_silent(&s, 2, 1000); /* none answers: as configured */
    assert_order(&s, 1000, "012");
    dns_scores_heard(&s, 1, 0.1);
    assert_order(&s, 1000, "102");
}

static void a_silent_one_is_asked_beside_now_and_then(void **state)
{
    struct dns_scores s;
    (void)state;
    dns_scores_init(&s, 2);
    dns_scores_silent(&s, 0, 1000);
    assert_order(&s, 1004.9, "10");
    assert_order(&s, 1005, "10 0");
    assert_order(&s, 1005, "10"); /* one question asks it, not all */
    assert_order(&s, 1009.9, "10");
    dns_scores_silent(&s, 0, 1010);
    assert_order(&s, 1019.9, "10"); /* less and less often */
    assert_order(&s, 1020, "10 0");
    dns_scores_heard(&s, 0, 0.01);
    assert_order(&s, 1020, "01");
    for (int i = 0; i < 100; i++)
        dns_scores_silent(&s, 0, 2000 + 10 * i);
    assert_order(&s, 3290 - 0.1, "10");
    assert_order(&s, 3290, "10 0"); /* every 300 s at least */
}

static void a_hundred_questions_meet_one_silence(void **state)
{
    struct dns_scores s;
    (void)state;
    dns_scores_init(&s, 2);
    for (int i = 0; i < 100; i++)
        dns_scores_silent(&s, 0, 1000 + i * 0.001);
    assert_int_equal(s.of[0].silences, 1);
    assert_order(&s, 1005, "10 0");
}

static void patience_follows_what_a_server_takes(void **state)
{
    struct dns_scores s;
    (void)state;
    dns_scores_init(&s, 1);
    assert_true(dns_scores_patience_s(&s, 0) == 0.2);
    dns_scores_heard(&s, 0, 0.001);
    assert_true(dns_scores_patience_s(&s, 0) == 0.1);
    dns_scores_init(&s, 1);
    dns_scores_heard(&s, 0, 0.3);
    assert_true(dns_scores_patience_s(&s, 0) > 0.59 && dns_scores_patience_s(&s, 0) < 0.61);
    for (int i = 0; i < 100; i++)
        dns_scores_heard(&s, 0, 30);
    assert_true(dns_scores_patience_s(&s, 0) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_answer_come_first_as_configured),
        cmocka_unit_test(a_silent_one_is_asked_beside_now_and_then),
        cmocka_unit_test(a_hundred_questions_meet_one_silence),
        cmocka_unit_test(patience_follows_what_a_server_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
