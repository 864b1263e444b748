/* Finds the known name that a mistyped one was probably meant to be. */
#ifndef STEERWAY_BASE_NEAREST_H
#define STEERWAY_BASE_NEAREST_H

#include "base/slice.h"

/** The search: feed it the names there are, then look at best. */
struct nearest {
    struct slice word;
    const char *best; /* NULL when none is close */
    size_t distance;
};

void nearest_init(struct nearest *n, struct slice word);
/** @param known  borrowed; must outlive the search. Case does not count, and '_' is as good as '-'. */
void nearest_offer(struct nearest *n, const char *known);

#endif
