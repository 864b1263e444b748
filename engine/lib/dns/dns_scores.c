#include "dns/dns_scores.h"

#include <math.h>

/* An unknown server gets a bit less than the 0.25 s after which another uplink is raced (RFC 8305 5). A known
 * one gets twice its usual time, within these bounds; a satellite's round trip is 0.6 s. */
static const double UNKNOWN_S = 0.2, LEAST_S = 0.1, MOST_S = 1;
/* A silent server is asked again after 5 s, and each time that it stays silent after twice as long. */
static const double RETRY_S = 5, RETRY_MAX_S = 300;
/* The smoothing of RFC 6298 2. */
static const double GAIN = 0.125;

void dns_scores_init(struct dns_scores *s, size_t n)
{
    *s = (struct dns_scores){.n = n < DNS_SERVERS_MAX ? n : DNS_SERVERS_MAX};
}

static double retry_after_s(unsigned silences)
{
    return fmin(RETRY_S * exp2(silences > 1 ? fmin(silences - 1, 16) : 0), RETRY_MAX_S);
}

void dns_scores_order(struct dns_scores *s, double now, struct dns_order *ret)
{
    unsigned least = 0;

    *ret = (struct dns_order){.n = 0, .beside = -1};
    while (ret->n < s->n) { /* by number of silences, then as configured */
        unsigned next = UINT32_MAX;
        for (size_t i = 0; i < s->n; i++) {
            if (s->of[i].silences == least)
                ret->server[ret->n++] = (uint8_t)i;
            else if (s->of[i].silences > least && s->of[i].silences < next)
                next = s->of[i].silences;
        }
        least = next;
    }
    for (size_t i = 1; i < ret->n && ret->beside < 0; i++) {
        struct dns_score *score = &s->of[ret->server[i]];
        if (score->silences == 0 || now < score->retry_at)
            continue;
        score->retry_at = now + retry_after_s(score->silences);
        ret->beside = ret->server[i];
    }
}

void dns_scores_heard(struct dns_scores *s, size_t server, double rtt_s)
{
    struct dns_score *score = &s->of[server];

    score->rtt_s = score->rtt_s > 0 ? score->rtt_s + GAIN * (rtt_s - score->rtt_s) : rtt_s;
    score->silences = 0;
}

void dns_scores_silent(struct dns_scores *s, size_t server, double now)
{
    struct dns_score *score = &s->of[server];

    /* Many questions may run at once and meet the same silence, which counts once. */
    if (score->silences > 0 && now < score->counted_at + RETRY_S)
        return;
    score->silences++;
    score->counted_at = now;
    score->retry_at = now + retry_after_s(score->silences);
}

double dns_scores_patience_s(const struct dns_scores *s, size_t server)
{
    const struct dns_score *score = &s->of[server];

    return score->rtt_s > 0 ? fmin(fmax(2 * score->rtt_s, LEAST_S), MOST_S) : UNKNOWN_S;
}
