/* The `uplinks` of a config file; for config_file.c alone. */
#ifndef STEERWAY_CONFIG_CONFIG_UPLINKS_H
#define STEERWAY_CONFIG_CONFIG_UPLINKS_H

#include "config/config.h"

#include <jansson.h>

/** Add the items of an array: texts as on the command line, or tables.
 *  @return 0, or negative errno with "uplinks[N].KEY: what was expected" in err (CONFIG_ERROR_MAX) */
MUST_CHECK int config_uplinks_add(struct config *c, const json_t *list, char *err);

#endif
