#include "control/name_servers.h"

#include "base/log.h"
#include "uplink/discover.h"

enum { DNS_PORT = 53 };

/* --- what the machine has ------------------------------------------------------------------------------- */

static bool is_near(const struct machine_addr *own, const struct addr *server)
{
    struct cidr near;

    cidr_from_addr(&near, &own->addr, own->prefix);
    return cidr_contains(&near, server);
}

/* Whether it is in the network of another link, as the router there mostly is: this one does not lead to it.
 */
static bool is_elsewhere(const struct machine *m, int link, const struct addr *server)
{
    bool elsewhere = false;

    for (size_t i = 0; i < m->n_addrs; i++) {
        if (!is_near(&m->addrs[i], server))
            continue;
        if (m->addrs[i].link == link)
            return false;
        elsewhere = true;
    }
    return elsewhere;
}

static void take_systems(struct dns_servers *ret, const struct machine *m, int link)
{
    struct dns_servers all;

    dns_servers_of_system(&all);
    for (size_t i = 0; i < all.n; i++)
        if (link == 0 || addr_is_loopback(&all.items[i]) || !is_elsewhere(m, link, &all.items[i]))
            (void)dns_servers_add(ret, &all.items[i]);
}

static void take_routers(struct dns_servers *ret, const struct uplink *u, const struct machine *m)
{
    static const int families[] = {AF_INET, AF_INET6};

    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        struct addr router;
        if (discover_gateway(u, m, families[i], &router) < 0)
            continue;
        addr_set_port(&router, DNS_PORT);
        (void)dns_servers_add(ret, &router);
    }
}

/* @return where they are from */
static const char *find(struct dns_servers *ret, const struct name_servers *n, const struct uplink *u,
                        const struct machine *m)
{
    const struct machine_link *link = machine_link_by_name(m, u->egress.device);

    *ret = u->dns.n > 0 ? u->dns : n->set;
    if (ret->n > 0)
        return "config";
    if (link)
        dns_servers_of_link(ret, link->index, "");
    if (ret->n > 0)
        return "link";
    take_systems(ret, m, link ? link->index : 0);
    if (ret->n > 0)
        return "system";
    take_routers(ret, u, m);
    return "router";
}

/* --- refreshing ----------------------------------------------------------------------------------------- */

static void log_servers(enum log_level level, const struct uplink *u, const struct dns_servers *servers,
                        const char *from)
{
    char text[DNS_SERVERS_TEXT_MAX];
    struct log_line l;

    log_begin(&l, level, "name servers");
    log_str(&l, "uplink", u->name);
    log_str(&l, "servers", dns_servers_format(servers, text));
    log_str(&l, "from", from);
    log_end(&l);
}

static void warn_of_none(const struct uplink *u)
{
    struct log_line l;

    log_begin(&l, LOG_WARN, "no name server can be reached by this uplink");
    log_str(&l, "uplink", u->name);
    log_str(&l, "advice", "name one with --dns, or with dns in the uplink's table of the config file");
    log_end(&l);
}

static void refresh(struct name_servers *n, struct uplink *u, const struct machine *m)
{
    bool *told = &n->told_none[u->view.id - 1];
    struct dns_servers servers;
    const char *from = find(&servers, n, u, m);
    const struct dns_servers before = *resolver_servers(u->resolver);

    if (!u->view.ipv4 && !u->view.ipv6)
        return; /* as it was, should it come back so */
    resolver_aim(u->resolver, &u->egress, &servers);
    if (servers.n == 0 && !*told)
        warn_of_none(u);
    else if (servers.n > 0 && !dns_servers_same(&before, &servers))
        log_servers(before.n > 0 ? LOG_INFO : LOG_DEBUG, u, &servers, from);
    *told = servers.n == 0;
}

void name_servers_refresh(struct name_servers *n, const struct machine *m)
{
    struct dns_servers direct = n->set;

    if (direct.n == 0)
        dns_servers_of_system(&direct);
    resolver_aim(n->direct, &EGRESS_DIRECT, &direct);
    for (size_t i = 0; i < n->uplinks->n; i++)
        refresh(n, n->uplinks->items[i], m);
}

/* --- from open to close --------------------------------------------------------------------------------- */

int name_servers_open(struct name_servers *n, struct ev_loop *loop, const struct config *config,
                      struct uplink_set *uplinks)
{
    *n = (struct name_servers){.config = config, .uplinks = uplinks};
    int r = config->dns_servers ? dns_servers_parse(&n->set, config->dns_servers) : 0;

    if (r == 0)
        r = resolver_new(&n->direct, loop, config->dial_timeout_s);
    for (size_t i = 0; r == 0 && i < uplinks->n; i++)
        r = resolver_new(&uplinks->items[i]->resolver, loop, config->dial_timeout_s);
    return r;
}

void name_servers_close(struct name_servers *n)
{
    for (size_t i = 0; n->uplinks && i < n->uplinks->n; i++) {
        resolver_free(n->uplinks->items[i]->resolver);
        n->uplinks->items[i]->resolver = NULL;
    }
    resolver_free(n->direct);
    *n = (struct name_servers){.uplinks = NULL};
}
