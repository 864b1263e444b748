/* Datagrams, as the main loop sees them: ports that clients send to, and the mappings by which they leave.
 * The room `datagram` moves the datagrams; this one decides. */
#ifndef STEERWAY_UDP_UDP_H
#define STEERWAY_UDP_UDP_H

#include "base/log.h"
#include "datagram/contacts.h"
#include "datagram/datagram_room.h"
#include "datagram/port.h"
#include "outbound/outbounds.h"
#include "relay/tunnel.h"

#include <ev.h>

struct addr_change;
struct uplink;

struct udp_settings {
    enum udp_filter filter;
    double idle_s;                      /* silence after which a mapping ends; RFC 4787 REQ-5: 120 or more */
    size_t mappings_max;                /* in all */
    size_t client_mappings_max;         /* for each client address */
    size_t client_ports_max;            /* associations, for each client address */
    uint16_t port_low, port_high;       /* of associations; 0: any free port */
    struct addr advertise4, advertise6; /* told to clients in place of the real address; AF_UNSPEC: not */
};

/** The end of a DNS exchange: a resolver has given up by then (RFC 5452 section 10 wants ports that change).
 */
#define UDP_DNS_IDLE_S 10.

struct udp {
    struct ev_loop *loop;
    struct outbounds *outbounds;
    struct workers *workers;
    struct udp_settings settings;
    struct workers_guest guest;
    /** The last port has ended; may be NULL. */
    void (*ended)(struct udp *u);
    struct mailbox news;
    struct datagram_room *rooms[WORKERS_MAX];
    size_t n_rooms;
    struct list ports;
    size_t n_ways;
    struct contacts mappings_of, ports_of; /* holders: by client address */
    ev_timer tick;                         /* runs while there are mappings */
    struct log_limit refusal_limit, cap_limit;
    double heard[UPLINK_MAX], heard_s[UPLINK_MAX]; /* by uplink: bytes received, and when that changed */
};

/** Pointers must outlive it. It must not move afterwards. Call it before workers_start.
 *  @return 0 or negative errno */
MUST_CHECK int udp_init(struct udp *u, struct outbounds *outbounds, struct workers *workers,
                        const struct udp_settings *settings);
/** End all ports. Call it before workers_stop. */
void udp_stop(struct udp *u);
/** Call it after workers_stop. */
void udp_done(struct udp *u);

struct udp_port_request {
    enum port_kind kind;
    struct addr at;          /* where to listen; port 0: any of settings */
    struct addr client;      /* PORT_SOCKS: the only client */
    const struct target *to; /* PORT_FORWARD */
    const char *user;        /* NULL for none */
    const char *listener;    /* text; must outlive the port */
};

struct udp_port;

/** Open a port. @param ret_at  its address, as clients are to be told
 *  @return 0; -EMFILE, -EADDRINUSE, … of the socket; -EDQUOT: the client has too many ports; -ENOMEM */
MUST_CHECK int udp_port_open(struct udp *u, const struct udp_port_request *request, struct udp_port **ret,
                             struct addr *ret_at);
/** End it, and its mappings. It is freed later. NULL is allowed. */
void udp_port_close(struct udp_port *p);
/** Whether no port is left, not even one that ends. */
bool udp_is_idle(const struct udp *u);
/** Datagrams from and to its clients, so far. */
uint64_t udp_port_moved(const struct udp_port *p);

/** End mappings by this uplink: the next datagram of their client makes a new one.
 *  @param u       NULL: those that go direct
 *  @param change  only mappings from an address that was lost in it; NULL: all
 *  @return their number */
size_t udp_cut(struct udp *udp, const struct uplink *u, const struct addr_change *change);

/** For status. */
struct udp_counts {
    size_t ports, mappings;
    uint64_t moved, in_fragments, drops[N_DATAGRAM_DROPS]; /* datagrams */
};
struct udp_counts udp_counts(const struct udp *u);

#endif
