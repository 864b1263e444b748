#include "doctor/judge.h"

#include "uplink/parent_spec.h"
#include "uplink/uplink.h"

#include <stdio.h>
#include <string.h>

enum { MTU_MIN = 1280 }; /* RFC 8200 5 */

/* --- what keeps it from serving at all ------------------------------------------------------------------ */

static void tell_absent_uplink(struct diagnosis *d, const struct sight *s)
{
    const struct uplink *u = s->uplink;

    if (addr_family(&u->way.address) != AF_UNSPEC) {
        char text[ADDR_TEXT_MAX];
        diagnosis_why(
            diagnosis_find(d, SEVERITY_ERROR, "address-missing", u->name,
                           "this machine does not have the address %s",
                           addr_format_ip(&u->way.address, text)),
            "Nothing can be sent from an address that the machine does not have. steerway list shows "
            "those it has.");
        return;
    }
    bool commas = !s->near && strchr(u->interface, ',');
    diagnosis_why(
        diagnosis_find(d, SEVERITY_ERROR, "interface-missing", u->name, "interface %s does not exist%s%s%s",
                       u->interface,
                       s->near  ? "; did you mean "
                       : commas ? "; uplinks are separate words, without commas"
                                : "",
                       s->near ? s->near : "", s->near ? "?" : ""),
        "Nothing goes by this uplink until the interface appears. steerway list shows the interfaces.");
}

static void tell_down(struct diagnosis *d, const struct sight *s)
{
    const char *link = s->link->name;
    struct finding *f = diagnosis_find(d, SEVERITY_ERROR, "link-down", s->uplink->name,
                                       "the interface %s is switched off", link);

    diagnosis_why(
        f,
        "Nothing can be sent by it. Its routes were removed with that; set them again by DHCP, or by hand.");
    diagnosis_repair(f, "ip link set %s up", link);
    diagnosis_undo(f, "ip link set %s down", link);
}

static void tell_no_carrier(struct diagnosis *d, const struct sight *s)
{
    diagnosis_why(diagnosis_find(d, SEVERITY_ERROR, "carrier-none", s->uplink->name,
                                 "nothing is connected to %s", s->link->name),
                  "Look at the cable, or at the device at its other end.");
}

static void tell_loopback(struct diagnosis *d, const struct sight *s)
{
    diagnosis_why(
        diagnosis_find(d, SEVERITY_ERROR, "address-loopback", s->uplink->name,
                       "a loopback address reaches this machine only"),
        "Nothing comes back to it from the internet. steerway list shows the addresses of the lines.");
}

static void tell_ambiguous(struct diagnosis *d, const struct sight *s)
{
    char text[ADDR_TEXT_MAX];

    diagnosis_why(
        diagnosis_find(d, SEVERITY_WARNING, "address-ambiguous", s->uplink->name,
                       "both %s and %s have the address %s", s->link->name, s->also->name,
                       addr_format_ip(&s->uplink->way.address, text)),
        "The uplink uses the first interface. To use both, name the interfaces instead of the address.");
}

/* A configured gateway that the machine does not route through disables its family. */
static void judge_gateways(struct diagnosis *d, const struct sight *s)
{
    const struct uplink_gateway *const both[] = {&s->uplink->way.gateway4, &s->uplink->way.gateway6};
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        if (both[i]->failed && !diagnosis_has(d, s->uplink->name, "mark-not-permitted"))
            diagnosis_why(diagnosis_find(d, SEVERITY_ERROR, "gateway-unreachable", s->uplink->name,
                                         "its gateway %s is not in a network of %s",
                                         addr_format_ip(&both[i]->addr, text), s->link->name),
                          "A gateway must be in a network of the interface. The uplink is not used, because "
                          "its packets would take another router.");
}

/* --- what there is -------------------------------------------------------------------------------------- */

