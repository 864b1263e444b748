/* Shared by policy.c and policy_call.c. */
#ifndef STEERWAY_POLICY_POLICY_INTERNAL_H
#define STEERWAY_POLICY_POLICY_INTERNAL_H

#include "base/log.h"
#include "policy/policy_share.h"
#include "policy/script.h"
#include "uplink/fallback.h"

struct policy {
    struct policy_options options; /* with copies of its texts */
    struct script *script;
    struct fallback fallback;
    struct vm_metrics metrics;
    struct vm_files files; /* read by the script that serves */
    struct vm_files tried; /* read by the last load, if it was refused */
    struct lists lists;
    struct held_log said; /* lines of the script that is being loaded */
    int loads;            /* attempts of the current load */
    uint32_t generation;
    uint64_t picks, errors, skipped;
    struct policy_share share;
    struct log_limit share_lines;
    double wake_at;                    /* the last value given to env */
    double timers_rest_until;          /* set after timers took long */
    uint32_t in_a_row[SCRIPT_ENTRIES]; /* failures since the last success */
    uint32_t overruns;    /* calls over budget, and times the share was used up, since overruns_from */
    double overruns_from; /* s, monotonic */
    bool quarantined;
    struct log_limit complaints;
    char refused[POLICY_ERROR_MAX]; /* error of the latest load, "" if it succeeded */
    double refused_at;              /* s since 1970 */
    char failed[POLICY_ERROR_MAX];  /* error of the latest failed call since the load, "" for none */
    enum script_entry failed_in;
    double failed_at; /* s since 1970 */
};

/** Record the result of a call: log, count, quarantine. */
void policy_settle(struct policy *p, enum script_entry entry, int rc, const char *error);

/** Set env's timer if the next one has changed. Call it after each call into Lua. */
void policy_rewake(struct policy *p);

#endif
