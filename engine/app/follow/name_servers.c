#include "follow/name_servers.h"

#include "base/log.h"
#include "uplink/discover.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

enum { DNS_PORT = 53 };

/* --- servers by what the machine has -------------------------------------------------------------------- */

static bool is_near(const struct machine_addr *own, const struct addr *server)
{
    struct cidr near;

    cidr_from_addr(&near, &own->addr, own->prefix);
    return cidr_contains(&near, server);
}

/* Whether it is in another link's network, as that link's router usually is. This link does not lead
 * there. */
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

/* A link-local server belongs to one link. */
static bool is_of_link(int link, const struct addr *server)
{
    bool local = addr_family(server) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&server->in6.sin6_addr);

    return !local || server->in6.sin6_scope_id == 0 || (int)server->in6.sin6_scope_id == link;
}

/* Whether a socket that is bound like the uplink's can reach the server. A server on loopback is asked by
 * an unbound socket. */
static bool can_ask(const struct uplink *u, int link, const struct addr *server)
{
    if (addr_is_loopback(server))
        return true;
    return egress_allows(&u->egress, addr_family(server)) && is_of_link(link, server);
}

static void take_reachable(struct dns_servers *ret, const struct uplink *u, int link,
                           const struct dns_servers *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (can_ask(u, link, &from->items[i]))
            (void)dns_servers_add(ret, &from->items[i]);
}

/* A server on loopback resolves by its own routes, so it is used only when no other server is known. */
static void take_systems(struct dns_servers *ret, const struct uplink *u, const struct machine *m, int link,
                         const struct dns_servers *system, bool loopback)
{
    for (size_t i = 0; i < system->n; i++) {
        const struct addr *server = &system->items[i];
        bool fits = loopback ? addr_is_loopback(server)
                             : !addr_is_loopback(server) && can_ask(u, link, server) &&
                                   (link == 0 || !is_elsewhere(m, link, server));
        if (fits)
            (void)dns_servers_add(ret, server);
    }
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

static const char FROM_USER[] = "config";

/* @return the source of the servers */
static const char *find_servers(struct dns_servers *ret, const struct name_servers *n, const struct uplink *u,
                                const struct machine *m)
{
    const struct machine_link *link = machine_link_by_name(m, u->egress.device);
    int index = link ? link->index : 0;
    struct dns_servers learned = {.n = 0}, system;

    *ret = (struct dns_servers){.n = 0};
    take_reachable(ret, u, index, u->names.configured.n > 0 ? &u->names.configured : &n->set);
    if (ret->n > 0)
        return FROM_USER;
    if (link)
        dns_servers_of_link(&learned, index, "");
    take_reachable(ret, u, index, &learned);
    if (ret->n > 0)
        return "link";
    dns_servers_of_system(&system, "");
    take_systems(ret, u, m, index, &system, false);
    if (ret->n > 0)
        return "system";
    take_routers(ret, u, m);
    size_t routers = ret->n;
    take_systems(ret, u, m, index, &system, true);
    return routers > 0 ? "router" : "system";
}

/* --- refreshing ----------------------------------------------------------------------------------------- */

static void log_servers(enum log_event event, const struct uplink *u, const struct dns_servers *servers,
                        const char *from)
{
    char text[DNS_SERVERS_TEXT_MAX];
    struct log_line l;

    log_begin(&l, event);
    log_str(&l, "uplink", u->name);
    log_str(&l, "servers", dns_servers_format(servers, text));
    log_str(&l, "from", from);
    log_end(&l);
}

static void warn_of_none(const struct uplink *u)
{
    struct log_line l;

    log_begin(&l, EVENT_NO_NAME_SERVER);
    log_str(&l, "uplink", u->name);
    log_str(&l, "advice", "name one with --dns, or with dns in the uplink's table of the config file");
    log_end(&l);
}

static void refresh_uplink(struct name_servers *n, struct uplink *u, const struct machine *m)
{
    bool *told = &n->told_none[u->view.id - 1];
    struct dns_servers servers;
    const char *from = find_servers(&servers, n, u, m);
    const struct dns_servers before = *resolver_servers(u->names.resolver);

    if (!u->view.ipv4 && !u->view.ipv6)
        return; /* unchanged, in case it comes back the same */
    resolver_aim(u->names.resolver, &u->egress, &servers);
    u->names.named = from == FROM_USER;
    if (servers.n == 0 && !*told)
        warn_of_none(u);
    else if (servers.n > 0 && !dns_servers_same(&before, &servers))
        log_servers(before.n > 0 ? EVENT_NAME_SERVERS_CHANGED : EVENT_NAME_SERVERS_FOUND, u, &servers, from);
    *told = servers.n == 0;
}

void name_servers_refresh(struct name_servers *n, const struct machine *m)
{
    struct dns_servers direct = n->set;

    if (direct.n == 0)
        dns_servers_of_system(&direct, "");
    resolver_aim(n->direct, &EGRESS_DIRECT, &direct);
    for (size_t i = 0; i < n->uplinks->n; i++)
        refresh_uplink(n, n->uplinks->items[i], m);
}

/* --- from open to close --------------------------------------------------------------------------------- */

static int give_resolver(struct name_servers *n, struct uplink *u)
{
    return resolver_new(&u->names.resolver, n->loop, &n->commons, n->config->dial_timeout_s);
}

int name_servers_open(struct name_servers *n, struct ev_loop *loop, const struct config *config,
                      struct uplink_set *uplinks)
{
    *n = (struct name_servers){.config = config, .uplinks = uplinks, .loop = loop};
    int r = config->dns_servers ? dns_servers_parse(&n->set, config->dns_servers) : 0;

    resolver_commons_init(&n->commons, NULL);
    if (r == 0)
        r = dns_system_new(&n->system, loop);
    if (r == 0)
        r = resolver_new(&n->direct, loop, &n->commons, config->dial_timeout_s);
    if (r == 0)
        resolver_use_system(n->direct, n->system);
    for (size_t i = 0; r == 0 && i < uplinks->n; i++)
        r = give_resolver(n, uplinks->items[i]);
    return r;
}

void name_servers_settle(struct name_servers *n)
{
    n->set = (struct dns_servers){.n = 0};
    if (n->config->dns_servers && dns_servers_parse(&n->set, n->config->dns_servers) < 0)
        n->set.n = 0; /* never: it was checked when it was read */
    resolver_set_timeout(n->direct, n->config->dial_timeout_s);
    for (size_t i = 0; i < n->uplinks->n_all; i++)
        resolver_set_timeout(n->uplinks->items[i]->names.resolver, n->config->dial_timeout_s);
}

int name_servers_add(struct name_servers *n, struct uplink *u, const struct machine *m)
{
    int r = give_resolver(n, u);

    n->told_none[u->view.id - 1] = false;
    if (r == 0)
        refresh_uplink(n, u, m);
    return r;
}

void name_servers_remove(struct uplink *u)
{
    resolver_free(u->names.resolver);
    u->names.resolver = NULL;
}

void name_servers_close(struct name_servers *n)
{
    for (size_t i = 0; n->uplinks && i < n->uplinks->n_all; i++)
        name_servers_remove(n->uplinks->items[i]);
    resolver_free(n->direct);
    dns_system_free(n->system);
    resolver_commons_done(&n->commons);
    *n = (struct name_servers){.uplinks = NULL};
}
