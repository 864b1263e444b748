#include "doctor/judge.h"
#include "uplink/uplink.h"

#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

/* The metric is above those of network managers, so that other programs' packets keep their route. The
 * rule comes before the main table's. The link's index is added, since metrics and priorities must differ. */
enum { METRIC = 2000, RULE_PRIORITY = 30000 };

static const char *ip(const struct sight_family *f)
{
    return f->family == AF_INET ? "ip" : "ip -6";
}

static const char *family_name(const struct sight_family *f)
{
    return f->family == AF_INET ? "IPv4" : "IPv6";
}

/* --- no way out ----------------------------------------------------------------------------------------- */

static void tell_no_route(struct diagnosis *d, const struct sight *s, const struct sight_family *f,
                          enum severity severity)
{
    const struct machine_link *link = s->link;
    char router[ADDR_TEXT_MAX + 8] = "", text[ADDR_TEXT_MAX];
    bool guessed = f->family == AF_INET && !link->point_to_point;
    struct finding *found =
        diagnosis_find(d, severity, "route-none", s->uplink->name,
                       "no route leads from %s to the internet with %s", link->name, family_name(f));

    diagnosis_why(found, guessed ? "Packets bound to the interface have nowhere to go. The metric keeps the "
                                   "route from other programs; the router's address is a guess: the first of "
                                   "the network."
                                 : "Packets bound to the interface have nowhere to go. The network manager "
                                   "sets such a route when the line's router makes itself known.");
    if (!link->point_to_point && addr_family(&f->router_likely) == AF_UNSPEC)
        return;
    if (!link->point_to_point) {
        struct addr via = f->router_likely;
        if (f->family == AF_INET6)
            via.in6.sin6_scope_id = 0; /* "dev" already names the link, and ip refuses a second mention */
        (void)snprintf(router, sizeof router, " via %s", addr_format_ip(&via, text));
    }
    diagnosis_repair(found, "%s route add default%s dev %s metric %d", ip(f), router, link->name,
                     METRIC + link->index);
    diagnosis_undo(found, "%s route del default%s dev %s metric %d", ip(f), router, link->name,
                   METRIC + link->index);
}

/* The route exists, but the rules do not lead to it: an earlier rule turns packets away, or no rule asks
 * the table. A rule for the uplink's source address repairs both, and satisfies rp_filter. */
static void tell_kept_away(struct diagnosis *d, const struct sight *s, const struct sight_family *f,
                           enum severity severity)
{
    char table[16] = "main", own[ADDR_TEXT_MAX];
    bool barred = f->barred && f->table == RT_TABLE_MAIN;
    unsigned priority = barred && f->barrier > 0 ? f->barrier - 1 : RULE_PRIORITY + (unsigned)s->link->index;
    struct finding *found;

    (void)addr_format_ip(&f->source, own);
    if (f->table != RT_TABLE_MAIN)
        (void)snprintf(table, sizeof table, "%u", f->table);
    if (barred)
        found = diagnosis_find(d, severity, "rule-blocks", s->uplink->name,
                               "a routing rule (priority %u) turns its %s packets away", f->barrier,
                               family_name(f));
    else
        found = diagnosis_find(d, severity, "route-unused", s->uplink->name,
                               "no routing rule leads its %s packets to the route in table %s",
                               family_name(f), table);
    diagnosis_why(found, "The interface has a default route, but its packets do not reach it. A rule for its "
                         "source address leads them there, until the address changes.");
    diagnosis_repair(found, "%s rule add pref %u from %s lookup %s", ip(f), priority, own, table);
    diagnosis_undo(found, "%s rule del pref %u from %s lookup %s", ip(f), priority, own, table);
}

/* A rule of the user's for the uplink's mark compares all bits, as `ip rule` does without a mask. */
static void tell_exact_rule(struct diagnosis *d, const struct sight *s, const struct sight_family *f,
                            enum severity severity)
{
    const uint32_t mark = s->uplink->way.mark, mask = ~f->bit_apart;
    struct finding *found =
        diagnosis_find(d, severity, "mark-rule-exact", s->uplink->name,
                       "the routing rule for its mark 0x%x does not fit its %s packets, which have 0x%x",
                       mark, family_name(f), mark | f->bit_apart);

    diagnosis_why(found, "Where there are transparent listeners, the proxy's packets carry one more bit "
                         "(--own-mark). A rule with a mask leaves that bit out.");
    if (f->table == 0 || f->table == RT_TABLE_MAIN)
        return;
    diagnosis_repair(found, "%s rule add pref %d fwmark 0x%x/0x%x lookup %u", ip(f),
                     RULE_PRIORITY + s->link->index, mark, mask, f->table);
    diagnosis_undo(found, "%s rule del pref %d fwmark 0x%x/0x%x lookup %u", ip(f),
                   RULE_PRIORITY + s->link->index, mark, mask, f->table);
}

/* Home routers give out unique local addresses (RFC 4193) even without IPv6 internet access. */
static bool is_promise(const struct sight *s, const struct sight_family *f)
{
    return f->used && !(addr_is_unique_local(&f->source) && s->four.used);
}

