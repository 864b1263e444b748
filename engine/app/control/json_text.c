#include "control/json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *text)
{
    json_t *plain = json_string(text);
    char *escaped = plain ? NULL : malloc(strlen(text) * 4 + 1);
    size_t len = 0;

    if (!escaped)
        return plain;
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p > 0x7f)
            len += (size_t)sprintf(escaped + len, "\\x%02x", (unsigned char)*p);
        else
            escaped[len++] = *p;
    }
    plain = json_stringn(escaped, len);
    free(escaped);
    return plain;
}

bool json_take_text(const json_t *o, const char *key, const char **ret)
{
    const json_t *value = json_object_get(o, key);

    *ret = json_string_value(value);
    return !value || json_is_string(value);
}
