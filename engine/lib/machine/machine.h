/* What the kernel says of this machine's links, addresses and routes, over rtnetlink. A snapshot;
 * machine_watch.h tells when to take another one. */
#ifndef STEERWAY_MACHINE_MACHINE_H
#define STEERWAY_MACHINE_MACHINE_H

#include "addr/addr.h"
#include "netlink/link_index.h"

#include <net/if.h>

/* An interface may have several names beside its own, and longer ones. */
enum { MACHINE_NAME_SIZE = LINK_NAME_SIZE };

/** `ip link property add dev LINK altname NAME` */
struct machine_altname {
    int link; /* its index */
    char name[MACHINE_NAME_SIZE];
};

struct machine_link {
    int index;
    int master; /* the bridge or bond it is a member of; 0 for none */
    char name[IFNAMSIZ];
    char kind[16]; /* IFLA_INFO_KIND: "" for hardware, "veth", "bridge", "ppp", "tun", … */
    bool up;       /* set up by the administrator */
    bool carrier;  /* operational: IFF_RUNNING */
    bool loopback, point_to_point;
    bool default4, default6;        /* a default route leaves by it, in any table */
    struct addr gateway4, gateway6; /* of the best of those; AF_UNSPEC for none */
    uint32_t table4, table6;        /* in which that stands; 0 for none */
    bool temporary6;                /* temporary IPv6 addresses come first (use_tempaddr is 2) */
};

struct machine_addr {
    int link;         /* its link's index */
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

/** Read links, addresses and default routes. @return 0 or negative errno (-EINTR when the machine changed
 * under every try); ret untouched on failure */
MUST_CHECK int machine_read(struct machine *ret);
/** The same without the default routes, which the kernel tells only among all others: a router may have a
 *  million. For who looks often. */
MUST_CHECK int machine_read_links(struct machine *ret);
void machine_done(struct machine *m);

/** By its own name, or by an alternative one. */
const struct machine_link *machine_link_by_name(const struct machine *m, const char *name);
/** The name of a link that a mistyped one was probably meant to be; NULL for none. Loopback serves nobody. */
const char *machine_link_nearest(const struct machine *m, const char *name);
const struct machine_link *machine_link_by_index(const struct machine *m, int index);
/** The link that has this address, or NULL. On a loopback link an IPv4 address has its whole network with it
 *  (127.0.0.0/8); a tentative address is not had yet. Of several links, one that is up. */
const struct machine_link *machine_link_of_addr(const struct machine *m, const struct addr *a);
/** Whether clients can come to it: an address of a link that is up, loopback, or all addresses. */
bool machine_can_listen(const struct machine *m, const struct addr *a);
/** Whether an address of this link belongs to the line that the link is. Those of loopback and dummy links
 *  belong to the machine, and are used through its other links. */
bool machine_link_is_line(const struct machine_link *link);
enum { MACHINE_SOURCES_MAX = 16 };

/** The link's addresses of a family that may be a source, best first (RFC 6724 5, as far as it depends on the
 *  address alone): global scope before link scope (IPv4 alone), preferred before deprecated, public before
 *  unique local (RFC 4193), and temporary before stable where `temporary` says so. Equals stand as the kernel
 *  lists them: the primary address first. A tentative address, or one that another machine has, is none.
 *  @return how many, at most MACHINE_SOURCES_MAX */
size_t machine_sources(const struct machine *m, int link_index, int family, bool temporary,
                       const struct addr *ret[MACHINE_SOURCES_MAX]);
/** The best of them, by the link's own use of temporary addresses; NULL for none. */
const struct addr *machine_source(const struct machine *m, int link_index, int family);

struct machine_route {
    int link;            /* by which it would leave */
    struct addr gateway; /* AF_UNSPEC: taken to be on the link */
    struct addr source;  /* the one given, or that the kernel would prefer */
};

/** A packet of a socket that is bound to source and link, and marked. */
struct machine_packet {
    const struct addr *to;
    const struct addr *source; /* NULL: any */
    int link;                  /* an index; 0: any */
    uint32_t mark;             /* 0: none */
};

/** An address of the internet that packets are asked about; nothing is ever sent there.
 *  @param family  AF_INET or AF_INET6 @return 0, -EINVAL */
MUST_CHECK int machine_internet(int family, struct addr *ret);

/** Whether a route leads there, and which source that route itself names (`src`, RTA_PREFSRC).
 *  @param ret_source  AF_UNSPEC where it names none @return as machine_route_get */
MUST_CHECK int machine_route_hint(const struct machine_packet *packet, struct addr *ret_source);

/** Ask the kernel where such a packet would leave (RTM_GETROUTE). Sends nothing. A link by which no route
 *  leads there is -ENETUNREACH, though Linux would look for an IPv4 destination among that link's neighbours.
 *  @return 0, -ENETUNREACH and other negative errnos, as connect() would give them */
MUST_CHECK int machine_route_get(const struct machine_packet *packet, struct machine_route *ret);

/** Ask the kernel by which link `to` is reached without a router. Neither a route by a gateway nor a default
 *  route makes it a neighbour: a default route without a gateway (ppp, tunnels) has the whole internet behind
 *  it. Sends nothing.
 *  @param ret_link  the link's index, or 0 when `to` is this machine itself
 *  @return 0, -ENETUNREACH when it is no neighbour, and other negative errnos, as connect() would give them
 */
MUST_CHECK int machine_neighbour(const struct addr *to, int *ret_link);

#endif
