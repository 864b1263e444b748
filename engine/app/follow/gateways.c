#include "follow/gateways.h"

#include "base/log.h"
#include "machine/gateway_rule.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A share is a range of marks, tables and priorities, one for each uplink. The priorities come before the
 * main table's. */
enum { LEFTOVERS_MAX = 256, SHARES = 16, SHARE_SIZE = 2 * UPLINK_MAX, BASE = 0x53570000, PRIORITY = 20000 };

/* --- shares --------------------------------------------------------------------------------------------- */

/* Bind a name in this network namespace. It is unique while the socket is open, and is released however
 * its owner ends. */
static int claim_share(unsigned share)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    /* An abstract name begins with a NUL. */
    int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "steerway-gateways-%u", share);
    if (bind(fd, (struct sockaddr *)&name,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return fd;
    int err = errno;
    (void)close(fd);
    return -err;
}

static bool has_gateway(const struct uplink *u)
{
    return addr_family(&u->way.gateway4.addr) != AF_UNSPEC || addr_family(&u->way.gateway6.addr) != AF_UNSPEC;
}

static uint32_t route_number(const struct gateways *g, const struct uplink *u)
{
    return g->share * SHARE_SIZE + (uint32_t)u->view.id;
}

static unsigned share_of(const struct gateway_rule *r)
{
    return (r->table - BASE - 1) / SHARE_SIZE;
}

static void log_leftovers(size_t removed, int err)
{
    struct log_line l;

    log_begin(&l, err < 0 ? EVENT_GATEWAY_RULES_LEFT : EVENT_GATEWAY_RULES_REMOVED);
    log_u64(&l, "removed", removed);
    if (err < 0)
        log_str(&l, "error", strerror(-err));
    log_end(&l);
}

/* A program that was killed has left its rules, by which other programs' marked packets would be routed:
 * remove them. */
static void sweep(void)
{
    struct gateway_rule left[LEFTOVERS_MAX];
    int n = gateway_rules_find(BASE + 1, BASE + SHARES * SHARE_SIZE, left, LEFTOVERS_MAX), err = 0;
    size_t removed = 0;

    for (int i = 0; i < n && err == 0; i++) {
        int fd = claim_share(share_of(&left[i]));
        if (fd < 0)
            continue; /* the share is in use */
        err = gateway_rule_remove(&left[i]);
        removed += err == 0;
        (void)close(fd);
    }
    if (removed > 0 || err < 0)
        log_leftovers(removed, err);
}

static int take_share(struct gateways *g)
{
    for (unsigned share = 0; g->fd < 0 && share < SHARES; share++) {
        int fd = claim_share(share);
        if (fd < 0 && fd != -EADDRINUSE)
            return fd;
        g->share = share;
        g->fd = fd < 0 ? -1 : fd;
    }
    return g->fd < 0 ? -EADDRINUSE : 0;
}

int gateways_add(struct gateways *g, struct uplink *u)
{
    int r = has_gateway(u) ? take_share(g) : 0;

    if (r == 0 && has_gateway(u) && u->way.mark == 0)
        u->way.mark = BASE + route_number(g, u);
    return r;
}

int gateways_open(struct gateways *g, struct uplink_set *uplinks)
{
    int r = 0;

    *g = (struct gateways){.fd = -1};
    sweep();
    for (size_t i = 0; r == 0 && i < uplinks->n; i++)
        r = gateways_add(g, uplinks->items[i]);
    return r;
}

/* --- rules ---------------------------------------------------------------------------------------------- */

static struct gateway_rule rule_of(const struct gateways *g, const struct uplink *u,
                                   const struct addr *gateway, int link)
{
    return (struct gateway_rule){.gateway = *gateway,
                                 .link = link,
                                 .mark = u->way.mark,
                                 .mask = ~egress_own_mark(),
                                 .table = BASE + route_number(g, u),
                                 .priority = PRIORITY + route_number(g, u)};
}

static void log_failure(const struct uplink *u, const struct addr *gateway, int err)
{
    char text[ADDR_TEXT_MAX];
    struct log_line l;

    log_begin(&l, EVENT_GATEWAY_FAILED);
    log_str(&l, "uplink", u->name);
    log_str(&l, "gateway", addr_format_ip(gateway, text));
    log_str(&l, "error",
            err == -EPERM         ? "that needs root, or CAP_NET_ADMIN"
            : err == -ENETUNREACH ? "it is not in a network of that interface"
                                  : strerror(-err));
    log_end(&l);
}

/* @return whether packets of the gateway's family use it now */
static bool set(const struct gateways *g, struct uplink *u, const struct addr *gateway, int link, bool told)
{
    const struct gateway_rule rule = rule_of(g, u, gateway, link);
    int r = gateway_rule_set(&rule);

    if (r < 0 && !told)
        log_failure(u, gateway, r);
    return r == 0;
}

static void refresh_uplink(const struct gateways *all, struct uplink *u, const struct machine *m)
{
    const struct machine_link *link = uplink_link(u, m);
    struct uplink_gateway *const both[] = {&u->way.gateway4, &u->way.gateway6};

    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        struct uplink_gateway *g = both[i];
        if (addr_family(&g->addr) == AF_UNSPEC)
            continue;
        bool usable = link && link->up && link->carrier;
        g->ready = usable && set(all, u, &g->addr, link->index, g->failed);
        g->failed = usable && !g->ready;
    }
}

void gateways_refresh(const struct gateways *g, struct uplink_set *uplinks, const struct machine *m)
{
    for (size_t i = 0; i < uplinks->n_all; i++)
        refresh_uplink(g, uplinks->items[i], m);
}

void gateways_suppose(struct uplink_set *uplinks)
{
    bool may = egress_may_mark();

    for (size_t i = 0; i < uplinks->n; i++)
        uplinks->items[i]->way.gateway4.ready = uplinks->items[i]->way.gateway6.ready = may;
}

void gateways_remove(const struct gateways *g, const struct uplink *u)
{
    const struct addr *const both[] = {&u->way.gateway4.addr, &u->way.gateway6.addr};

    for (size_t i = 0; g->fd >= 0 && i < ARRAY_LEN(both); i++) {
        const struct gateway_rule rule = rule_of(g, u, both[i], 0);
        if (addr_family(both[i]) != AF_UNSPEC)
            gateway_rule_drop(&rule);
    }
}

void gateways_close(struct gateways *g, struct uplink_set *uplinks)
{
    if (g->fd < 0)
        return;
    for (size_t i = 0; i < uplinks->n_all; i++)
        gateways_remove(g, uplinks->items[i]);
    (void)close(g->fd);
    g->fd = -1;
}
