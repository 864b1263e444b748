/* What policy.c and policy_call.c share. */
#ifndef STEERWAY_POLICY_INTERNAL_H
#define STEERWAY_POLICY_INTERNAL_H

#include "base/log.h"
#include "policy/script.h"
#include "uplink/fallback.h"

struct policy {
    struct policy_options options; /* copies */
    struct script *script;
    struct fallback fallback;
    uint32_t generation;
    uint64_t errors;
    uint32_t in_a_row[SCRIPT_ENTRIES]; /* failures since the last success */
    bool quarantined;
    struct log_limit complaints;
};

#endif
