#include "options/option_setters.h"

#include <errno.h>
#include <stdlib.h>

/* The lower bits number the marks of uplinks with a router of their own (follow/gateways.h). */
static const uint32_t LOWEST = 1U << 24;

int option_set_own_mark(struct config *c, const char *value, char *err)
{
    char *end = NULL;

    errno = 0;
    unsigned long long bit = strtoull(value, &end, 0);
    if (*value < '0' || *value > '9' || *end || errno != 0 || bit < LOWEST || bit > UINT32_MAX ||
        (bit & (bit - 1)) != 0)
        return config_refuse(err, "expected one bit from 0x1000000 to 0x80000000, got '%.60s'", value);
    c->own_mark = (uint32_t)bit;
    return 0;
}
