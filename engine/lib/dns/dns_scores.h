/* What a way knows about its DNS servers: which answer, and how fast. Pure.
 *
 * Servers that answer are asked first, in the configured order, as that order may be intended. A server that
 * did not answer goes to the end. From time to time it is asked beside another one, so that its return is
 * found without delay for anyone. */
#ifndef STEERWAY_DNS_DNS_SCORES_H
#define STEERWAY_DNS_DNS_SCORES_H

#include "dns/dns_servers.h"

struct dns_score {
    unsigned silences; /* in a row */
    double rtt_s;      /* smoothed; 0: not known */
    double counted_at; /* if silent: time of the latest counted silence */
    double retry_at;   /* if silent: when it is asked again */
};

struct dns_scores {
    size_t n; /* number of servers */
    struct dns_score of[DNS_SERVERS_MAX];
};

/** The order of asking, by index. */
struct dns_order {
    size_t n;
    uint8_t server[DNS_SERVERS_MAX];
    int beside; /* a silent server to ask beside the first, to see whether it is back; -1: none */
};

void dns_scores_init(struct dns_scores *s, size_t n);

/** A silent server in ret->beside is not chosen again for a while. @param now  monotonic seconds */
void dns_scores_order(struct dns_scores *s, double now, struct dns_order *ret);

void dns_scores_heard(struct dns_scores *s, size_t server, double rtt_s);
/** It did not answer, or refused. */
void dns_scores_silent(struct dns_scores *s, size_t server, double now);

/** How long to wait for a server before the next one is asked as well, in seconds, by its usual time. */
double dns_scores_patience_s(const struct dns_scores *s, size_t server);

#endif
