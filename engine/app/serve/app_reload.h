/* Reads the config again while the proxy runs: all of it applies, or nothing does. */
#ifndef STEERWAY_SERVE_APP_RELOAD_H
#define STEERWAY_SERVE_APP_RELOAD_H

#include "config/config.h"

#include <jansson.h>

struct app;

/** How the start has read its config. */
struct app_source {
    /** Read it again. @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); call config_done
     * either way */
    int (*read)(void *arg, struct config *ret, char *err);
    /** What differs between two files; config_changes. */
    json_t *(*changes)(void *arg, const json_t *before, const json_t *now);
    void *arg;
};

/** The result. */
struct app_reloaded {
    bool applied;
    const char *err; /* one line, if it was not */
    json_t *changes; /* borrowed; a list as of config_changes */
};
typedef void app_reloaded_fn(void *arg, const struct app_reloaded *result);

/** Read the config and the policy again. Only what has changed in the config since it was read last changes
 * here. Connections go on.
 *  @param trigger  for the log: "signal" or "control"
 *  @param done     called once, perhaps before this returns; NULL for none */
void app_reload(struct app *a, const char *trigger, app_reloaded_fn *done, void *arg);

#endif
