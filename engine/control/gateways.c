#include "control/gateways.h"

#include "base/log.h"
#include "net/gateway_rule.h"

#include <errno.h>
#include <string.h>

enum { PRIORITY = 20000, TABLE = 0x53570000 };

static struct gateway_rule rule_of(const struct uplink *u, const struct addr *gateway, int link)
{
    return (struct gateway_rule){.gateway = *gateway,
                                 .link = link,
                                 .mark = u->mark,
                                 .table = TABLE + (uint32_t)u->view.id,
                                 .priority = PRIORITY + (uint32_t)u->view.id};
}

static void log_failure(const struct uplink *u, const struct addr *gateway, int err)
{
    char text[ADDR_TEXT_MAX];
    struct log_line l;

    log_begin(&l, LOG_ERROR, "uplink is down: its gateway cannot be set");
    log_str(&l, "uplink", u->name);
    log_str(&l, "gateway", addr_format_ip(gateway, text));
    log_str(&l, "error",
            err == -EPERM         ? "that needs root, or CAP_NET_ADMIN"
            : err == -ENETUNREACH ? "it is no neighbour on that interface"
                                  : strerror(-err));
    log_end(&l);
}

/* @return whether packets of the gateway's family go by it */
static bool set(struct uplink *u, const struct addr *gateway, int link, bool told)
{
    const struct gateway_rule rule = rule_of(u, gateway, link);
    int r = gateway_rule_set(&rule);

    if (r < 0 && !told)
        log_failure(u, gateway, r);
    return r == 0;
}

static void refresh(struct uplink *u, const struct machine *m)
{
    const struct machine_link *link = machine_link_by_name(m, u->interface);
    struct uplink_gateway *const all[] = {&u->gateway4, &u->gateway6};

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct uplink_gateway *g = all[i];
        if (addr_family(&g->addr) == AF_UNSPEC)
            continue;
        bool usable = link && link->up && link->carrier;
        g->ready = usable && set(u, &g->addr, link->index, g->failed);
        g->failed = usable && !g->ready;
    }
}

void gateways_refresh(struct uplink_set *uplinks, const struct machine *m)
{
    for (size_t i = 0; i < uplinks->n; i++)
        refresh(uplinks->items[i], m);
}

void gateways_close(struct uplink_set *uplinks)
{
    for (size_t i = 0; i < uplinks->n; i++) {
        struct uplink *u = uplinks->items[i];
        const struct gateway_rule four = rule_of(u, &u->gateway4.addr, 0),
                                  six = rule_of(u, &u->gateway6.addr, 0);
        if (addr_family(&u->gateway4.addr) != AF_UNSPEC)
            gateway_rule_drop(&four);
        if (addr_family(&u->gateway6.addr) != AF_UNSPEC)
            gateway_rule_drop(&six);
    }
}
