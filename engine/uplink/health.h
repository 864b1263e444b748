/* Whether an uplink answers, as connections tell that go by it anyway. Pure: counts and times, fed by whoever
 * dials.
 *
 * Silence is what an uplink is suspected for: attempts that got no answer in their time. A destination may be
 * dead, so it takes three in a row, without an answer by this uplink and without an octet received over it
 * meanwhile. A suspect is left to those who have no other; and each two seconds one connection may try it,
 * which costs nobody more than the time until another uplink is raced. */
#ifndef STEERWAY_UPLINK_HEALTH_H
#define STEERWAY_UPLINK_HEALTH_H

#include <stdbool.h>

enum { HEALTH_SILENCES = 3 };
#define HEALTH_RETRY_S 2.

/** Zero-initialised: nothing is known against it. */
struct health {
    int silences;    /* in a row */
    double received; /* octets over the uplink as of the latest silence */
    double retry_at; /* of a suspect: when it may be tried */
};

/** It has answered: connected, or refused. @return whether it was a suspect */
bool health_answered(struct health *h);

/** An attempt got no answer.
 *  @param received  octets that came over the uplink so far
 *  @param now       monotonic seconds
 *  @return whether that makes it a suspect */
bool health_silent(struct health *h, double received, double now);

static inline bool health_is_suspect(const struct health *h, double received)
{
    return h->silences >= HEALTH_SILENCES && !(received > h->received);
}

/** Whether it is to be offered beside others. */
static inline bool health_is_fit(const struct health *h, double received, double now)
{
    return !health_is_suspect(h, received) || now >= h->retry_at;
}

/** It has been chosen: the next try is a while away. */
void health_tried(struct health *h, double now);

#endif