static void judge_mtu(struct diagnosis *d, const struct sight *s)
{
    const char *link = s->link->name;

    if (s->mtu == 0)
        return;
    if (s->mtu >= MTU_MIN || !s->line) {
        diagnosis_fact(d, s->uplink->name, "link", "%s, up, MTU %d", link, s->mtu);
        return;
    }
    struct finding *f = diagnosis_find(d, SEVERITY_WARNING, "mtu-small", s->uplink->name,
                                       "packets by %s may have %d bytes at most", link, s->mtu);
    diagnosis_why(f, "IPv6 needs 1280 bytes (RFC 8200). Many sites send larger packets, and pages hang.");
    if (s->link->point_to_point)
        return; /* a tunnel's MTU depends on the links below it */
    diagnosis_repair(f, "ip link set %s mtu 1500", link);
    diagnosis_undo(f, "ip link set %s mtu %d", link, s->mtu);
}

void judge_large_lost(struct diagnosis *d, const struct sight *s)
{
    struct finding *f = diagnosis_find(d, SEVERITY_ERROR, "large-packets-lost", s->uplink->name,
                                       "packets of full size (%d bytes) get lost on the way", s->mtu);

    diagnosis_why(f, "Small packets arrive, so connections open and then hang. With a smaller MTU "
                     "both ends send smaller packets. Packets of 1280 bytes pass everywhere (RFC 8200).");
    if (s->mtu <= MTU_MIN)
        return;
    diagnosis_repair(f, "ip link set %s mtu %d", s->link->name, (int)MTU_MIN);
    diagnosis_undo(f, "ip link set %s mtu %d", s->link->name, s->mtu);
}

static void judge_addresses(struct diagnosis *d, const struct sight *s)
{
    char four[ADDR_TEXT_MAX] = "", six[ADDR_TEXT_MAX] = "";

    if (s->four.used)
        (void)addr_format_ip(&s->four.source, four);
    if (s->six.used)
        (void)addr_format_ip(&s->six.source, six);
    if (four[0] || six[0]) {
        diagnosis_fact(d, s->uplink->name, "address", "%s%s%s", four, four[0] && six[0] ? ", " : "", six);
        return;
    }
    if (diagnosis_has(d, s->uplink->name, "gateway-unreachable") ||
        diagnosis_has(d, s->uplink->name, "mark-not-permitted"))
        return; /* that finding explains the missing address */
    diagnosis_why(diagnosis_find(d, SEVERITY_ERROR, "address-none", s->uplink->name,
                                 "the interface %s has no address", s->link->name),
                  "The line's DHCP server, or its router's advertisements, did not answer: look at the "
                  "cable, the modem and the network manager.");
}

/* --- one uplink ----------------------------------------------------------------------------------------- */

void judge_uplink(struct diagnosis *d, const struct sight *s)
{
    const struct uplink *u = s->uplink;
    bool anywhere = u->parent && addr_family(&u->way.address) == AF_UNSPEC && !u->interface[0];

    if (u->parent) {
        char text[PARENT_TEXT_MAX];
        diagnosis_fact(d, u->name, "upstream", "%s%s", parent_spec_format(u->parent, text),
                       anywhere ? ", by the machine's own routing" : "");
    }
    if (anywhere)
        return;
    if (!s->link)
        return tell_absent_uplink(d, s);
    if (!s->link->up)
        return tell_down(d, s);
    if (s->link->loopback && addr_is_loopback(&u->way.address) && !u->parent)
        return tell_loopback(d, s);
    if (s->line && !s->link->carrier)
        return tell_no_carrier(d, s);
    if (s->also)
        tell_ambiguous(d, s);
    judge_mtu(d, s);
    judge_gateways(d, s);
    judge_addresses(d, s);
    judge_ways(d, s);
}

/* --- pairs ---------------------------------------------------------------------------------------------- */

/* A network has each address and each MAC once. So two links with the same one are on different networks,
 * even when their routers look alike. Two USB modems of one model are such a case. */
