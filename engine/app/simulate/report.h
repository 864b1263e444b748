/* What came of a simulation, for people and for machines. */
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

/** Octets a second that all uplinks carried while anything was moving. */
double report_throughput(const struct model_result *r, size_t n_lines);
/** s; q from 0 to 1; NaN when nothing was done. */
double report_quantile(const struct model_result *r, double q);

/** The direction that carried more. */
const struct link *report_main_link(const struct model_uplink_result *u);

/** 80 columns. @param utf8  plot with blocks, not with plain characters */
void report_print(FILE *out, const struct report *report, bool utf8);
/** @return a new reference, or NULL without memory */
json_t *report_json(const struct report *report);
/** A picture of throughput over time, one for each run. @return 0 or negative errno */
MUST_CHECK int report_svg(const char *path, const struct report *report);

#endif
