#include "doctor/sight.h"

#include "base/nearest.h"
#include "machine/routing_rule.h"
#include "uplink/discover.h"
#include "uplink/uplink.h"

#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CAP_BIND = 10, CAP_ADMIN = 12 }; /* values of linux/capability.h */

static long read_number(const char *path)
{
    FILE *f = fopen(path, "re");
    long n = -1;

    if (f && fscanf(f, "%ld", &n) != 1)
        n = -1;
    if (f)
        (void)fclose(f);
    return n;
}

/* --- settings ------------------------------------------------------------------------------------------- */

static long read_setting(const char *family, const char *interface, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof path, "/proc/sys/net/%s/conf/%s/%s", family, interface, name);
    return read_number(path);
}

static void read_settings(struct sight_settings *ret, const char *interface)
{
    *ret = (struct sight_settings){
        .rp_filter = read_setting("ipv4", interface, "rp_filter"),
        .rp_filter_all = read_setting("ipv4", "all", "rp_filter"),
        .arp_ignore = read_setting("ipv4", interface, "arp_ignore"),
        .arp_ignore_all = read_setting("ipv4", "all", "arp_ignore"),
        .ipv6_off = read_setting("ipv6", interface, "disable_ipv6"),
        .ipv6_off_all = read_setting("ipv6", "all", "disable_ipv6"),
        .accept_ra = read_setting("ipv6", interface, "accept_ra"),
        .forwarding6 = read_setting("ipv6", interface, "forwarding"),
    };
}

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

static void read_mac(const struct machine_link *link, char ret[NEIGHBOUR_MAC_TEXT_MAX])
{
    struct ifreq request = {.ifr_mtu = 0};
    const unsigned char *mac = (const unsigned char *)request.ifr_hwaddr.sa_data;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", link->name);
    /* An ipvlan interface has the MAC of the link below it. */
    bool told = fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &request) == 0 &&
                request.ifr_hwaddr.sa_family == ARPHRD_ETHER && strcmp(link->kind, "ipvlan") != 0;
    if (fd >= 0)
        (void)close(fd);
    if (told)
        (void)snprintf(ret, NEIGHBOUR_MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                       mac[3], mac[4], mac[5]);
}

/* Two modems of one model can give this machine the same address. */
static const struct machine_link *other_link_with(const struct machine *m, const struct machine_link *link,
                                                  const struct addr *a)
{
    for (size_t i = 0; i < m->n_addrs; i++)
        if (m->addrs[i].link != link->index && !m->addrs[i].tentative && addr_same_ip(&m->addrs[i].addr, a))
            return machine_link_by_index(m, m->addrs[i].link);
    return NULL;
}

/* --- ways ----------------------------------------------------------------------------------------------- */

/* Most routers use the first address of their network. */
static bool first_of_network(const struct sight *s, struct addr *ret)
{
    if (s->prefix4 == 0 || s->prefix4 >= 31)
        return false;
    *ret = s->four.source;
    uint32_t mask = 0xffffffffu << (32 - s->prefix4);
    ret->in4.sin_addr.s_addr = htonl((ntohl(ret->in4.sin_addr.s_addr) & mask) + 1);
    return !addr_same_ip(ret, &s->four.source);
}

static void look_for_way(struct sight *s, struct sight_family *f, const struct machine *m)
{
    const struct uplink *u = s->uplink;
    bool four = f->family == AF_INET;
    struct machine_route route;
    struct addr to;

    f->table = four ? s->link->table4 : s->link->table6;
    f->barred = routing_rule_barrier(f->family, &f->barrier);
    struct machine_packet p = {.to = &to,
                               .source = &f->source,
                               .link = s->line ? s->link->index : 0,
                               .mark = egress_mark(u->way.mark)};
    if (!f->used || machine_internet(f->family, &to) < 0)
        return;
    f->leaves = machine_route_get(&p, &route) == 0;
    p.mark = u->way.mark;
    if (!f->leaves && p.mark != 0 && machine_route_get(&p, &route) == 0)
        f->bit_apart = egress_own_mark();
    if (f->leaves && s->line && discover_gateway(u, m, f->family, &f->router) == 0)
        f->router_is = neighbour_of(&f->router, s->link->index);
    bool likely =
        four ? first_of_network(s, &f->router_likely) : neighbour_router6(s->link->index, &f->router_likely);
    if (!likely)
        f->router_likely = (struct addr){.sa.sa_family = AF_UNSPEC};
}

