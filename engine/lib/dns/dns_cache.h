/* Answers of the DNS for as long as they may be kept, within a bound: those not asked for longest go first.
 */
#ifndef STEERWAY_DNS_DNS_CACHE_H
#define STEERWAY_DNS_DNS_CACHE_H

#include "base/slice.h"
#include "dns/dns_answer.h"

struct dns_cache;

/** @param capacity  answers, >= 1 @return 0, -ENOMEM */
MUST_CHECK int dns_cache_new(struct dns_cache **ret, size_t capacity);
void dns_cache_free(struct dns_cache *c);
void dns_cache_clear(struct dns_cache *c);

/** @param name  the case of letters does not matter
 *  @param now   monotonic seconds
 *  @return borrowed until the cache is next changed; NULL for none */
struct dns_answer *dns_cache_find(struct dns_cache *c, struct slice name, double now);

/** Keep it for its ttl_s, in an older one's place; short of memory, or with a ttl_s of 0, it is not kept. */
void dns_cache_put(struct dns_cache *c, struct slice name, struct dns_answer *a, double now);

/** Those that are out of date and not yet asked for again included. */
size_t dns_cache_count(const struct dns_cache *c);

#endif
