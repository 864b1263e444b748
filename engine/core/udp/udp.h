/* Datagrams, as the main loop sees them: ports that clients send to, and the mappings by which they leave.
 * The room `datagram` moves the datagrams; this one decides. */
#ifndef STEERWAY_UDP_UDP_H
#define STEERWAY_UDP_UDP_H

#include "base/log.h"
#include "datagram/datagram_room.h"
#include "datagram/port.h"
#include "datagram/shares.h"
#include "outbound/outbounds.h"
#include "relay/tunnel.h"
#include "udp/udp_index.h"
#include "udp/udp_learned.h"
#include "udp/udp_settings.h"

#include <ev.h>

struct addr_change;
struct outbound;
struct udp_port;
struct uplink;

/** The end of a DNS exchange: a resolver has given up by then (RFC 5452 section 10 wants ports that change).
 */
#define UDP_DNS_IDLE_S 10.

struct udp {
    struct ev_loop *loop;
    struct outbounds *outbounds;
    struct workers *workers;
    struct udp_settings settings;
    struct workers_guest guest;
    /** It is idle again (udp_is_idle); may be NULL. */
    void (*ended)(struct udp *u);
    struct mailbox news;
    struct datagram_room *rooms[WORKERS_MAX];
    size_t n_rooms;
    bool started;
    struct list ports;
    size_t n_ways, n_associations;
    struct shares mappings;          /* all that do not end, by client */
    struct contacts associations_of; /* holders: by client address */
    struct udp_index by_client;      /* mappings of all of a client's destinations: by port */
    struct udp_index by_hint;        /* associations of fixed ports; hint 0: any port */
    struct udp_index by_source;      /* our sockets, where datagrams are captured */
    ev_timer tick;                   /* runs while there are mappings */
    struct udp_learned learned;      /* of captured clients */
    uint16_t *own_ports;             /* how many of our sockets have each port; NULL: nothing is captured */
    struct log_limit refusal_limit, cap_limit;
    /* What each uplink has brought, and when that changed: */
    struct udp_line {
        double received, heard_s;    /* bytes */
        double answers, answered_s;  /* to connections and checks */
    } lines[UPLINK_MAX][2];          /* of IPv4, or of a parent proxy, and of IPv6 */
    bool names_answered[UPLINK_MAX]; /* its name server has answered captured questions */
};

/** Pointers must outlive it. It must not move afterwards. Call it before workers_start.
 *  @return 0 or negative errno */
MUST_CHECK int udp_init(struct udp *u, struct outbounds *outbounds, struct workers *workers,
                        const struct udp_settings *settings);
/** The workers run, or none is wanted: from now on forwards are served. */
void udp_start(struct udp *u);
/** Take other settings; mappings and ports that are open keep theirs. */
void udp_settle(struct udp *u, const struct udp_settings *settings);
/** End all ports. Call it before workers_stop. */
void udp_stop(struct udp *u);
/** Call it after workers_stop. */
void udp_done(struct udp *u);

/** A client's right to use a port: a SOCKS association, or anybody's right to use a forward. */
struct udp_association;

struct udp_request {
    struct addr at;       /* the address of the control connection; its port does not count */
    struct addr client;   /* datagrams are taken from its address */
    uint16_t hint;        /* the port that it will send from; 0: unknown */
    const char *user;     /* NULL for none */
    const char *listener; /* text; must outlive the association */
};

/** Open an association for a client of SOCKS.
 *  @param ret_at  the port's address, as the client is to be told
 *  @return 0; -EMFILE, -EADDRINUSE, … of the socket; -EDQUOT: the client has too many; -EEXIST: another
 * association of that address uses the fixed port, and the hints do not tell them apart; -ELOOP: it is one of
 * our own connections to a parent proxy; -ENOMEM */
MUST_CHECK int udp_associate(struct udp *u, const struct udp_request *request, struct udp_association **ret,
                             struct addr *ret_at);
/** End it, and its mappings. It is freed later. NULL is allowed. */
void udp_association_close(struct udp_association *a);
/** Bytes from and to its client, so far. */
uint64_t udp_association_moved(const struct udp_association *a);

/** A port that serves any client that it admits, until udp_service_close or udp_stop. All must outlive the
 * struct udp. */
struct udp_service {
    bool (*admits)(void *arg, const struct addr *client);
    void *arg;
    const char *listener; /* text */
    bool waits;           /* for an address that this machine lacks; else it is an error */
    const int *bound;     /* a socket that is bound already, and is taken; NULL: open one */
};

/** Serve a forward: all datagrams to `at` go to one destination.
 *  @return 0, or negative errno of the socket, -ENOMEM */
MUST_CHECK int udp_forward(struct udp *u, const struct addr *at, const struct target *to,
                           const struct udp_service *service, struct udp_port **ret, struct addr *ret_at);

struct udp_tproxy {
    bool resolve;  /* go to the name that a client sent, instead of to the address */
    double peek_s; /* wait for that name at most; 0: do not look for one */
    uint32_t mark; /* of replies, so that they are not captured; 0 for none */
};

/** Serve captured datagrams, which TPROXY sends to `at`. Needs CAP_NET_ADMIN.
 *  @return 0, or negative errno: -EPERM, of the socket, -ENOMEM */
MUST_CHECK int udp_tproxy(struct udp *u, const struct addr *at, const struct udp_tproxy *how,
                          const struct udp_service *service, struct udp_port **ret, struct addr *ret_at);

/** End a port of those two, and its mappings. */
void udp_service_close(struct udp_port *p);

/** Whether no association is left, not even one that ends, and no mapping. Ports that serve anybody stay
 * open.
 */
bool udp_is_idle(const struct udp *u);

/** Use a socket that another process has opened as a fixed port of associations. Takes fd. For before
 * udp_start.
 *  @return 0; -EINVAL where this is not the fixed port; or another negative errno */
MUST_CHECK int udp_take_fixed(struct udp *u, int fd);

/** The descriptor of the socket that such a port, or that of udp_fixed_port, has; borrowed. */
int udp_port_socket(const struct udp_port *p);
/** @return the i-th fixed port, as udp_fixed_port; NULL: no more */
const struct udp_port *udp_fixed(const struct udp *u, size_t i);

/** End mappings by this uplink: the next datagram of their client makes a new one.
 *  @param u       NULL: those that go direct
 *  @param change  only mappings from an address that was lost in it; NULL: all
 *  @return their number */
size_t udp_cut(struct udp *udp, const struct uplink *u, const struct addr_change *change);

/** A mapping, by its account: "connecting" (a parent proxy is asked), "open", or "ending". */
const char *udp_mapping_state(const struct outbound *account);
/** End it: the next datagram of its client makes a new one. @param outcome  a constant text
 *  @return false: it is ending already */
bool udp_mapping_close(struct outbound *account, const char *outcome);

/** The fixed ports of associations that are open: the i-th, one for each address of this machine that a
 * client has associated at. @return NULL: no more */
const struct addr *udp_fixed_port(const struct udp *u, size_t i);

/** For status. */
struct udp_counts {
    size_t associations, mappings;
    uint64_t moved, in_fragments, drops[N_DATAGRAM_DROPS]; /* datagrams */
};
struct udp_counts udp_counts(const struct udp *u);

#endif
