#include "control/config_table.h"

#include "control/nearest.h"

#include <stdio.h>
#include <string.h>

const char *config_text(const json_t *value)
{
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return NULL;
    return json_string_value(value);
}

static const char *key_at(const char *const *keys, size_t stride, size_t i)
{
    return *(const char *const *)(const void *)((const char *)keys + i * stride);
}

static int unknown_key(const char *const *keys, size_t stride, size_t n, const char *name, char *err)
{
    char known[CONFIG_ERROR_MAX / 2];
    struct nearest nearest;
    size_t len = 0;

    nearest_init(&nearest, slice_str(name));
    known[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char *key = key_at(keys, stride, i);
        nearest_offer(&nearest, key);
        if (len < sizeof known)
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "", key);
    }
    if (nearest.best)
        return config_refuse(err, "unknown key; did you mean %s?", nearest.best);
    return config_refuse(err, "unknown key (known: %s)", known);
}

int config_key_find(const char *const *keys, size_t stride, size_t n, const char *name, char *err)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(key_at(keys, stride, i), name) == 0)
            return (int)i;
    return unknown_key(keys, stride, n, name, err);
}
