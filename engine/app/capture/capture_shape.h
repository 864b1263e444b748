/* What a table was made of, to tell whether the machine would be given another one now. */
#ifndef STEERWAY_CAPTURE_CAPTURE_SHAPE_H
#define STEERWAY_CAPTURE_CAPTURE_SHAPE_H

#include "capture/capture_plan.h"

/** Zero-initialised: nothing is known of the table. */
struct capture_shape {
    struct capture_ranges near; /* what its sets contain */
    char *rules;                /* the table without them; malloc'ed; NULL: unknown */
    bool six; /* IPv6 is captured, for which there are routes and rules outside of the table */
};

enum capture_difference {
    CAPTURE_SAME,
    CAPTURE_OTHER_SETS,
    CAPTURE_OTHER_RULES, /* the sets may differ, too */
};

/** @param ret  release it with capture_shape_done, also after an error @return 0, -ENOMEM, -ENOBUFS */
MUST_CHECK int capture_shape_of(const struct capture_request *r, const struct capture_ground *g,
                                struct capture_shape *ret);
/** Rules that are not known count as others. */
enum capture_difference capture_shape_compare(const struct capture_shape *installed,
                                              const struct capture_shape *wanted);
void capture_shape_done(struct capture_shape *s);

#endif
