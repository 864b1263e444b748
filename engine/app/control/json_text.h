/* Texts that may be no UTF-8, as paths and what policies say may be, for JSON, which knows nothing else. */
#ifndef STEERWAY_CONTROL_JSON_TEXT_H
#define STEERWAY_CONTROL_JSON_TEXT_H

#include "base/compiler.h"

#include <jansson.h>
#include <stdbool.h>

/** The text; or, where it is no UTF-8, each octet above 0x7f of it as \xNN.
 *  @return a new reference, or NULL without memory */
json_t *json_text(const char *text);

/** The text of that key. @param ret  NULL where there is none
 *  @return false for something else than a text */
MUST_CHECK bool json_take_text(const json_t *o, const char *key, const char **ret);

#endif
