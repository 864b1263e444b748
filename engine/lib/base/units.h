/* Large numbers as people write them. */
#ifndef STEERWAY_BASE_UNITS_H
#define STEERWAY_BASE_UNITS_H

#include "base/compiler.h"

#include <stdbool.h>

/** Parse "1500", "1.5K", "20M", "20G", "1T": powers of 1000, as providers count.
 *  @param ret  at least 0 and finite; untouched on failure
 *  @return false for any other text */
MUST_CHECK bool units_parse(const char *text, double *ret);

#endif
