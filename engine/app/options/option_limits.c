/* The options of limits. */
#include "options/option_setters.h"

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
