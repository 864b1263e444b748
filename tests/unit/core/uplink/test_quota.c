/* Periods of quotas follow the calendar, whatever months and clocks do, and nothing used is forgotten
 * within one. */
#include "uplink/quota.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static time_t at(const char *text)
{
    struct tm t = {.tm_isdst = -1};
    const char *end = strptime(text, "%Y-%m-%d %H:%M", &t);
    assert_true(end && *end == '\0');
    t.tm_isdst = -1;
    return mktime(&t);
}

static void assert_period(const struct quota_plan *plan, const char *now, const char *began, const char *ends)
{
    struct quota q;
    char text[2][32];

    quota_init(&q, plan, at(now));
    (void)strftime(text[0], sizeof text[0], "%Y-%m-%d %H:%M", localtime(&q.began));
    (void)strftime(text[1], sizeof text[1], "%Y-%m-%d %H:%M", localtime(&q.ends));
    if (strcmp(text[0], began) != 0 || strcmp(text[1], ends) != 0)
        fail_msg("at %s: %s to %s, expected %s to %s", now, text[0], text[1], began, ends);
}

static int berlin(void **state)
{
    (void)state;
    (void)setenv("TZ", "Europe/Berlin", 1);
    tzset();
    return 0;
}

static void months_begin_on_their_day_or_their_last(void **state)
{
    struct quota_plan p = {.bytes = 1, .per = QUOTA_MONTH};
    (void)state;
    assert_period(&p, "2026-11-26 23:59", "2026-11-01 00:00", "2026-12-01 00:00");
    assert_period(&p, "2026-12-01 00:00", "2026-12-01 00:00", "2027-01-01 00:00");
    assert_period(&p, "2026-12-31 23:59", "2026-12-01 00:00", "2027-01-01 00:00");
    p.day = 15;
    assert_period(&p, "2026-11-14 23:59", "2026-10-15 00:00", "2026-11-15 00:00");
    assert_period(&p, "2026-11-15 00:00", "2026-11-15 00:00", "2026-12-15 00:00");
    assert_period(&p, "2027-01-03 12:00", "2026-12-15 00:00", "2027-01-15 00:00");
    p.day = 31;
    assert_period(&p, "2026-02-10 12:00", "2026-01-31 00:00", "2026-02-28 00:00");
    assert_period(&p, "2026-02-28 00:00", "2026-02-28 00:00", "2026-03-31 00:00");
    assert_period(&p, "2026-03-30 23:59", "2026-02-28 00:00", "2026-03-31 00:00");
    assert_period(&p, "2028-02-29 10:00", "2028-02-29 00:00", "2028-03-31 00:00");
    assert_period(&p, "2026-04-30 10:00", "2026-04-30 00:00", "2026-05-31 00:00");
    p.day = 30;
    assert_period(&p, "2026-03-01 10:00", "2026-02-28 00:00", "2026-03-30 00:00");
}

static void weeks_begin_on_their_day(void **state)
{
    struct quota_plan p = {.bytes = 1, .per = QUOTA_WEEK};
    (void)state;
    assert_period(&p, "2026-11-26 12:00", "2026-11-23 00:00", "2026-11-30 00:00"); /* a Thursday */
    assert_period(&p, "2026-11-23 00:00", "2026-11-23 00:00", "2026-11-30 00:00");
    p.day = 7;
    assert_period(&p, "2026-11-29 00:00", "2026-11-29 00:00", "2026-12-06 00:00");
    assert_period(&p, "2026-11-28 23:59", "2026-11-22 00:00", "2026-11-29 00:00");
    p.day = 4;
    assert_period(&p, "2027-01-01 12:00", "2026-12-31 00:00", "2027-01-07 00:00");
}

static void days_begin_at_midnight_also_when_clocks_change(void **state)
{
    const struct quota_plan p = {.bytes = 1, .per = QUOTA_DAY};
    struct quota q;
    (void)state;
    assert_period(&p, "2026-12-31 23:59", "2026-12-31 00:00", "2027-01-01 00:00");
    assert_period(&p, "2026-03-29 12:00", "2026-03-29 00:00", "2026-03-30 00:00");
    quota_init(&q, &p, at("2026-03-29 12:00"));
    assert_int_equal(q.ends - q.began, 23 * 3600);
    quota_init(&q, &p, at("2026-10-25 12:00"));
    assert_int_equal(q.ends - q.began, 25 * 3600);
}

static void what_is_left_comes_back_when_the_period_ends(void **state)
{
    const struct quota_plan p = {.bytes = 1000, .per = QUOTA_MONTH};
    struct quota q;
    (void)state;
    quota_init(&q, &p, at("2026-11-26 12:00"));
    assert_true(quota_left(&q) == 1000);
    q.used += 400;
    assert_true(quota_left(&q) == 600);
    q.used += 1000;
    assert_true(quota_left(&q) == 0);
    assert_false(quota_renew(&q, at("2026-11-30 23:59")));
    assert_true(quota_left(&q) == 0);
    assert_true(quota_renew(&q, at("2026-12-01 00:00")));
    assert_true(quota_left(&q) == 1000);
    assert_false(quota_renew(&q, at("2026-12-01 00:00")));
    q.used = 1;
    assert_true(quota_renew(&q, at("2027-05-05 00:00"))); /* several periods have passed */
    assert_true(q.used == 0 && q.began == at("2027-05-01 00:00"));
}

