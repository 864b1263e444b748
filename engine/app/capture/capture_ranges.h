/* Sets of addresses that are compared by what they contain: nft shows another text for the same set, as it
 * merges what overlaps. Pure. */
#ifndef STEERWAY_CAPTURE_CAPTURE_RANGES_H
#define STEERWAY_CAPTURE_CAPTURE_RANGES_H

#include "addr/addr.h"

struct capture_range {
    uint8_t ip_len; /* 4 or 16 */
    uint8_t first[16], last[16];
};

/** Zero-initialised is empty. */
struct capture_ranges {
    struct capture_range *items;
    size_t n;
};

enum { CAPTURE_RANGE_TEXT_MAX = 2 * ADDR_TEXT_MAX };

/** @return 0, -ENOMEM */
MUST_CHECK int capture_ranges_add(struct capture_ranges *r, const struct cidr *c);
/** Add the elements of a set as nft writes them: "10.0.0.0/8, 10.1.0.1-10.1.0.7, ::1".
 *  @return 0, -EINVAL, -ENOMEM */
MUST_CHECK int capture_ranges_add_text(struct capture_ranges *r, struct slice text);
/** Sort, and join those that overlap or touch. */
void capture_ranges_join(struct capture_ranges *r);

/** @param a, b  joined */
bool capture_ranges_same(const struct capture_ranges *a, const struct capture_ranges *b);
/** The first range of which `all` (joined) lacks a part; NULL for none. */
const struct capture_range *capture_ranges_lack(const struct capture_ranges *all,
                                                const struct capture_ranges *wanted);
/** "10.0.0.0/8", or "10.1.0.1-10.1.0.7". @return out */
const char *capture_range_format(const struct capture_range *r, char out[CAPTURE_RANGE_TEXT_MAX]);

void capture_ranges_done(struct capture_ranges *r);

#endif
