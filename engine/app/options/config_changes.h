/* What differs between two readings of a config file, in words. */
#ifndef STEERWAY_OPTIONS_CONFIG_CHANGES_H
#define STEERWAY_OPTIONS_CONFIG_CHANGES_H

#include "options/options.h"

#include <jansson.h>

/** Compare two files key by key. Passwords are not shown.
 *  @param before  the file's table (config.said), or NULL for no file
 *  @param given          the options of the command line, which override the file
 *  @param uplinks_given  the command line names uplinks, which replace the file's
 *  @return a list of objects with "key", "change" (a text such as "10 → 5"), and "applies": "now", "restart",
 * or "never" where the command line overrides it; NULL without memory */
json_t *config_changes(const json_t *before, const json_t *now, const struct option_value *given,
                       size_t n_given, bool uplinks_given);

#endif