static void without_a_plan_there_is_no_end(void **state)
{
    const struct quota_plan none = {.bytes = 0};
    struct quota q;
    (void)state;
    quota_init(&q, &none, at("2026-11-26 12:00"));
    q.used = 1e12;
    assert_true(quota_restore(&q, at("2026-11-01 00:00"), 1));
    assert_true(isinf(quota_left(&q)));
    assert_false(quota_renew(&q, at("2036-11-26 12:00")));
}

static void a_count_goes_on_in_its_own_period_alone(void **state)
{
    const struct quota_plan p = {.bytes = 1000, .per = QUOTA_MONTH};
    struct quota q;
    (void)state;
    quota_init(&q, &p, at("2026-11-26 12:00"));
    assert_true(quota_restore(&q, at("2026-11-01 00:00"), 300));
    assert_true(quota_left(&q) == 700);
    quota_init(&q, &p, at("2026-12-26 12:00"));
    assert_true(quota_restore(&q, at("2026-11-01 00:00"), 300));
    assert_true(quota_left(&q) == 1000);
    assert_true(quota_restore(&q, at("2026-12-01 00:00"), -1));
    assert_true(quota_restore(&q, at("2026-12-01 00:00"), (double)NAN));
    assert_true(quota_left(&q) == 1000);
}

/* Its period must not continue for years. */
static void a_clock_that_was_ahead_takes_no_line_away(void **state)
{
    const struct quota_plan p = {.bytes = 1000, .per = QUOTA_MONTH};
    struct quota q;
    (void)state;
    quota_init(&q, &p, at("2026-11-26 12:00"));
    assert_true(quota_restore(&q, at("2026-12-01 00:00"), 300)); /* this clock may be the one that lags */
    assert_false(quota_renew(&q, at("2026-12-26 12:00")));
    quota_init(&q, &p, at("2026-11-26 12:00"));
    assert_false(quota_restore(&q, at("2046-11-01 00:00"), 300));
    assert_true(quota_left(&q) == 700);
    assert_true(quota_renew(&q, at("2026-12-26 12:00")));
    assert_true(quota_left(&q) == 1000);
}

/* A machine without a battery begins in 1970, and its clock is set later. */
static void a_clock_that_lags_loses_nothing(void **state)
{
    const struct quota_plan p = {.bytes = 1000, .per = QUOTA_MONTH};
    struct quota q;
    (void)state;
    quota_init(&q, &p, at("1970-01-02 00:00"));
    assert_true(quota_restore(&q, at("2026-11-01 00:00"), 300));
    assert_false(quota_renew(&q, at("1970-01-02 00:01")));
    assert_false(quota_renew(&q, at("2026-11-26 12:00")));
    assert_true(quota_left(&q) == 700);
    assert_true(quota_renew(&q, at("2026-12-01 00:00")));
}

/* A count goes on under another plan if it began within that plan's present period. */
static void another_plan_counts_on(void **state)
{
    static const struct {
        struct quota_plan before, now;
        double used;
    } cases[] = {
        {{.bytes = 100}, {.bytes = 50}, 30},
        {{.bytes = 100}, {.bytes = 100, .hard = true}, 30},
        {{.bytes = 100, .per = QUOTA_DAY}, {.bytes = 100}, 30},
        {{.bytes = 100}, {.bytes = 100, .per = QUOTA_DAY}, 0}, /* the count began before that day */
        {{.bytes = 0}, {.bytes = 100}, 0},
        {{.bytes = 100}, {.bytes = 0}, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quota q;
        quota_init(&q, &cases[i].before, at("2026-11-26 12:00"));
        q.used = 30;
        quota_replan(&q, &cases[i].now, at("2026-11-26 13:00"));
        if (q.used < cases[i].used || q.used > cases[i].used)
            fail_msg("case %zu: %g used", i, q.used);
        assert_int_equal(q.plan.hard, cases[i].now.hard);
        assert_int_equal(quota_is_set(&q), cases[i].now.bytes > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(months_begin_on_their_day_or_their_last),
        cmocka_unit_test(weeks_begin_on_their_day),
        cmocka_unit_test(days_begin_at_midnight_also_when_clocks_change),
        cmocka_unit_test(what_is_left_comes_back_when_the_period_ends),
        cmocka_unit_test(without_a_plan_there_is_no_end),
        cmocka_unit_test(a_count_goes_on_in_its_own_period_alone),
        cmocka_unit_test(a_clock_that_was_ahead_takes_no_line_away),
        cmocka_unit_test(a_clock_that_lags_loses_nothing),
        cmocka_unit_test(another_plan_counts_on),
    };
    return cmocka_run_group_tests(tests, berlin, NULL);
}
