/* DNS answers, for as long as they may be cached. A full cache drops the least recently used one. */
#ifndef STEERWAY_DNS_DNS_CACHE_H
#define STEERWAY_DNS_DNS_CACHE_H

#include "base/slice.h"
#include "dns/dns_answer.h"

struct dns_cache;

/** @param capacity  in answers, >= 1 @return 0, -ENOMEM */
MUST_CHECK int dns_cache_new(struct dns_cache **ret, size_t capacity);
void dns_cache_free(struct dns_cache *c);
void dns_cache_clear(struct dns_cache *c);

/** @param name  case-insensitive
 *  @param now   monotonic seconds
 *  @return borrowed until the next change of the cache; NULL for none */
struct dns_answer *dns_cache_find(struct dns_cache *c, struct slice name, double now);

/** Keep an answer for its ttl_s, in place of an older one. It is not kept without memory, or with a ttl_s of
 * 0. */
void dns_cache_put(struct dns_cache *c, struct slice name, struct dns_answer *a, double now);

/** Including expired answers that were not asked for since. */
size_t dns_cache_count(const struct dns_cache *c);

#endif
