/* The options of datagrams. */
#include "options/option_setters.h"

#include "base/host_port.h"
#include "options/option_text.h"

#include <stdlib.h>
#include <string.h>

int option_set_udp_filter(struct config *c, const char *value, char *err)
{
    if (udp_filter_parse(value, &c->udp.filter))
        return 0;
    return option_not_a(err, slice_str(value), "a filter (endpoint, address or address-port)");
}

int option_set_udp_ports(struct config *c, const char *value, char *err)
{
    const char *dash = strchr(value, '-');
    struct slice low = slice_of(value, dash ? (size_t)(dash - value) : strlen(value));
    uint16_t from, to;

    if (host_port_number(low, &from) < 0 || from == 0 ||
        host_port_number(dash ? slice_str(dash + 1) : low, &to) < 0 || to < from)
        return option_not_a(err, slice_str(value), "a port, or a range of ports such as 40000-40999");
    c->udp.port_low = from;
    c->udp.port_high = to;
    return 0;
}

static int advertise_part(struct config *c, struct slice text, char *err)
{
    struct addr a;

    if (addr_parse_ip(&a, text, 0) < 0)
        return option_not_a(err, text, "an address (192.0.2.1, 2001:db8::1)");
    if (addr_name_this_machine(&a))
        return option_not_a(err, text, "an address that clients can send to");
    struct addr *told = addr_family(&a) == AF_INET ? &c->udp.advertise4 : &c->udp.advertise6;
    if (addr_family(told) != AF_UNSPEC)
        return config_refuse(err, "two addresses of IPv%d: a client is told one",
                             addr_family(&a) == AF_INET ? 4 : 6);
    *told = a;
    return 0;
}

int option_set_udp_advertise(struct config *c, const char *value, char *err)
{
    c->udp.advertise4 = c->udp.advertise6 = (struct addr){.sa = {.sa_family = AF_UNSPEC}};
    return option_each_part(c, value, err, advertise_part);
}

int option_set_udp_mappings(struct config *c, const char *value, char *err)
{
    size_t digits = strspn(value, "0123456789");

    if (digits == 0 || digits > 6 || value[digits] || atoi(value) < 1)
        return option_not_a(err, slice_str(value), "a number of mappings (1 to 999999)");
    c->udp.mappings_max = (size_t)atoi(value);
    return 0;
}
