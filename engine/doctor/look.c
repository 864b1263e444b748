#include "doctor/look.h"

#include "uplink/discover.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char PUBLIC4[] = "1.1.1.1", PUBLIC6[] = "2606:4700:4700::1111"; /* asked about, never sent to */
enum { MTU_MIN = 1280 };                                                     /* RFC 8200 5 */

/* --- small files of the kernel's ------------------------------------------------------------------------ */

static long read_number(const char *path, long otherwise)
{
    FILE *f = fopen(path, "re");
    long n = otherwise;

    if (f && fscanf(f, "%ld", &n) != 1)
        n = otherwise;
    if (f)
        (void)fclose(f);
    return n;
}

static long rp_filter(const char *interface)
{
    char path[128];

    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/rp_filter", interface);
    return read_number(path, 0);
}

bool look_up_neighbour(const struct addr *a, const char *interface, char ret[32], bool *ret_asked)
{
    char line[256], own[ADDR_TEXT_MAX], ip[64], mac[32], device[32];
    unsigned flags;
    bool found = false;
    FILE *f = fopen("/proc/net/arp", "re");

    *ret_asked = false;
    (void)addr_format_ip(a, own);
    while (f && !found && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%63s 0x%*x 0x%x %31s %*s %31s", ip, &flags, mac, device) != 4 ||
            strcmp(ip, own) != 0 || strcmp(device, interface) != 0)
            continue;
        *ret_asked = true;
        found = flags & 2; /* ATF_COM */
    }
    if (f)
        (void)fclose(f);
    if (found)
        (void)snprintf(ret, 32, "%s", mac);
    return found;
}

/* --- link and address ----------------------------------------------------------------------------------- */

static void tell_absent(struct diagnosis *r, const struct uplink *u)
{
    if (addr_family(&u->address) != AF_UNSPEC) {
        char text[ADDR_TEXT_MAX];
        diagnosis_why(
            diagnosis_find(r, SEVERITY_ERROR, "address-missing", u->name,
                           "this machine does not have the address %s", addr_format_ip(&u->address, text)),
            "Nothing can be sent from an address that the machine does not have. steerway list shows "
            "those it has.");
        return;
    }
    diagnosis_why(
        diagnosis_find(r, SEVERITY_ERROR, "interface-missing", u->name, "there is no interface %s",
                       u->interface),
        "Until it is there nothing goes by this uplink; it may come later. steerway list shows those "
        "there are.");
}

static void tell_down(struct diagnosis *r, const struct uplink *u, const struct machine_link *link)
{
    struct finding *f = diagnosis_find(r, SEVERITY_ERROR, "link-down", u->name,
                                       "the interface %s is switched off", link->name);

    diagnosis_why(
        f, "Nothing can be sent by it. Its routes were lost with that, and come again by DHCP, or by hand.");
    diagnosis_repair(f, "ip link set %s up", link->name);
    diagnosis_undo(f, "ip link set %s down", link->name);
}

