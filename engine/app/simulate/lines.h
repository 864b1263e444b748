/* The simulated uplinks, read from a file. */
#ifndef STEERWAY_SIMULATE_LINES_H
#define STEERWAY_SIMULATE_LINES_H

#include "simulate/model.h"

#include <jansson.h>

/** The default pair: fibre of 100/40 Mbit/s and 10 ms in tier 1, LTE of 10/2 Mbit/s and 40 ms in tier 2. */
void lines_default(struct model_lines *ret);

/** Read a list of tables { name =, down = "100M", up =, rtt =, weight =, tier =, tags =, outages = { {
 * from, to } }, detect =, quota = }. down and up are bits/s, or have the suffix K, M, G or T.
 *  @param ret  empty; needs model_lines_done on failure too
 *  @return 0, or negative errno with "uplinks[N].KEY: what was expected" in err (POLICY_ERROR_MAX) */
MUST_CHECK int lines_parse(struct model_lines *ret, const json_t *list, char *err);

#endif
