/* Helpers for the tables of a config file: known keys, and texts. */
#ifndef STEERWAY_CONFIG_CONFIG_TABLE_H
#define STEERWAY_CONFIG_CONFIG_TABLE_H

#include "config/config.h"

#include <jansson.h>

/** The text of a JSON string; NULL for another type or for a text with a NUL. */
const char *config_text(const json_t *value);

/** Append "; write a number without quotes" to an error about a number when the value is a text of one. */
void config_hint_quotes(const json_t *value, char *err);

/** The index of a key in an array of structs with a member `key`, or a negative errno with "unknown key;
 * …" in err (CONFIG_ERROR_MAX). */
#define CONFIG_KEY_FIND(fields, name, err)                                                                   \
    config_key_find(&(fields)[0].key, sizeof((fields)[0]), ARRAY_LEN(fields), name, err)
/** @param keys  the first of n keys, which lie `stride` bytes apart */
MUST_CHECK int config_key_find(const char *const *keys, size_t stride, size_t n, const char *name, char *err);

#endif
