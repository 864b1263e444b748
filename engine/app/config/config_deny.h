/* Rules in `deny` of a config file that apply to some clients or users only. */
#ifndef STEERWAY_CONFIG_CONFIG_DENY_H
#define STEERWAY_CONFIG_CONFIG_DENY_H

#include "config/config.h"

#include <jansson.h>

/** Add a rule: a table with `to`, and `clients` or `users` or both, each a text or a list of texts.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int config_deny_add(struct config *c, const json_t *table, char *err);

#endif
