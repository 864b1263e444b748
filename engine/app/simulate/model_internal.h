/* The parts of a model that model.c and model_run.c share. */
#ifndef STEERWAY_SIMULATE_MODEL_INTERNAL_H
#define STEERWAY_SIMULATE_MODEL_INTERNAL_H

#include "simulate/events.h"
#include "simulate/model.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

enum what {
    CONNECTED,
    TIMED_OUT,
    UP_DONE,
    DOWN_DONE,
    OUTAGE_BEGINS,
    OUTAGE_KNOWN,
    OUTAGE_ENDS,
    METERS,
    POLICY_TIMER
};

/* A flow under way. */
struct flow {
    const struct trace_flow *spec;
    uint64_t id;
    uint64_t tried; /* a bit for each uplink id - 1 */
    double asked_at, connected_at;
    int uplink; /* index; -1 for none */
    uint8_t attempt;
    bool open, up_left, down_left;
    const char *last_error;
};

struct line {
    struct uplink uplink;
    const struct model_line *spec;
    struct link up, down;
    bool serves; /* the truth; uplink.view.up is what the policy knows */
    uint64_t outage;
};

struct model {
    const struct model_options *o;
    struct model_result *result;
    struct line *lines;
    struct uplink_set set;
    struct policy *policy;
    struct events events;
    struct flow *flows; /* a pool */
    uint32_t *free_flows;
    size_t n_flows, cap_flows, n_free;
    size_t next; /* of the trace */
    double now;
    size_t moving; /* flows on any link */
    double moved_at;
    int error;
    uint64_t last_id, timer_version;
};

void model_plan(struct model *m, double t, enum what what, uint32_t whom, uint64_t version);
/** Update what policies see. */
void model_refresh(struct model *m);
/** Run from the first flow to the end of the last one. */
void model_play(struct model *m);

/** The policy's clocks and timer; arg is the model. */
double model_now(void *arg);
double model_wall(void *arg);
void model_wake_at(void *arg, double when);

#endif
