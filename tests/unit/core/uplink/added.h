/* Uplinks in the user's notation, for tests that need a set of some. */
#ifndef STEERWAY_TESTS_UPLINK_ADDED_H
#define STEERWAY_TESTS_UPLINK_ADDED_H

#include "uplink/machines.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

static inline struct uplink_spec spec_of(const char *text)
{
    char err[256];
    struct uplink_spec spec;
    if (uplink_spec_parse(&spec, text, err, sizeof err) < 0)
        fail_msg("%s", err);
    return spec;
}

static inline struct uplink *add(struct uplink_set *set, const char *text, const struct machine *m)
{
    struct uplink_spec spec = spec_of(text);
    assert_int_equal(uplink_set_add(set, &spec, m), 0);
    uplink_spec_done(&spec);
    return set->items[set->n - 1];
}

#endif
