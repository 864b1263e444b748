/* What policy.c and policy_call.c share. */
#ifndef STEERWAY_POLICY_POLICY_INTERNAL_H
#define STEERWAY_POLICY_POLICY_INTERNAL_H

#include "base/log.h"
#include "policy/policy_share.h"
#include "policy/script.h"
#include "uplink/fallback.h"

struct policy {
    struct policy_options options; /* the text of it is our own */
    struct script *script;
    struct fallback fallback;
    struct vm_metrics metrics;
    struct vm_files files; /* of the script that serves */
    struct vm_files tried; /* of the last load, if it was refused */
    struct lists lists;
    struct held_log said; /* by the script that is being loaded */
    int loads;            /* tries of the load under way */
    uint32_t generation;
    uint64_t picks, errors, skipped;
    struct policy_share share;
    struct log_limit share_lines;
    double wake_at;                    /* what env was told last */
    double timers_rest_until;          /* they took long */
    uint32_t in_a_row[SCRIPT_ENTRIES]; /* failures since the last success */
    uint32_t overruns;                 /* of a call's budget, or of the share, since overruns_from */
    double overruns_from;              /* s, monotonic */
    bool quarantined;
    struct log_limit complaints;
    char refused[POLICY_ERROR_MAX]; /* why the latest load was, "" if it was not */
    double refused_at;              /* s since 1970 */
    char failed[POLICY_ERROR_MAX];  /* the error of the latest call to fail since the load, "" if none did */
    enum script_entry failed_in;
    double failed_at; /* s since 1970 */
};

/** Note how a call of the script that serves has ended: log, count, quarantine. */
void policy_settle(struct policy *p, enum script_entry entry, int rc, const char *error);

/** Tell env when the earliest timer is due, if that has changed. After each call into Lua. */
void policy_rewake(struct policy *p);

#endif
