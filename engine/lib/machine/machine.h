/* Links, addresses and routes of this machine, as the kernel reports them over rtnetlink. A snapshot;
 * machine_watch.h reports when to take a new one. */
#ifndef STEERWAY_MACHINE_MACHINE_H
#define STEERWAY_MACHINE_MACHINE_H

#include "addr/addr.h"
#include "netlink/link_index.h"

#include <net/if.h>

/* An interface may have several alternative names, which may be longer than IFNAMSIZ. */
enum { MACHINE_NAME_SIZE = LINK_NAME_SIZE };

/** `ip link property add dev LINK altname NAME` */
struct machine_altname {
    int link; /* the link's index */
    char name[MACHINE_NAME_SIZE];
};

struct machine_link {
    int index;
    int master; /* index of its bridge or bond; 0 for none */
    char name[IFNAMSIZ];
    char kind[16]; /* IFLA_INFO_KIND: "" for hardware, "veth", "bridge", "ppp", "tun", … */
    bool up;       /* IFF_UP: the administrator switched it on */
    bool carrier;  /* IFF_RUNNING: operational */
    bool loopback, point_to_point;
    bool default4, default6;        /* a default route uses it, in any table */
    struct addr gateway4, gateway6; /* the gateway of the best default route; AF_UNSPEC for none */
    uint32_t table4, table6;        /* the table of that route; 0 for none */
    bool temporary6;                /* temporary IPv6 addresses are preferred (use_tempaddr is 2) */
};

struct machine_addr {
    int link;         /* the link's index */
    struct addr addr; /* port 0 */
    uint8_t prefix;   /* bits */
    uint8_t scope;    /* RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, … */
    bool temporary, deprecated, tentative;
};

struct machine {
    struct machine_link *links;
    size_t n_links;
    struct machine_addr *addrs;
    size_t n_addrs;
    struct machine_altname *altnames;
    size_t n_altnames;
};

/** Read links, addresses and default routes. @return 0 or negative errno (-EINTR if the machine changed
 * during each of several tries); ret is untouched on failure */
MUST_CHECK int machine_read(struct machine *ret);
/** The same without default routes, for frequent use. The kernel reports them only among all routes, and a
 * router may have a million. */
MUST_CHECK int machine_read_links(struct machine *ret);
void machine_done(struct machine *m);

/** By name or alternative name; NULL for none. */
const struct machine_link *machine_link_by_name(const struct machine *m, const char *name);
/** The name of the link, other than loopback, that a mistyped name probably means; NULL for none. */
const char *machine_link_nearest(const struct machine *m, const char *name);
const struct machine_link *machine_link_by_index(const struct machine *m, int index);
/** The link that has this address, or NULL; an up link is preferred. An IPv4 address on a loopback link
 * stands for its whole network (127.0.0.0/8). Tentative addresses do not count. */
const struct machine_link *machine_link_of_addr(const struct machine *m, const struct addr *a);
/** Whether clients can connect to it: an address of a link that is up, loopback, or the unspecified address.
 */
bool machine_can_listen(const struct machine *m, const struct addr *a);
/** Whether addresses of this link belong to a line. Those of loopback and dummy links belong to the machine,
 * and are used through other links. */
bool machine_link_is_line(const struct machine_link *link);
enum { MACHINE_SOURCES_MAX = 16 };

/** The link's possible source addresses of a family, best first (RFC 6724 5, the rules that depend on the
 * address only). Global scope precedes link scope (IPv4 only), preferred precedes deprecated, and public
 * precedes unique local (RFC 4193). Last, temporary precedes stable if `temporary` is true, else stable
 * precedes temporary. Equal ones keep the kernel's order, in which the primary address is first. Tentative
 * addresses, and those that another machine uses, are left out.
 *  @return the number, at most MACHINE_SOURCES_MAX */
size_t machine_sources(const struct machine *m, int link_index, int family, bool temporary,
                       const struct addr *ret[MACHINE_SOURCES_MAX]);
/** The best of them, with the link's setting for temporary addresses; NULL for none. */
const struct addr *machine_source(const struct machine *m, int link_index, int family);

struct machine_route {
    int link;            /* index of the link that the packet would leave by */
    struct addr gateway; /* AF_UNSPEC: the destination is on the link */
    struct addr source;  /* the given one, or the kernel's choice */
};

/** A packet from a socket that is bound to source and link, with a mark. */
struct machine_packet {
    const struct addr *to;
    const struct addr *source; /* NULL: any */
    int link;                  /* an index; 0: any */
    uint32_t mark;             /* 0: none */
};

/** A public address, to ask for the route to the internet. Nothing is ever sent to it.
 *  @param family  AF_INET or AF_INET6 @return 0, -EINVAL */
MUST_CHECK int machine_internet(int family, struct addr *ret);

/** Find out whether a route to packet->to exists, and which source it names (`src`, RTA_PREFSRC).
 *  @param ret_source  AF_UNSPEC if the route names none
 *  @return as machine_route_get */
MUST_CHECK int machine_route_hint(const struct machine_packet *packet, struct addr *ret_source);

/** Ask the kernel where such a packet would leave (RTM_GETROUTE). Sends nothing. A link without a route to
 * the destination gives -ENETUNREACH, although Linux would look for an IPv4 destination among that link's
 * neighbours.
 *  @return 0, -ENETUNREACH or another negative errno, as connect() would give */
MUST_CHECK int machine_route_get(const struct machine_packet *packet, struct machine_route *ret);

/** Ask the kernel which link reaches `to` without a router. A default route does not count, even without a
 * gateway (ppp, tunnels), as it leads to the whole internet. Sends nothing.
 *  @param ret_link  the link's index, or 0 if `to` is this machine
 *  @return 0, -ENETUNREACH if `to` is not a neighbour, or another negative errno, as connect() would give */
MUST_CHECK int machine_neighbour(const struct addr *to, int *ret_link);

#endif
