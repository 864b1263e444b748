/* The results of a simulation as text, JSON or SVG. */
#ifndef STEERWAY_SIMULATE_REPORT_H
#define STEERWAY_SIMULATE_REPORT_H

#include "simulate/model.h"

#include <jansson.h>
#include <stdio.h>

/** One policy's run. */
struct report_run {
    const char *name;
    struct model_result result;
};

struct report {
    const struct model_lines *lines;
    const struct trace *trace;
    const char *trace_name;
    uint32_t seed;
    const struct report_run *runs;
    size_t n_runs;
};

/** Bytes a second over all uplinks, while a flow was moving. */
double report_throughput(const struct model_result *r, size_t n_lines);
/** Duration in seconds of the completed connections at quantile q (0 to 1); NaN when none was completed. */
double report_quantile(const struct model_result *r, double q);

/** The direction that carried more bytes. */
const struct link *report_main_link(const struct model_uplink_result *u);

/** Print 80 columns. @param utf8  plot with block characters instead of ASCII */
void report_print(FILE *out, const struct report *report, bool utf8);
/** @return a new reference, or NULL without memory */
json_t *report_json(const struct report *report);
/** Draw throughput over time, one row for each run. @return 0 or negative errno */
MUST_CHECK int report_svg(const char *path, const struct report *report);

#endif
