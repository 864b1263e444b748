/* Texts for JSON, which must be UTF-8. Paths and texts of policies may hold other bytes. */
#ifndef STEERWAY_CONTROL_JSON_TEXT_H
#define STEERWAY_CONTROL_JSON_TEXT_H

#include "base/compiler.h"

#include <jansson.h>
#include <stdbool.h>

/** The text; if it is not valid UTF-8, each byte above 0x7f becomes \xNN.
 *  @return a new reference, or NULL without memory */
json_t *json_text(const char *text);

/** The text of a key. @param ret  NULL when the key is missing
 *  @return false when the value is not a text */
MUST_CHECK bool json_take_text(const json_t *o, const char *key, const char **ret);

#endif
