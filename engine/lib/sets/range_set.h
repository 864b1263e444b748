/* A set of IP addresses and ranges: what a list of ranges becomes. Sorted arrays, one for each family, in
 * which what overlaps has been merged: 8 bytes a range of IPv4 and 32 one of IPv6. An IPv4-mapped address of
 * IPv6 is the one of IPv4 (RFC 4291 2.5.5.2). A look-up allocates nothing and takes no lock. */
#ifndef STEERWAY_SETS_RANGE_SET_H
#define STEERWAY_SETS_RANGE_SET_H

#include "base/compiler.h"
#include "base/slice.h"

struct range_set;

/** @return NULL without memory */
struct range_set *range_set_new(void);
void range_set_free(struct range_set *s);

/** Add an address or a range: 10.0.0.0/8, 2001:db8::/32. Bits behind the prefix do not matter.
 *  @return 0, -EINVAL for a text that is neither, or -ENOMEM */
MUST_CHECK int range_set_add(struct range_set *s, struct slice text);

/** Sort and merge: once, after the last has been added and before the first match. */
void range_set_finish(struct range_set *s);

/** @param host  an address; [::1] and fe80::1%eth0 as well @return 1, or 0 also for what is not an address */
int range_set_match(const struct range_set *s, const char *host, size_t len);

/** Ranges that are left after merging; before that, those added. */
size_t range_set_count(const struct range_set *s);
/** The memory that it takes. */
size_t range_set_bytes(const struct range_set *s);

#endif
