/* The log's sink, as the config names it. */
#ifndef STEERWAY_SERVE_APP_LOG_H
#define STEERWAY_SERVE_APP_LOG_H

#include "config/config.h"

/** Open the sink that the config wants, without using it; log_use does.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int app_log_open(struct log_sink **ret, const struct config *c, char *err);

/** Open the log's file again. A failure is a warning. */
void app_log_reopen(void);

/** Whether two configs want the same sink. */
bool app_log_is_same(const struct config *a, const struct config *b);

#endif