/* The kernel's own test for rp_filter: route by source address, without regard to the socket's device. */
static bool is_back_by_other(const struct sight *s)
{
    struct machine_route best;
    struct addr to;

    return s->four.used && machine_internet(AF_INET, &to) == 0 &&
           machine_route_get(&(struct machine_packet){.to = &to, .source = &s->four.source}, &best) == 0 &&
           best.link != s->link->index;
}

static uint8_t prefix_of(const struct machine *m, const struct machine_link *link, const struct addr *a)
{
    for (size_t i = 0; i < m->n_addrs; i++)
        if (m->addrs[i].link == link->index && addr_same_ip(&m->addrs[i].addr, a))
            return m->addrs[i].prefix;
    return 0;
}

static struct sight_family blank_family(const struct uplink *u, int family)
{
    bool used = family == AF_INET ? u->egress.any4 : u->egress.any6;
    struct sight_family f = {.family = family, .used = used, .router.sa.sa_family = AF_UNSPEC};

    f.source.sa.sa_family = f.router_likely.sa.sa_family = AF_UNSPEC;
    if (used)
        f.source = family == AF_INET ? u->egress.source4 : u->egress.source6;
    return f;
}

void sight_of_uplink(struct sight *ret, const struct uplink *u, const struct machine *m)
{
    bool by_address = addr_family(&u->way.address) != AF_UNSPEC;

    *ret = (struct sight){
        .uplink = u,
        .link = uplink_link(u, m),
        .four = blank_family(u, AF_INET),
        .six = blank_family(u, AF_INET6),
    };
    if (!ret->link && !by_address)
        ret->near = machine_link_nearest(m, u->interface);
    if (!ret->link)
        return;
    ret->line = !by_address || machine_link_is_line(ret->link);
    ret->mtu = mtu_of(ret->link->name);
    read_mac(ret->link, ret->mac);
    if (by_address && ret->line)
        ret->also = other_link_with(m, ret->link, &u->way.address);
    if (ret->four.used)
        ret->prefix4 = prefix_of(m, ret->link, &ret->four.source);
    read_settings(&ret->settings, ret->link->name);
    look_for_way(ret, &ret->four, m);
    look_for_way(ret, &ret->six, m);
    ret->back_by_other = ret->line && is_back_by_other(ret);
}

/* --- this process --------------------------------------------------------------------------------------- */

static unsigned long long capabilities(void)
{
    char line[128];
    unsigned long long effective = 0;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "CapEff: %llx", &effective) == 1)
            break;
    if (f)
        (void)fclose(f);
    return effective;
}

void sight_of_self(struct sight_self *ret)
{
    unsigned long long can = capabilities();
    long first = read_number("/proc/sys/net/ipv4/ip_unprivileged_port_start");

    *ret = (struct sight_self){
        .root = geteuid() == 0,
        .may_bind = can >> CAP_BIND & 1,
        .may_administer = can >> CAP_ADMIN & 1,
        .first_port = first < 0 ? 1024 : first,
    };
    if (getrlimit(RLIMIT_NOFILE, &ret->files) < 0)
        ret->files = (struct rlimit){.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    ssize_t len = readlink("/proc/self/exe", ret->program, sizeof ret->program - 1);
    ret->program[len > 0 ? len : 0] = '\0';
}
