#include "options/option_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int option_no_memory(char *err)
{
    (void)config_refuse(err, "out of memory");
    return -ENOMEM;
}

int option_not_a(char *err, struct slice value, const char *what)
{
    bool number = value.len > 0;

    for (size_t i = 0; i < value.len; i++)
        number = number && value.data[i] >= '0' && value.data[i] <= '9';
    const char *quote = number ? "" : "'";
    int len = value.len > OPTION_SHOWN_MAX ? OPTION_SHOWN_MAX : (int)value.len;
    return config_refuse(err, "%s%.*s%s%s is not %s", quote, len, value.data,
                         value.len > OPTION_SHOWN_MAX ? "…" : "", quote, what);
}

int option_replace_text(char **text, const char *value, char *err)
{
    if (!*value)
        return config_refuse(err, "expected a text that is not empty");
    char *copy = strdup(value);
    if (!copy)
        return option_no_memory(err);
    free(*text);
    *text = copy;
    return 0;
}

int option_each_part(struct config *c, const char *list, char *err, option_part_fn *part)
{
    for (;;) {
        size_t len = strcspn(list, ",");
        int r = part(c, slice_of(list, len), err);
        if (r < 0 || !list[len])
            return r;
        list += len + 1;
    }
}

int option_add_range(struct cidr_set *set, struct slice text, char *err)
{
    struct cidr range;

    if (cidr_parse(&range, text) < 0)
        return option_not_a(err, text,
                            "an address range (such as 192.168.1.0/24, fd00::/8 or a lone address)");
    return cidr_set_add(set, &range) < 0 ? option_no_memory(err) : 0;
}
