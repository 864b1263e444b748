/* Whether silence is that of a way's DNS servers, or of one name. A recursive server says nothing, and is
 * well, while the servers of a name's zone are dead. So a name that gets no answer counts against the servers
 * only when they have answered nothing since it was asked for, and
 *  - names of another zone went unanswered before it, or none did; or
 *  - they do not answer the check either: a question that they have answered before.
 * A zone is taken for what lies below the same two labels. Pure. */
#ifndef STEERWAY_DNS_DNS_SILENCE_H
#define STEERWAY_DNS_DNS_SILENCE_H

#include "dns/dns_message.h"

#include "base/slice.h"

enum { DNS_SILENCE_ZONES = 4 }; /* one more than a verdict takes (uplink/health.h) */

/** Embedded by its owner; zero-initialised is "nothing was asked". */
struct dns_silence {
    uint64_t answers;                  /* so far */
    uint64_t zones[DNS_SILENCE_ZONES]; /* by hash: unanswered since the latest answer */
    size_t n_zones;
    bool check_failed;        /* since the latest answer */
    char good[DNS_NAME_SIZE]; /* the name that was answered last; "" is the root, which all servers know */
    double good_until;        /* until when its answer may come from somebody's cache */
    double checked_at;        /* when the latest check began; 0: none has */
    bool check_proves;        /* it asks for what is in no cache any more */
};

/** The servers have answered. @param ttl_s  for which that may be kept; < 0: it is not of use for a check */
void dns_silence_answered(struct dns_silence *s, struct slice name, double ttl_s, double now);

/** They have not. @param answers_before  s->answers as of when the name was first asked for
 *  @return whether that counts against them */
bool dns_silence_counts(struct dns_silence *s, struct slice name, uint64_t answers_before);

/** Begin a check. @return the name to ask for; NULL: the latest one was a moment ago */
const char *dns_silence_check(struct dns_silence *s, double now);
void dns_silence_checked(struct dns_silence *s, bool answered);

#endif
