/* What one way out of this machine has learned of its DNS servers: which of them answer, and how soon. Pure.
 *
 * The servers that answer are asked first, in the order of the configuration, for that order may mean
 * something. A server that has not answered goes to the end, and is asked beside another one from time to
 * time, so that it is found again at no cost. */
#ifndef STEERWAY_DNS_DNS_SCORES_H
#define STEERWAY_DNS_DNS_SCORES_H

#include "dns/dns_servers.h"

struct dns_score {
    unsigned silences; /* in a row */
    double rtt_s;      /* smoothed; 0: not known */
    double counted_at; /* silent: the latest that was counted */
    double retry_at;   /* silent: when it is asked again */
};

struct dns_scores {
    size_t n; /* servers */
    struct dns_score of[DNS_SERVERS_MAX];
};

/** In which order to ask, by index. */
struct dns_order {
    size_t n;
    uint8_t server[DNS_SERVERS_MAX];
    int beside; /* a silent one to be asked along with the first, to see whether it answers by now; -1: none
                 */
};

void dns_scores_init(struct dns_scores *s, size_t n);

/** A silent server that is asked beside is not given out again for a while. @param now  monotonic seconds */
void dns_scores_order(struct dns_scores *s, double now, struct dns_order *ret);

void dns_scores_heard(struct dns_scores *s, size_t server, double rtt_s);
/** It did not answer, or does not serve us. */
void dns_scores_silent(struct dns_scores *s, size_t server, double now);

/** For how long a server is waited for until the next one is asked as well: by what it usually takes. */
double dns_scores_patience_s(const struct dns_scores *s, size_t server);

#endif
