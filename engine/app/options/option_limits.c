/* The options of limits. */
#include "options/option_setters.h"

#include "base/units.h"
#include "options/option_text.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_DIGITS = 6 };

static int set_limit(size_t *limit, const char *value, char *err)
{
    size_t digits = strspn(value, "0123456789");

    if (digits == 0 || digits > LIMIT_DIGITS || value[digits])
        return option_not_a(err, slice_str(value), "a number (1 to 999999; 0: no limit)");
    *limit = (size_t)atoi(value);
    return 0;
}

int option_set_max_clients(struct config *c, const char *value, char *err)
{
    return set_limit(&c->limits.clients, value, err);
}

int option_set_max_connections(struct config *c, const char *value, char *err)
{
    return set_limit(&c->limits.connections, value, err);
}

int option_set_client_connections(struct config *c, const char *value, char *err)
{
    return set_limit(&c->limits.client_connections, value, err);
}

int option_set_client_new(struct config *c, const char *value, char *err)
{
    return set_limit(&c->limits.client_new, value, err);
}

int option_set_client_handshakes(struct config *c, const char *value, char *err)
{
    return set_limit(&c->limits.client_handshakes, value, err);
}

static int parse_rate(const char *value, uint64_t *ret, char *err)
{
    double rate;

    if (!units_parse(value, &rate) || rate < CONFIG_RATE_MIN || rate > CONFIG_RATE_MAX)
        return option_not_a(err, slice_str(value), "a rate in bytes a second (1K to 1T, such as 2M)");
    *ret = (uint64_t)rate;
    return 0;
}

int option_set_rate_client(struct config *c, const char *value, char *err)
{
    return parse_rate(value, &c->limits.client_rate, err);
}

int option_set_rate_user(struct config *c, const char *value, char *err)
{
    const char *equals = strrchr(value, '=');
    uint64_t rate;

    if (!equals || equals == value)
        return option_not_a(err, slice_str(value), "NAME=RATE, such as tim=2M");
    int r = parse_rate(equals + 1, &rate, err);
    if (r == 0 && config_set_rate(c, slice_of(value, (size_t)(equals - value)), rate) < 0)
        return option_no_memory(err);
    return r;
}
