#include "config/config_table.h"

#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

const char *config_text(const json_t *value)
{
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return NULL;
    return json_string_value(value);
}

void config_hint_quotes(const json_t *value, char *err)
{
    static const char *const expectations[] = {"expected a number", "expected a whole number",
                                               "expected a day"};
    const char *text = config_text(value);
    size_t len = strlen(err);
    bool expected = false;

    for (size_t i = 0; i < ARRAY_LEN(expectations); i++)
        expected = expected || strncmp(err, expectations[i], strlen(expectations[i])) == 0;
    if (expected && text && *text && text[strspn(text, "0123456789.-")] == '\0')
        (void)snprintf(err + len, CONFIG_ERROR_MAX - len, "; write a number without quotes");
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
