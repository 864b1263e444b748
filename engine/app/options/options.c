#include "options/options.h"

#include "options/option_tables.h"

#include <stdio.h>

const struct option *option_at(size_t i)
{
    static const struct option_part *const parts[] = {&OPTIONS_CLIENTS, &OPTIONS_TRAFFIC, &OPTIONS_REST};

    for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
        if (i < parts[k]->n)
            return &parts[k]->items[i];
        i -= parts[k]->n;
    }
    return NULL;
}

const struct option *option_by_name(struct slice name)
{
    const struct option *o;

    for (size_t i = 0; (o = option_at(i)); i++)
        if (slice_eq(slice_str(o->name), name))
            return o;
    return NULL;
}

const struct option *option_by_letter(char letter)
{
    const struct option *o;

    for (size_t i = 0; letter && (o = option_at(i)); i++)
        if (o->letter == letter)
            return o;
    return NULL;
}

int options_apply(struct config *c, const struct option_value *values, size_t n, bool *ret_file, char *err)
{
    char reason[CONFIG_ERROR_MAX];

    /* Clear first, then set, so that the order of options does not matter. */
    for (size_t i = 0; i < n; i++)
        config_clear(c, values[i].option->clears);
    for (size_t i = 0; i < n; i++) {
        const struct option *o = values[i].option;
        int r = o->set ? o->set(c, values[i].text, reason) : 0;
        if (r < 0) {
            (void)snprintf(err, CONFIG_ERROR_MAX, "--%s: %.*s", o->name, CONFIG_ERROR_MAX - 64, reason);
            *ret_file = o->kind == OPTION_PATHS && *values[i].text;
            return r;
        }
    }
    return 0;
}
