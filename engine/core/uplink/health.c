#include "uplink/health.h"

/* A try costs a client some seconds. The waits double from the first to the longest, so that a long outage
 * costs one of them a minute. */
static const double DATAGRAMS_FIRST_S = 4, DATAGRAMS_LONGEST_S = 60;
/* So much longer waits a try that costs a call or a game its beginning. */
static const double DATAGRAMS_DEAR_S = 20;

/* @return whether it was a suspect */
static bool end_silence(struct health *h)
{
    bool was_suspect = h->silences >= HEALTH_SILENCES;

    h->silences = 0;
    h->failed_checks = 0;
    h->known = true;
    return was_suspect;
}

bool health_answered(struct health *h)
{
    h->answers++;
    return end_silence(h);
}

bool health_check_passed(struct health *h, bool heard)
{
    bool was_captive = h->captive, was_reset = heard && h->resets >= HEALTH_RESETS;

    h->captive = false;
    if (heard)
        h->resets = 0;
    return health_answered(h) || was_captive || was_reset;
}

bool health_check_failed(struct health *h, double received, double now)
{
    h->failed_checks++;
    return health_silent(h, received, now);
}

bool health_check_captive(struct health *h)
{
    bool was_captive = h->captive;

    (void)end_silence(h);
    h->captive = true;
    return !was_captive;
}

enum health_state health_state(const struct health *h, double received)
{
    if (h->captive)
        return HEALTH_CAPTIVE;
    if (!health_is_suspect(h, received))
        return HEALTH_UP;
    return h->failed_checks < HEALTH_FAILED_CHECKS ? HEALTH_SUSPECT : HEALTH_DOWN;
}

/* Bytes that arrived since the latest silence or reset end both rows. */
static void forget_if_heard(struct health *h, double received)
{
    if (received > h->received)
        h->silences = h->resets = 0;
    h->received = received;
    h->known = true;
}

/* Count one more of a row. @return whether the row is long enough now, and makes the uplink a suspect */
static bool one_more(struct health *h, int *row, int enough, double received, double now)
{
    forget_if_heard(h, received);
    (*row)++;
    if (*row == enough)
        h->retry_at = now + HEALTH_RETRY_S;
    return *row == enough;
}

bool health_silent(struct health *h, double received, double now)
{
    return one_more(h, &h->silences, HEALTH_SILENCES, received, now);
}

bool health_reset(struct health *h, double received, double now)
{
    return one_more(h, &h->resets, HEALTH_RESETS, received, now);
}

void health_tried(struct health *h, double now)
{
    if (now >= h->retry_at)
        h->retry_at = now + HEALTH_RETRY_S;
}

bool health_lets_datagrams_try(const struct health *h, bool costs_little, double now)
{
    double wait_s = costs_little ? 0 : DATAGRAMS_DEAR_S;

    return !h->captive && !h->checked && now >= h->retry_at + wait_s && now >= h->datagrams_at;
}

void health_tried_by_datagrams(struct health *h, double received, double now)
{
    double next_s = h->datagrams_wait_s > 0 ? 2 * h->datagrams_wait_s : DATAGRAMS_FIRST_S;

    if (!health_is_suspect(h, received))
        next_s = 0;
    h->datagrams_wait_s = next_s < DATAGRAMS_LONGEST_S ? next_s : DATAGRAMS_LONGEST_S;
    h->datagrams_at = now + h->datagrams_wait_s;
}
