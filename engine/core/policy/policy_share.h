/* The policy's share of the main loop's time. It is a bucket of CPU seconds, which calls empty and passing
 * time refills. So all calls together may use the whole bucket at once, and from then on half of the time.
 *
 * An empty bucket rests the policy until it is half full. So the policy stops now and then, not at each
 * call. */
#ifndef STEERWAY_POLICY_POLICY_SHARE_H
#define STEERWAY_POLICY_POLICY_SHARE_H

#include <stdbool.h>

/** Zero-initialised is full. */
struct policy_share {
    double spent_s; /* seconds missing from a full bucket */
    double at_s;    /* monotonic: passed time is credited up to here */
    bool rests;     /* empty, and not yet half full again */
};

/** Credit the time that has passed. Call it before each call into Lua, so that the call's own time is not
 * credited.
 *  @return whether the policy may be called */
bool policy_share_open(struct policy_share *s, double room_s, double now_s);

/** Debit a call's CPU time. @return true when this empties the bucket, once until it is half full */
bool policy_share_take(struct policy_share *s, double room_s, double used_s, double now_s);

/** @return seconds until the policy may be called again, 0 if it may now */
double policy_share_rest_s(const struct policy_share *s, double room_s);

#endif
