/* The options that say where to listen, which balancers may connect there, and what browsers are told. */
#include "options/option_listen.h"

#include "base/host_port.h"
#include "options/option_setters.h"
#include "options/option_text.h"

#include <errno.h>
#include <string.h>

static int too_many(char *err)
{
    (void)config_refuse(err, "at most %d addresses", CONFIG_LISTEN_MAX);
    return -ENOSPC;
}

/* "localhost" and "*" mean an address of each family. @return the number of addresses, or -EINVAL */
static int parse_host(struct slice host, struct listen_place ret[2])
{
    static const char *const pairs[][3] = {{"localhost", "127.0.0.1", "::1"}, {"*", "0.0.0.0", "::"}};

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        if (!slice_ieq(host, slice_str(pairs[i][0])))
            continue;
        for (int j = 0; j < 2; j++) {
            int r = listen_place_parse(&ret[j], slice_str(pairs[i][j + 1]));
            if (r < 0)
                return r;
        }
        return 2;
    }
    int r = listen_place_parse(&ret[0], host);
    return r < 0 ? r : 1;
}

int option_set_host(struct config *c, const char *value, char *err)
{
    struct listen_place places[2];
    int n = parse_host(slice_str(value), places);

    if (n < 0)
        return option_not_a(err, slice_str(value),
                            "an address of this machine (localhost, * for all, 192.0.2.1, 2001:db8::1)");
    for (int i = 0; i < n; i++) {
        if (c->n_hosts == CONFIG_LISTEN_MAX)
            return too_many(err);
        c->hosts[c->n_hosts++] = places[i];
    }
    return 0;
}

int option_set_port(struct config *c, const char *value, char *err)
{
    uint16_t port;

    if (host_port_number(slice_str(value), &port) < 0)
        return option_not_a(err, slice_str(value), "a port (1 to 65535, 0 for a free one)");
    c->port = port;
    return 0;
}

int option_set_http(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->http = true;
    return 0;
}

int option_parse_listen(struct slice text, struct listen_place ret[2], char *err)
{
    static const char expected[] =
        "ADDRESS:PORT (localhost:1080, *:1080 for all addresses, 192.0.2.1:1080, [::1]:1080)";
    const struct host_port split = host_port_split(text);
    uint16_t port;

    int n = split.has_port ? parse_host(split.place, ret) : -EINVAL;
    if (n < 0)
        return option_not_a(err, text, expected);
    if (host_port_number(split.port, &port) < 0)
        return option_not_a(err, split.port, "a port (1 to 65535, 0 for a free one)");
    for (int i = 0; i < n; i++)
        addr_set_port(&ret[i].addr, port);
    return n;
}

static int refuse_place(int why, char *err)
{
    if (why == -EEXIST)
        return config_refuse(err, "this address is given with and without proxy-protocol");
    return too_many(err);
}

int option_set_listen(struct config *c, const char *value, char *err)
{
    const char *comma = strchrnul(value, ',');
    struct listen_place places[2];

    if (*comma && strcmp(comma + 1, "proxy-protocol") != 0)
        return option_not_a(err, slice_str(comma + 1), "proxy-protocol, which alone may follow the port");
    int n = option_parse_listen(slice_of(value, (size_t)(comma - value)), places, err);
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++)
        places[i].proxy_protocol = *comma;
    int r = config_add_listen(c, places, (size_t)n);
    return r < 0 ? refuse_place(r, err) : 0;
}

int option_set_listen_strict(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->listen_strict = true;
    return 0;
}

static int balancer_part(struct config *c, struct slice text, char *err)
{
    return option_add_range(&c->balancers, text, err);
}

int option_set_proxy_protocol_from(struct config *c, const char *value, char *err)
{
    return option_each_part(c, value, err, balancer_part);
}

/* --- the script for browsers ---------------------------------------------------------------------------- */

static int pac_part(struct config *c, struct slice text, char *err)
{
    if (slice_eq(text, slice_str("none"))) {
        c->pac.no_local = true;
        return 0;
    }
    switch (pac_add(&c->pac, text)) {
    case 0:
        return 0;
    case -ENOSPC:
        return config_refuse(err, "at most %d names and address ranges", PAC_BYPASS_MAX);
    case -ENOMEM:
        return option_no_memory(err);
    default:
        return option_not_a(err, text,
                            "a name or an address range (such as intranet.example or 192.168.1.0/24)");
    }
}

int option_set_pac_bypass(struct config *c, const char *value, char *err)
{
    return option_each_part(c, value, err, pac_part);
}

int option_set_pac_direct(struct config *c, const char *value, char *err)
{
    (void)value;
    (void)err;
    c->pac.fall_back = true;
    return 0;
}
