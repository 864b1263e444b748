/* The model: uplinks that a policy chooses among, flows that share what they can carry, and time that goes
 * from one event to the next. Always the same for the same trace, uplinks, policy and seed. docs/simulate.md
 * says what it leaves out. */
#ifndef STEERWAY_SIMULATE_MODEL_H
#define STEERWAY_SIMULATE_MODEL_H

#include "policy/policy.h"
#include "simulate/link.h"
#include "simulate/trace.h"

enum { MODEL_OUTAGES_MAX = 16 };

/** What is said of one uplink. */
struct model_line {
    char name[UPLINK_NAME_MAX + 1];
    double weight, tier;
    char *tags[UPLINK_TAGS_MAX]; /* owned */
    size_t n_tags;
    double down, up; /* octets/s */
    double rtt_s;
    double detect_s; /* until the policy is told that an outage has begun */
    double quota;    /* octets; infinity for none */
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

/** How one flow went. */
enum model_end { MODEL_DONE, MODEL_BROKEN, MODEL_REFUSED, MODEL_FAILED };

struct model_result {
    struct model_uplink_result {
        uint64_t flows; /* that ended well or broke */
        uint64_t broken, timeouts;
        double carried_up, carried_down; /* octets */
        struct link up, down;            /* for what they carried over time; owned */
    } uplinks[UPLINK_MAX];
    double *took_s; /* of those that were done, sorted; owned */
    size_t n_done;
    uint64_t ends[MODEL_FAILED + 1];
    double until_s; /* when the last event was */
    double busy_s;  /* time in which anything was moving */
    uint64_t picks, policy_errors, by_default;
    double wall_s; /* that it took to reckon */
};

struct model_options {
    const struct trace *trace;
    const struct model_lines *lines;
    struct policy_source policy;
    const char *lua_dir;
    uint32_t seed;
};

/** Play the trace. @param ret  filled on success, for model_result_done
 *  @return 0, or negative errno with one line in err (POLICY_ERROR_MAX) */
MUST_CHECK int model_run(const struct model_options *options, struct model_result *ret, char *err);
void model_result_done(struct model_result *r);

#endif
