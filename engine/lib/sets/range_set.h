/* A set of IP addresses and ranges: one sorted array for each family, with overlaps merged. It takes 8 bytes
 * for each IPv4 range, and 32 for each IPv6 range. An IPv4-mapped IPv6 address equals the IPv4 address (RFC
 * 4291 2.5.5.2). A look-up does not allocate or lock. */
#ifndef STEERWAY_SETS_RANGE_SET_H
#define STEERWAY_SETS_RANGE_SET_H

#include "base/compiler.h"
#include "base/slice.h"

struct range_set;

/** @return NULL without memory */
struct range_set *range_set_new(void);
void range_set_free(struct range_set *s);

/** Add an address or a range: 10.0.0.0/8, 2001:db8::/32. Host bits are ignored.
 *  @return 0, -EINVAL for invalid text, or -ENOMEM */
MUST_CHECK int range_set_add(struct range_set *s, struct slice text);

/** Sort and merge. Call it once, after the last range_set_add and before the first match. */
void range_set_finish(struct range_set *s);

/** @param host  an address, also as [::1] or fe80::1%eth0 @return 1 or 0; 0 also if it is not an address */
int range_set_match(const struct range_set *s, const char *host, size_t len);

/** Ranges after merging; before range_set_finish, ranges added. */
size_t range_set_count(const struct range_set *s);
/** Memory in bytes. */
size_t range_set_bytes(const struct range_set *s);

#endif
