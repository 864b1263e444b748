/* Loads policies while the proxy runs: whoever asks for it, the verdict stands in the log. */
#ifndef STEERWAY_CONTROL_POLICY_LOADING_H
#define STEERWAY_CONTROL_POLICY_LOADING_H

#include "policy/policy.h"

struct loading_verdict {
    bool loaded;
    double took_s;
    char err[POLICY_ERROR_MAX]; /* "" when it was loaded */
};

/** Load another file, or the same one with other parameters, or with NULL the same again.
 *  @param trigger  who asked: "signal", "file" or "control" */
void policy_loading_run(struct policy *p, const struct policy_source *source, const char *trigger,
                        struct loading_verdict *ret);

/** Warn of what was set for uplinks and means nothing with the policy that is loaded. After a start; a load
 * that succeeds does so itself. */
void policy_loading_warn(const struct policy *p);

#endif
