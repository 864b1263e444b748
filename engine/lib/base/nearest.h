/* Find the known name that a mistyped one probably means.
 *
 * lua/steerway/host/nearest.lua does the same for policies, whose specs run without the engine. Both are held
 * to one table, tests/unit/lib/base/nearest.txt. */
#ifndef STEERWAY_BASE_NEAREST_H
#define STEERWAY_BASE_NEAREST_H

#include "base/slice.h"

/** The search: offer it each known name, then read best. */
struct nearest {
    struct slice word;
    const char *best; /* NULL if none is close */
    size_t distance;
};

void nearest_init(struct nearest *n, struct slice word);
/** Case is ignored, and '_' equals '-'. @param known  borrowed; must outlive the search */
void nearest_offer(struct nearest *n, const char *known);

#endif
