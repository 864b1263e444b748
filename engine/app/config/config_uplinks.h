/* The `uplinks` of a config file; for config_file.c alone. */
#ifndef STEERWAY_CONFIG_CONFIG_UPLINKS_H
#define STEERWAY_CONFIG_CONFIG_UPLINKS_H

#include "config/config.h"

#include <jansson.h>

/** Add the items of an array: texts as on the command line, or tables.
 *  @return 0, or negative errno with "uplinks[N].KEY: what was expected" in err (CONFIG_ERROR_MAX) */
MUST_CHECK int config_uplinks_add(struct config *c, const json_t *list, char *err);

/** Parse one item of that array. @param ret  the caller gives it to uplink_spec_done
 *  @return 0, or negative errno with "KEY: what was expected" in err (CONFIG_ERROR_MAX); then ret is empty */
MUST_CHECK int config_uplink_parse(struct uplink_spec *ret, const json_t *item, char *err);

/** Set one key of an uplink's table, such as "weight".
 *  @return 0, or negative errno with what was expected in err (CONFIG_ERROR_MAX) */
MUST_CHECK int config_uplink_set(struct uplink_spec *spec, const char *key, const json_t *value, char *err);

/** Check the keys of a quota against each other, after they were set.
 *  @return 0, or negative errno with "KEY: what was expected" in err (CONFIG_ERROR_MAX) */
MUST_CHECK int config_quota_check(const json_t *table, const struct quota_plan *q, char *err);

#endif
