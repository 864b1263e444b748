#include "uplink/quota.h"

#include <math.h>

/* A clock that shows an earlier time was never set: this program did not exist then. */
static const time_t CLOCK_IS_SET = 1767225600; /* 2026-01-01, UTC */

static const int DAYS_A_WEEK = 7;

static int last_of_month(int year, int month)
{
    struct tm first_of_next = {
        .tm_year = year, .tm_mon = month + 1, .tm_mday = 0, .tm_hour = 12, .tm_isdst = -1};

    (void)mktime(&first_of_next); /* the day before the first */
    return first_of_next.tm_mday;
}

static time_t midnight(int year, int month, int day)
{
    struct tm t = {.tm_year = year, .tm_mon = month, .tm_mday = day, .tm_isdst = -1};

    return mktime(&t);
}

/* The start of the period that contains today, or of one that comes `after` periods later. mktime normalises
 * fields that are out of range. */
static time_t begin_of(const struct quota_plan *p, const struct tm *today, int after)
{
    int day = p->day > 0 ? p->day : 1;

    switch (p->per) {
    case QUOTA_DAY:
        return midnight(today->tm_year, today->tm_mon, today->tm_mday + after);
    case QUOTA_WEEK: {
        int since = (today->tm_wday + DAYS_A_WEEK - day) % DAYS_A_WEEK; /* Sunday is 0 there, and 7 here */
        return midnight(today->tm_year, today->tm_mon, today->tm_mday - since + DAYS_A_WEEK * after);
    }
    case QUOTA_MONTH: {
        int last = last_of_month(today->tm_year, today->tm_mon);
        int month = today->tm_mon + after - (today->tm_mday < (day < last ? day : last));
        last = last_of_month(today->tm_year, month);
        return midnight(today->tm_year, month, day < last ? day : last);
    }
    }
    return 0;
}

static void begin_period(struct quota *q, time_t now)
{
    struct tm today;

    (void)localtime_r(&now, &today);
    q->began = begin_of(&q->plan, &today, 0);
    q->ends = begin_of(&q->plan, &today, 1);
}

void quota_init(struct quota *q, const struct quota_plan *plan, time_t now)
{
    *q = (struct quota){.plan = *plan};
    if (quota_is_set(q))
        begin_period(q, now);
}

/* Whether a count's period begins so late that the clock must have been wrong then. If the present clock was
 * never set (a machine without a battery), that cannot be told. */
static bool is_from_a_wrong_clock(const struct quota *q, time_t began)
{
    struct quota next = *q;

    begin_period(&next, q->ends);
    return q->began >= CLOCK_IS_SET && began >= next.ends;
}

bool quota_restore(struct quota *q, time_t began, double used)
{
    if (!quota_is_set(q) || began < q->began || !(used >= 0))
        return true;
    q->used = used;
    if (began < q->ends)
        return true;
    if (is_from_a_wrong_clock(q, began))
        return false;
    begin_period(q, began);
    return true;
}

void quota_replan(struct quota *q, const struct quota_plan *plan, time_t now)
{
    const struct quota before = *q;

    quota_init(q, plan, now);
    if (quota_is_set(&before))
        (void)quota_restore(q, before.began, before.used);
}

bool quota_renew(struct quota *q, time_t now)
{
    if (!quota_is_set(q) || now < q->ends)
        return false;
    begin_period(q, now);
    q->used = 0;
    return true;
}

double quota_left(const struct quota *q)
{
    return quota_is_set(q) ? fmax(q->plan.bytes - q->used, 0) : INFINITY;
}

const char *quota_per_name(enum quota_per per)
{
    static const char *const names[] = {[QUOTA_DAY] = "day", [QUOTA_WEEK] = "week", [QUOTA_MONTH] = "month"};

    return names[per];
}
