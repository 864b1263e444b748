/* Whether an uplink answers, in one family of addresses: as connections tell that go by it anyway, and as
 * checks tell that are made for it. Pure: counts and times, fed by whoever dials.
 *
 * Silence is what an uplink is suspected for: attempts that got no answer in their time. A destination may be
 * dead, so it takes three in a row, without an answer by this uplink and without an octet received over it
 * meanwhile. A suspect is left to those who have no other; and each two seconds one connection may try it,
 * which costs nobody more than the time until another uplink is raced.
 *
 * Connections that are made and then break, one after the other, make a suspect as well, until an octet
 * comes.
 *
 * A check that fails counts as a silence. A suspect that failed three is down, which is as much left to those
 * who have no other. Behind a captive portal everything answers, but not what was meant; only a check can
 * tell, and only a check takes it back. */
#ifndef STEERWAY_UPLINK_HEALTH_H
#define STEERWAY_UPLINK_HEALTH_H

#include <stdbool.h>

enum { HEALTH_SILENCES = 3, HEALTH_RESETS = 3, HEALTH_FAILED_CHECKS = 3 };
#define HEALTH_RETRY_S 2.

/** Zero-initialised: nothing is known against it. */
struct health {
    int silences;      /* in a row */
    int resets;        /* in a row: connections that broke before an octet came */
    double received;   /* octets over the uplink as of the latest silence or reset */
    double retry_at;   /* of a suspect: when it may be tried */
    int failed_checks; /* in a row */
    double answers;    /* so far: of destinations, refusals too, and to checks, but not a portal's */
    bool known;        /* it was tried at some time */
    bool captive;
};

enum health_state { HEALTH_UP, HEALTH_SUSPECT, HEALTH_DOWN, HEALTH_CAPTIVE }; /* better ones first */

/** It has answered: connected, or refused. @return whether it was a suspect */
bool health_answered(struct health *h);

/** An attempt got no answer.
 *  @param received  octets that came over the uplink so far
 *  @param now       monotonic seconds
 *  @return whether that makes it a suspect */
bool health_silent(struct health *h, double received, double now);

/** A connection was made, and broke before an octet came, though some were sent. Connecting does not make up
 * for that; octets do. @return whether that makes it a suspect */
bool health_reset(struct health *h, double received, double now);

/** A check came through to what was meant. @param heard  an answer came, not a connection alone @return
 * whether it was a suspect, or captive */
bool health_check_passed(struct health *h, bool heard);
/** A check got no answer; the rest as for health_silent. */
bool health_check_failed(struct health *h, double received, double now);
/** A check was answered by somebody else. @return whether that is new */
bool health_check_captive(struct health *h);

static inline bool health_is_suspect(const struct health *h, double received)
{
    return (h->silences >= HEALTH_SILENCES || h->resets >= HEALTH_RESETS) && !(received > h->received);
}

/** Whether it is to be offered beside others. */
static inline bool health_is_fit(const struct health *h, double received, double now)
{
    return !h->captive && (!health_is_suspect(h, received) || now >= h->retry_at);
}

enum health_state health_state(const struct health *h, double received);

/** It has been chosen: the next try is a while away. */
void health_tried(struct health *h, double now);

#endif