/* 0 where it cannot be told. */
static int mtu_of(const char *interface)
{
    struct ifreq request = {.ifr_mtu = 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    bool told = fd >= 0 && ioctl(fd, SIOCGIFMTU, &request) == 0;
    if (fd >= 0)
        (void)close(fd);
    return told ? request.ifr_mtu : 0;
}

static void look_at_mtu(struct diagnosis *r, const struct uplink *u, const struct machine_link *link)
{
    int mtu = mtu_of(link->name);

    if (mtu == 0)
        return;
    if (mtu >= MTU_MIN) {
        diagnosis_fact(r, u->name, "link", "%s, up, MTU %d", link->name, mtu);
        return;
    }
    struct finding *f = diagnosis_find(r, SEVERITY_WARNING, "mtu-small", u->name,
                                       "packets by %s may have %d octets at most", link->name, mtu);
    diagnosis_why(f, "IPv6 needs 1280 (RFC 8200), and many a site answers with more, so that pages hang.");
    diagnosis_repair(f, "ip link set %s mtu 1500", link->name);
    diagnosis_undo(f, "ip link set %s mtu %d", link->name, mtu);
}

static void look_at_addresses(struct diagnosis *r, const struct uplink *u, const struct machine_link *link)
{
    char four[ADDR_TEXT_MAX] = "", six[ADDR_TEXT_MAX] = "";

    if (u->egress.any4)
        (void)addr_format_ip(&u->egress.source4, four);
    if (u->egress.any6)
        (void)addr_format_ip(&u->egress.source6, six);
    if (four[0] || six[0]) {
        diagnosis_fact(r, u->name, "address", "%s%s%s", four, four[0] && six[0] ? ", " : "", six);
        return;
    }
    diagnosis_why(
        diagnosis_find(r, SEVERITY_ERROR, "address-none", u->name, "the interface %s has no address",
                       link->name),
        "The line's DHCP server, or its router's advertisements, did not answer: look at the cable, "
        "the modem and the "
        "network manager.");
}

/* --- routes --------------------------------------------------------------------------------------------- */

/* Most routers take the first address of their network. */
static bool guess_router(const struct uplink *u, const struct machine *m, const struct machine_link *link,
                         struct addr *ret)
{
    for (size_t i = 0; i < m->n_addrs; i++) {
        const struct machine_addr *a = &m->addrs[i];
        if (a->link != link->index || !addr_same_ip(&a->addr, &u->egress.source4) || a->prefix >= 31)
            continue;
        uint32_t mask = a->prefix == 0 ? 0 : 0xffffffffu << (32 - a->prefix);
        *ret = a->addr;
        ret->in4.sin_addr.s_addr = htonl((ntohl(a->addr.in4.sin_addr.s_addr) & mask) + 1);
        return !addr_same_ip(ret, &a->addr);
    }
    return false;
}

static void tell_no_route(struct diagnosis *r, const struct uplink *u, const struct machine *m,
                          const struct machine_link *link)
{
    struct finding *f = diagnosis_find(r, SEVERITY_ERROR, "route-none", u->name,
                                       "no route leads from %s to the internet", link->name);
    char router[ADDR_TEXT_MAX + 8] = "", text[ADDR_TEXT_MAX];
    struct addr guess;

    diagnosis_why(f,
                  "Packets bound to the interface have nowhere to go. The metric keeps the route from other "
                  "programs; the router's "
                  "address is a guess where there is one: the first of the network.");
    if (!link->point_to_point && !guess_router(u, m, link, &guess))
        return;
    if (!link->point_to_point)
        (void)snprintf(router, sizeof router, " via %s", addr_format_ip(&guess, text));
    diagnosis_repair(f, "ip route add default%s dev %s metric %d", router, link->name, 2000 + link->index);
    diagnosis_undo(f, "ip route del default%s dev %s metric %d", router, link->name, 2000 + link->index);
}

static bool leaves_by(const struct uplink *u, const struct machine_link *link, int family)
{
    struct machine_route route;
    struct addr to;
    const struct addr *source = family == AF_INET ? &u->egress.source4 : &u->egress.source6;

    return addr_parse_ip(&to, slice_str(family == AF_INET ? PUBLIC4 : PUBLIC6), 0) == 0 &&
           machine_route_get(&to, source, link->index, &route) == 0;
}

static void look_at_routes(struct diagnosis *r, const struct uplink *u, const struct machine *m,
                           const struct machine_link *link)
{
    bool four = u->egress.any4 && leaves_by(u, link, AF_INET),
         six = u->egress.any6 && leaves_by(u, link, AF_INET6);
    char text[ADDR_TEXT_MAX];
    struct addr router;

    if (!four && !six)
        return tell_no_route(r, u, m, link);
    diagnosis_fact(r, u->name, "route", "packets leave by %s with %s", link->name,
                   four && six ? "IPv4 and IPv6"
                   : four      ? "IPv4"
                               : "IPv6");
    if (discover_gateway(u, m, four ? AF_INET : AF_INET6, &router) == 0)
        diagnosis_fact(r, u->name, "router", "%s", addr_format_ip(&router, text));
}

/* sysctl takes a point for a slash, and a slash for the point of a VLAN's name. */
static void name_for_sysctl(const char *interface, char ret[IFNAMSIZ])
{
    (void)snprintf(ret, IFNAMSIZ, "%s", interface);
    for (char *p = strchr(ret, '.'); p; p = strchr(p, '.'))
        *p = '/';
}

/* Whether answers would be thrown away: they come in by a link that is not the best way back, as the kernel
 * reckons it: by the rules for our address, whatever the socket is bound to. */
static void look_at_filter(struct diagnosis *r, const struct uplink *u, const struct machine_link *link)
{
    long own = rp_filter(link->name), all = rp_filter("all");
    struct machine_route best;
    struct addr to;

    if (!u->egress.any4 || (own > all ? own : all) != 1 || addr_parse_ip(&to, slice_str(PUBLIC4), 0) < 0 ||
        machine_route_get(&to, &u->egress.source4, 0, &best) < 0 || best.link == link->index)
        return;
    struct finding *f = diagnosis_find(r, SEVERITY_ERROR, "rp-filter-strict", u->name,
                                       "the kernel throws away what comes in by %s", link->name);
    diagnosis_why(f,
                  "rp_filter is strict (1): a packet must come by the link that the best route to its sender "
                  "leaves by, and that is "
                  "another one. Loose (2) suffices against forged senders.");
    char name[IFNAMSIZ];
    name_for_sysctl(link->name, name);
    diagnosis_repair(f, "sysctl -w net.ipv4.conf.%s.rp_filter=2", name);
    diagnosis_undo(f, "sysctl -w net.ipv4.conf.%s.rp_filter=%ld", name, own);
}

void look_at_uplink(struct diagnosis *r, const struct uplink *u, const struct machine *m)
{
    bool by_address = addr_family(&u->address) != AF_UNSPEC;
    const struct machine_link *link =
        by_address ? machine_link_of_addr(m, &u->address) : machine_link_by_name(m, u->interface);

    if (u->upstream && !by_address && !u->interface[0]) {
        char text[UPSTREAM_TEXT_MAX];
        diagnosis_fact(r, u->name, "upstream", "%s, by the machine's own routing",
                       upstream_spec_format(u->upstream, text));
        return;
    }
    if (!link)
        return tell_absent(r, u);
    if (!link->up)
        return tell_down(r, u, link);
    if (!link->carrier) {
        diagnosis_why(diagnosis_find(r, SEVERITY_ERROR, "carrier-none", u->name, "nothing is connected to %s",
                                     link->name),
                      "Look at the cable, or at the device at its other end.");
        return;
    }
    look_at_mtu(r, u, link);
    look_at_addresses(r, u, link);
    if (!u->egress.any4 && !u->egress.any6)
        return;
    look_at_routes(r, u, m, link);
    look_at_filter(r, u, link);
}

/* --- pairs ---------------------------------------------------------------------------------------------- */

static bool same_router(const struct uplink *a, const struct uplink *b, const struct machine *m, char mac[32])
{
    struct addr one, two;
    char other[32];
    bool asked;

    return discover_gateway(a, m, AF_INET, &one) == 0 && discover_gateway(b, m, AF_INET, &two) == 0 &&
           addr_same_ip(&one, &two) && look_up_neighbour(&one, a->interface, mac, &asked) &&
           look_up_neighbour(&two, b->interface, other, &asked) && strcmp(mac, other) == 0;
}

void look_at_pairs(struct diagnosis *r, const struct uplink_set *set, const struct machine *m)
{
    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct uplink *a = set->items[k], *b = set->items[i];
            char mac[32];
            if (strcmp(a->interface, b->interface) == 0 || !same_router(a, b, m, mac))
                continue;
            diagnosis_why(
                diagnosis_find(r, SEVERITY_WARNING, "same-router", b->name,
                               "its router is that of %s: one device, %s", a->name, mac),
                "Both are one line, unless that router has several: two do not carry more than one does.");
        }
}