static bool on_two_wires(const struct sight *a, const struct sight *b)
{
    return (a->mac[0] && strcmp(a->mac, b->mac) == 0) ||
           (a->four.used && b->four.used && addr_same_ip(&a->four.source, &b->four.source)) ||
           (a->six.used && b->six.used && addr_same_ip(&a->six.source, &b->six.source));
}

/* Whether the uplink's address is translated (NAT) on the way to the internet. */
static bool is_translated(const struct sight *s)
{
    char four[ADDR_TEXT_MAX], six[ADDR_TEXT_MAX];

    return s->seen[0] && strcmp(s->seen, addr_format_ip(&s->four.source, four)) != 0 &&
           strcmp(s->seen, addr_format_ip(&s->six.source, six)) != 0;
}

/* One router usually translates to one address. Two public addresses mean two lines, or a router with
 * several. */
static bool seen_as_two(const struct sight *a, const struct sight *b)
{
    return is_translated(a) && is_translated(b) && strcmp(a->seen, b->seen) != 0;
}

static bool same_router(const struct sight_family *a, const struct sight_family *b)
{
    return a->router_is.state == NEIGHBOUR_KNOWN && b->router_is.state == NEIGHBOUR_KNOWN &&
           a->router_is.mac[0] && strcmp(a->router_is.mac, b->router_is.mac) == 0 &&
           addr_same_ip(&a->router, &b->router);
}

static long strictest(long own, long all)
{
    return own > all ? own : all;
}

static bool answers_for_others(const struct sight *s)
{
    return strictest(s->settings.arp_ignore, s->settings.arp_ignore_all) == 0;
}

static bool in_one_network(const struct sight *a, const struct sight *b)
{
    struct cidr network;

    if (!a->four.used || !b->four.used || a->prefix4 == 0)
        return false;
    cidr_from_addr(&network, &a->four.source, a->prefix4);
    return cidr_contains(&network, &b->four.source);
}

static void judge_arp(struct diagnosis *d, const struct sight *a, const struct sight *b)
{
    char one[DIAGNOSIS_SYSCTL_MAX], two[DIAGNOSIS_SYSCTL_MAX];

    if (!in_one_network(a, b) || !answers_for_others(a) || !answers_for_others(b))
        return;
    struct finding *f = diagnosis_find(d, SEVERITY_WARNING, "arp-for-others", b->uplink->name,
                                       "%s and %s are in one network, and each answers ARP for the other's "
                                       "address",
                                       a->link->name, b->link->name);
    diagnosis_why(f, "A neighbour that asks for one address may get the other interface's hardware address. "
                     "Packets then arrive by the wrong interface, and connections that are bound to "
                     "the right one do not receive them.");
    diagnosis_sysctl_name(a->link->name, one);
    diagnosis_sysctl_name(b->link->name, two);
    diagnosis_repair(f, "sysctl -w net.ipv4.conf.%s.arp_ignore=1 net.ipv4.conf.%s.arp_ignore=1", one, two);
    diagnosis_undo(f, "sysctl -w net.ipv4.conf.%s.arp_ignore=0 net.ipv4.conf.%s.arp_ignore=0", one, two);
}

void judge_pair(struct diagnosis *d, const struct sight *a, const struct sight *b)
{
    if (!a->link || !b->link || a->link->index == b->link->index || !a->line || !b->line ||
        on_two_wires(a, b))
        return;
    judge_arp(d, a, b);
    if (seen_as_two(a, b))
        return;
    const char *mac = same_router(&a->four, &b->four) ? a->four.router_is.mac
                      : same_router(&a->six, &b->six) ? a->six.router_is.mac
                                                      : NULL;
    if (mac)
        diagnosis_why(
            diagnosis_find(d, SEVERITY_WARNING, "same-router", b->uplink->name,
                           "it has the same router as %s: one device, %s", a->uplink->name, mac),
            "Both are one line, unless that router has several lines. Together they carry no more than one.");
}