static void judge_family(struct diagnosis *d, const struct sight *s, const struct sight_family *f,
                         const struct sight_family *other)
{
    if (f->leaves || !s->line || !is_promise(s, f))
        return;
    enum severity severity = other->leaves ? SEVERITY_WARNING : SEVERITY_ERROR;
    if (f->bit_apart != 0)
        tell_exact_rule(d, s, f, severity);
    else if (f->table != 0 && s->uplink->way.mark == 0)
        tell_kept_away(d, s, f, severity);
    else
        tell_no_route(d, s, f, severity);
}

/* --- IPv6 that does not come about ---------------------------------------------------------------------- */

static void judge_ipv6(struct diagnosis *d, const struct sight *s)
{
    const struct sight_settings *is = &s->settings;
    const char *link = s->link->name;
    char name[DIAGNOSIS_SYSCTL_MAX];

    diagnosis_sysctl_name(link, name);
    if (is->ipv6_off == 1 && is->ipv6_off_all == 0) {
        struct finding *f = diagnosis_find(d, SEVERITY_NOTE, "ipv6-off", s->uplink->name,
                                           "IPv6 is switched off on %s alone", link);
        diagnosis_why(
            f, "If the line has IPv6, this uplink does not use it. IPv6 destinations go by other uplinks.");
        diagnosis_repair(f, "sysctl -w net.ipv6.conf.%s.disable_ipv6=0", name);
        diagnosis_undo(f, "sysctl -w net.ipv6.conf.%s.disable_ipv6=1", name);
    } else if (is->ipv6_off == 0 && is->forwarding6 > 0 && is->accept_ra == 1 && !s->six.leaves) {
        struct finding *f = diagnosis_find(d, SEVERITY_NOTE, "ra-ignored", s->uplink->name,
                                           "what IPv6 routers advertise on %s is ignored", link);
        diagnosis_why(f, "This machine forwards IPv6, and with accept_ra=1 such a machine learns neither "
                         "address nor router from its lines. With 2 it does.");
        diagnosis_repair(f, "sysctl -w net.ipv6.conf.%s.accept_ra=2", name);
        diagnosis_undo(f, "sysctl -w net.ipv6.conf.%s.accept_ra=1", name);
    }
}

/* --- the way back --------------------------------------------------------------------------------------- */

static void judge_filter(struct diagnosis *d, const struct sight *s)
{
    const struct sight_settings *is = &s->settings;
    char name[DIAGNOSIS_SYSCTL_MAX];

    /* The kernel uses the greater of the two; 2 is loose. */
    if (!s->back_by_other || (is->rp_filter > is->rp_filter_all ? is->rp_filter : is->rp_filter_all) != 1)
        return;
    struct finding *f = diagnosis_find(d, SEVERITY_ERROR, "rp-filter-strict", s->uplink->name,
                                       "the kernel drops packets that come in by %s", s->link->name);
    diagnosis_why(f, "rp_filter is strict (1): it drops a packet when the best route to its sender "
                     "leaves by another link, as it does here. Loose (2) suffices against forged senders.");
    diagnosis_sysctl_name(s->link->name, name);
    diagnosis_repair(f, "sysctl -w net.ipv4.conf.%s.rp_filter=2", name);
    diagnosis_undo(f, "sysctl -w net.ipv4.conf.%s.rp_filter=%ld", name, is->rp_filter);
}

/* --- all of it ------------------------------------------------------------------------------------------ */

static void tell_way(struct diagnosis *d, const struct sight *s)
{
    char four[ADDR_TEXT_MAX] = "", six[ADDR_TEXT_MAX] = "";

    diagnosis_fact(d, s->uplink->name, "route", "packets leave by %s with %s",
                   s->line ? s->link->name : "the machine's own routes",
                   s->four.leaves && s->six.leaves ? "IPv4 and IPv6"
                   : s->four.leaves                ? "IPv4"
                                                   : "IPv6");
    if (addr_family(&s->four.router) != AF_UNSPEC)
        (void)addr_format_ip(&s->four.router, four);
    if (addr_family(&s->six.router) != AF_UNSPEC)
        (void)addr_format_ip(&s->six.router, six);
    if (four[0] || six[0])
        diagnosis_fact(d, s->uplink->name, "router", "%s%s%s", four, four[0] && six[0] ? ", " : "", six);
}

void judge_ways(struct diagnosis *d, const struct sight *s)
{
    if (s->four.leaves || s->six.leaves)
        tell_way(d, s);
    judge_family(d, s, &s->four, &s->six);
    judge_family(d, s, &s->six, &s->four);
    if (s->line) {
        judge_ipv6(d, s);
        judge_filter(d, s);
    }
}

void judge_router(struct diagnosis *d, const struct sight *s)
{
    const struct sight_family *const both[] = {&s->four, &s->six};
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        if (both[i]->router_is.state == NEIGHBOUR_SILENT)
            diagnosis_why(diagnosis_find(d, SEVERITY_ERROR, "router-silent", s->uplink->name,
                                         "its router %s does not answer",
                                         addr_format_ip(&both[i]->router, text)),
                          "It is switched off, not connected, or has a new address. Let the network manager "
                          "renew the lease.");
}
