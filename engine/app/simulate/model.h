/* The model: a policy chooses among uplinks, flows share their capacity, and time jumps from event to
 * event. The same trace, uplinks, policy and seed give the same result. docs/simulate.md says what the
 * model leaves out. */
#ifndef STEERWAY_SIMULATE_MODEL_H
#define STEERWAY_SIMULATE_MODEL_H

#include "policy/policy.h"
#include "simulate/link.h"
#include "simulate/trace.h"

enum { MODEL_OUTAGES_MAX = 16 };

/** A simulated uplink, as described. */
struct model_line {
    char name[UPLINK_NAME_MAX + 1];
    double weight, tier;
    char *tags[UPLINK_TAGS_MAX]; /* owned */
    size_t n_tags;
    double down, up; /* bytes/s */
    double rtt_s;
    double detect_s; /* from the begin of an outage until the policy sees it */
    double quota;    /* bytes; infinity for none */
    struct model_outage {
        double from, to;
    } outages[MODEL_OUTAGES_MAX];
    size_t n_outages;
};

struct model_lines {
    struct model_line items[UPLINK_MAX];
    size_t n;
};

void model_lines_done(struct model_lines *lines);

/** How a flow ended. */
enum model_end { MODEL_DONE, MODEL_BROKEN, MODEL_REFUSED, MODEL_FAILED };

struct model_result {
    struct model_uplink_result {
        uint64_t flows; /* completed or broken */
        uint64_t broken, timeouts;
        double carried_up, carried_down; /* bytes */
        struct link up, down;            /* hold the bytes carried over time; owned */
    } uplinks[UPLINK_MAX];
    double *took_s; /* durations of completed connections, sorted; owned */
    size_t n_done;
    uint64_t ends[MODEL_FAILED + 1];
    double until_s; /* time of the last event */
    double busy_s;  /* time with at least one flow on a link */
    uint64_t picks, policy_errors, by_default;
    double wall_s; /* real time that the run took */
};

struct model_options {
    const struct trace *trace;
    const struct model_lines *lines;
    struct policy_source policy;
    const char *lua_dir;
    uint32_t seed;
};

/** Play the trace. @param ret  filled on success; release it with model_result_done
 *  @return 0, or negative errno with one line in err (POLICY_ERROR_MAX) */
MUST_CHECK int model_run(const struct model_options *options, struct model_result *ret, char *err);
void model_result_done(struct model_result *r);

#endif
