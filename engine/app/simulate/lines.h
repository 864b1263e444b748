/* The uplinks of a simulation, as a file describes them. */
#ifndef STEERWAY_SIMULATE_LINES_H
#define STEERWAY_SIMULATE_LINES_H

#include "simulate/model.h"

#include <jansson.h>

/** The usual pair: a fibre of 100/40 Mbit/s and 10 ms, an LTE stick of 10/2 Mbit/s and 40 ms, in tiers 1
 * and 2. */
void lines_default(struct model_lines *ret);

/** Take them from a list of tables: { name =, down = "100M", up =, rtt =, weight =, tier =, tags =, outages =
 * { { from, to } }, detect =, quota = }; down and up in bits/s, or with K, M or G.
 *  @param ret  empty; for model_lines_done on failure too
 *  @return 0, or negative errno with "uplinks[N].KEY: what was expected" in err (POLICY_ERROR_MAX) */
MUST_CHECK int lines_parse(struct model_lines *ret, const json_t *list, char *err);

#endif
