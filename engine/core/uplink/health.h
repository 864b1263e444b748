/* Whether an uplink answers, in one family of addresses. Connections report it, and checks that are made for
 * it. Pure: counts and times, fed by the code that dials.
 *
 * An uplink becomes a suspect by silence: attempts that got no answer within their timeout. A destination may
 * be dead, so it takes three silences in a row. An answer by this uplink, or a byte received over it, ends
 * the row. A suspect is offered only where no other uplink is. Every two seconds one connection may try it,
 * which delays that connection until another uplink is raced.
 *
 * Connections that are made and then break, three in a row, make a suspect as well, until a byte arrives.
 *
 * A failed check counts as a silence. A suspect that failed three checks in a row is down, which is offered
 * like a suspect. Datagrams have no second attempt. So only where no check can tell does a new mapping try a
 * suspect, and at growing intervals. Behind a captive portal everything answers, but with the portal's
 * content. Only a check can detect that, and only a check can end it. */
#ifndef STEERWAY_UPLINK_HEALTH_H
#define STEERWAY_UPLINK_HEALTH_H

#include <stdbool.h>

enum { HEALTH_SILENCES = 3, HEALTH_RESETS = 3, HEALTH_FAILED_CHECKS = 3 };
#define HEALTH_RETRY_S 2.

/** Zero-initialised: in good health. */
struct health {
    int silences;      /* in a row */
    int resets;        /* in a row: connections that broke before a byte arrived */
    double received;   /* bytes received over the uplink at the latest silence or reset */
    double retry_at;   /* of a suspect: when it may be tried, monotonic seconds */
    int failed_checks; /* in a row */
    double answers; /* so far: of destinations, including refusals, and to checks; a portal's do not count */
    bool known;     /* it was tried at least once */
    bool captive;
    bool checked;            /* checks can tell whether it answers */
    double datagrams_at;     /* of a suspect: when datagrams may try it again, monotonic seconds */
    double datagrams_wait_s; /* the latest wait until then; 0: they have not tried it */
};

enum health_state { HEALTH_UP, HEALTH_SUSPECT, HEALTH_DOWN, HEALTH_CAPTIVE }; /* from the best to the worst */

/** A destination answered: it accepted or refused the connection. @return whether the uplink was a suspect */
bool health_answered(struct health *h);

/** An attempt got no answer.
 *  @param received  bytes received over the uplink so far
 *  @param now       monotonic seconds
 *  @return whether that makes it a suspect */
bool health_silent(struct health *h, double received, double now);

/** A connection was made, sent bytes, and broke before a byte arrived. Only received bytes end the row of
 * resets; a new connection does not. @return whether that makes it a suspect */
bool health_reset(struct health *h, double received, double now);

/** A check reached its target. @param heard  an answer came, more than a connection @return whether it was a
 * suspect or captive */
bool health_check_passed(struct health *h, bool heard);
/** A check got no answer; parameters and result as in health_silent. */
bool health_check_failed(struct health *h, double received, double now);
/** A captive portal answered a check. @return whether that is new */
bool health_check_captive(struct health *h);

static inline bool health_is_suspect(const struct health *h, double received)
{
    return (h->silences >= HEALTH_SILENCES || h->resets >= HEALTH_RESETS) && !(received > h->received);
}

/** Whether it is offered beside other uplinks. */
static inline bool health_is_fit(const struct health *h, double received, double now)
{
    return !h->captive && (!health_is_suspect(h, received) || now >= h->retry_at);
}

enum health_state health_state(const struct health *h, double received);

/** A connection tries it. If it is a suspect, the next try waits for HEALTH_RETRY_S. */
void health_tried(struct health *h, double now);

/** Whether a new mapping may try it, if it is a suspect.
 *  @param costs_little  datagrams that are sent again soon, such as a question for a name; a call or a game
 * waits longer for others to try it first */
bool health_lets_datagrams_try(const struct health *h, bool costs_little, double now);
/** A new mapping uses it. If it is a suspect, the next one waits, and each time for longer. */
void health_tried_by_datagrams(struct health *h, double received, double now);

#endif
