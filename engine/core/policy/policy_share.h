/* A policy's share of the main loop's time: a bucket of CPU seconds that its calls empty, and that fills with
 * the time that passes between them. So all of its calls together get the room of the bucket at once, and as
 * much time as the others from then on.
 *
 * Once it is empty the policy rests until it is half full: it runs dry now and then, not at each call. */
#ifndef STEERWAY_POLICY_POLICY_SHARE_H
#define STEERWAY_POLICY_POLICY_SHARE_H

#include <stdbool.h>

/** Zero-initialised is full. */
struct policy_share {
    double spent_s; /* what is missing from a full bucket */
    double at_s;    /* monotonic: time before this has been given back, or was spent */
    bool rests;     /* from when it is empty until it is half full */
};

/** Give back what has passed. Before each call, so that the call's own time does not count.
 *  @return whether the policy may be called */
bool policy_share_open(struct policy_share *s, double room_s, double now_s);

/** After a call that took CPU time. @return true when it has emptied the bucket, once until it is half full
 */
bool policy_share_take(struct policy_share *s, double room_s, double used_s, double now_s);

/** @return seconds until it may be called again, 0 if it may */
double policy_share_rest_s(const struct policy_share *s, double room_s);

#endif
