/* How many bytes an uplink may carry in a period, and how many are left. Pure arithmetic over bytes and
 * wall-clock time. Periods begin at midnight of the local time zone (TZ). */
#ifndef STEERWAY_UPLINK_QUOTA_H
#define STEERWAY_UPLINK_QUOTA_H

#include <stdbool.h>
#include <time.h>

enum quota_per { QUOTA_MONTH, QUOTA_WEEK, QUOTA_DAY };

/** Zero-initialised: no quota. */
struct quota_plan {
    double bytes; /* both directions together; 0: no quota */
    enum quota_per per;
    int day;   /* on which the period begins: of the week, 1 (Monday) to 7; of the month, 1 to 31, or its last
                  day in shorter months; 0 means 1 */
    bool hard; /* a quota that is used up takes the uplink out of service */
};

struct quota {
    struct quota_plan plan;
    time_t began, ends; /* the present period */
    double used;        /* bytes in it */
};

/** Start to count, in the period that contains now. */
void quota_init(struct quota *q, const struct quota_plan *plan, time_t now);

/** Count by another plan from now on. The bytes of the period so far count, unless the new plan's period
 * began later than that count. */
void quota_replan(struct quota *q, const struct quota_plan *plan, time_t now);

/** Continue the count of an earlier run, if it is of the present period. A clock that is earlier than that
 * count is wrong: the count and its period continue. A count from more than one period ahead comes from a
 * clock that was wrong: the count continues in the present period. @return false in that last case */
bool quota_restore(struct quota *q, time_t began, double used);

/** Start the period that contains now, if the present one is over. @return whether it was */
bool quota_renew(struct quota *q, time_t now);

static inline bool quota_is_set(const struct quota *q)
{
    return q->plan.bytes > 0;
}

/** In bytes; infinity without a quota. */
double quota_left(const struct quota *q);

const char *quota_per_name(enum quota_per per);

#endif
