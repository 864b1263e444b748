/* Whether silence is a fault of a way's DNS servers, or of one name. A healthy recursive server stays silent
 * if the servers of the name's zone are dead. So an unanswered name counts against the servers only if they
 * have answered nothing since it was asked for. Besides, one of these must hold:
 * - Its zone is new among those unanswered since the latest answer.
 * - They did not answer the check either: a question that they answered before.
 *
 * A zone is taken to be the last two labels. Pure. */
#ifndef STEERWAY_DNS_DNS_SILENCE_H
#define STEERWAY_DNS_DNS_SILENCE_H

#include "dns/dns_message.h"

#include "base/slice.h"

enum { DNS_SILENCE_ZONES = 4 }; /* one more than the silences that make a suspect (uplink/health.h) */

/** Embedded by its owner. Zero-initialised: nothing was asked. */
struct dns_silence {
    uint64_t answers;                  /* so far */
    uint64_t zones[DNS_SILENCE_ZONES]; /* hashes of zones that went unanswered since the latest answer */
    size_t n_zones;
    bool check_failed;        /* since the latest answer */
    char good[DNS_NAME_SIZE]; /* the name that was answered last; "" is the root, which all servers know */
    double good_until;        /* until when a cache may still have its answer */
    double checked_at;        /* when the latest check began; 0: never */
    bool check_proves;        /* the latest check asks for an answer that no cache has any more */
};

/** The servers have answered. @param ttl_s  how long that may be cached; < 0: not usable for a check */
void dns_silence_answered(struct dns_silence *s, struct slice name, double ttl_s, double now);

/** The servers have not answered. @param answers_before  s->answers when the name was first asked for
 *  @return whether that counts against them */
bool dns_silence_counts(struct dns_silence *s, struct slice name, uint64_t answers_before);

/** Begin a check. @return the name to ask for; NULL: the latest check was a moment ago */
const char *dns_silence_check(struct dns_silence *s, double now);
void dns_silence_checked(struct dns_silence *s, bool answered);

#endif
