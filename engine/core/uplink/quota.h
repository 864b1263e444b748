/* How much an uplink may carry in a period, and what is left of it. Pure arithmetic over octets and
 * wall-clock time; periods begin at midnight of the local time zone (TZ). */
#ifndef STEERWAY_UPLINK_QUOTA_H
#define STEERWAY_UPLINK_QUOTA_H

#include <stdbool.h>
#include <time.h>

enum quota_per { QUOTA_MONTH, QUOTA_WEEK, QUOTA_DAY };

/** Zero-initialised: no quota. */
struct quota_plan {
    double octets; /* both directions together; 0: no quota */
    enum quota_per per;
    int day;   /* on which it begins: of the week, 1 (Monday) to 7; of the month, 1 to 31, in shorter months
                  their last; 0 is 1 */
    bool hard; /* when it is used up, nobody may go on over it */
};

struct quota {
    struct quota_plan plan;
    time_t began, ends; /* the period under way */
    double used;        /* octets in it */
};

/** Begin to count, in the period that now is in. */
void quota_init(struct quota *q, const struct quota_plan *plan, time_t now);

/** Go on with what an earlier run has counted, if that was in the period under way. A clock that stands
 * before the time at which it was counted is not believed: the count goes on, and its period with it. But a
 * period that begins more than one other later than now's was counted by a clock that was wrong: the count
 * goes on in the period of now. @return false for the latter */
bool quota_restore(struct quota *q, time_t began, double used);

/** Begin the period that now is in, when the one under way is over. @return whether that was so */
bool quota_renew(struct quota *q, time_t now);

static inline bool quota_is_set(const struct quota *q)
{
    return q->plan.octets > 0;
}

/** Octets; infinity without a quota. */
double quota_left(const struct quota *q);

const char *quota_per_name(enum quota_per per);

#endif
