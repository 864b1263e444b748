/* The proxy: data shared by all sessions, the listeners that make sessions, and draining and stopping. */
#ifndef STEERWAY_INBOUND_PROXY_H
#define STEERWAY_INBOUND_PROXY_H

#include "access/access.h"
#include "access/guesses.h"
#include "access/limits.h"
#include "access/verifier.h"
#include "base/list.h"
#include "base/log.h"
#include "inbound/dead_lines.h"
#include "machine/addr_places.h"
#include "net/listen_place.h"
#include "net/listener.h"
#include "outbound/outbounds.h"
#include "relay/tunnel.h"
#include "udp/udp.h"

#include <ev.h>

enum { PROXY_LISTENERS_MAX = LOOPS_LISTENERS_MAX };
/* Log lines of one kind in ten seconds; the next line has the number of hidden ones. */
enum { PROXY_LINES_IN_WINDOW = 5 };

struct front;
struct pac;

struct proxy_settings {
    const struct front *const *fronts; /* that a client's first byte chooses from (front.h) */
    const struct access *access;
    const struct access *unasked; /* clients of listeners with a front of their own; NULL: as access says */
    const struct cidr_set *balancers; /* that may send PROXY headers (gate.h); NULL: none */
    const struct pac *pac;            /* the script for browsers (http/pac.h); NULL: there is none */
    const struct cidr_set *bind_from; /* clients that may let a peer connect (SOCKS BIND) */
    double handshake_timeout_s;       /* seconds from accept, or from a request's first byte, to its last */
    double ack_timeout_s;             /* limit for unacknowledged data (ack_wait.h); 0: none */
    double cut_after_s;    /* time that a line is down before its connections are reset; 0: never */
    size_t strangers_max;  /* limit of clients that have had no request accepted yet */
    size_t sessions_max;   /* that the descriptors suffice for; 0: any number */
    double idle_timeout_s; /* silence after which a relayed connection is closed */
};

/** What a listener is for. Zeroes: a proxy, where the client's first byte chooses the front. */
struct proxy_use {
    const struct front *front; /* serves each client from accept on, before a byte comes; NULL: a proxy */
    const void *setting;       /* the front's, for this listener, which makes a copy */
    size_t setting_size;       /* bytes */
    bool proxy_header;         /* a balancer's header comes first (gate.h) */
    bool transparent;          /* accept connections to any address, which TPROXY sends (IP_TRANSPARENT) */
    bool beside;               /* one of our listeners has the port at other addresses (listener.h) */
    bool own_clients;          /* admit this machine's own addresses as clients, whatever --allow says */
    const char *name;          /* "forward", "redirect", "tproxy"; NULL: a proxy */
};

struct proxy_listener {
    struct listener listener; /* not open while the link of its place is missing */
    struct listen_place place;
    struct listen_place asked; /* the place as the user gave it: port 0 stays */
    struct proxy_use use;      /* its setting is the listener's own */
    uint32_t wave;             /* for its owner: the reading of the config that wants it */
    bool fresh;                /* for its owner: opened in that wave */
    struct proxy *proxy;
    struct udp_port *port;      /* of one that takes datagrams, in place of a listening socket; else NULL */
    size_t clients;             /* sessions that came by it */
    bool removed;               /* it takes no new clients, and is freed after the last one */
    struct list node;           /* in the proxy's removed_listeners */
    char text[LISTEN_TEXT_MAX]; /* "address:port", the policy's conn.listener */
};

struct proxy {
    struct ev_loop *loop;
    struct outbounds outbounds;
    struct proxy_settings settings;
    struct workers workers; /* carry the tunnels */
    struct udp udp;         /* unused until proxy_open_udp */

    struct proxy_listener *listeners[PROXY_LISTENERS_MAX];
    size_t n_listeners;
    struct proxy_listener *udp_listeners[PROXY_LISTENERS_MAX];
    size_t n_udp_listeners;
    struct list removed_listeners;
    struct wheel deadlines; /* of all sessions */
    struct list sessions;   /* alive */
    struct list strangers;  /* sessions without an accepted request, the oldest first */
    size_t n_strangers;
    struct list dead; /* closed in this turn of the loop, freed before the next */
    size_t n_sessions;
    bool draining;    /* no more clients; HTTP ends after each response */
    bool yielded;     /* draining, but another process takes the clients: those that are here are served */
    bool full;        /* the descriptors suffice for no more clients (capacity.h) */
    ev_timer waiting; /* while full */
    ev_prepare reaper;
    struct dead_lines dead_lines;
    struct guesses guesses;
    struct verifier *verifier; /* made by the first check; NULL before */
    struct limits limits;
    struct log_limit limit_lines[N_LIMITS];
    struct log_limit refusal_limit, balancer_limit, header_limit, rejection_limit, guess_limit,
        starvation_limit, stranger_limit, capture_limit;
    /** Called while draining, when the last session has ended; may be NULL. */
    void (*drained)(struct proxy *p);
};

/** The targets of pointers in both structs must outlive the proxy. @param outbounds  without loops,
 * recorder, checks */
void proxy_init(struct proxy *p, const struct outbounds *outbounds, const struct proxy_settings *settings);

/** Let clients send datagrams. Call it before the workers start. @return 0 or negative errno */
MUST_CHECK int proxy_open_udp(struct proxy *p, const struct udp_settings *settings);

/** Accept no more clients and requests, let running ones finish, then call drained (at once if there are
 * none). */
void proxy_drain(struct proxy *p);

/** Another process serves the listeners from now on, by the same sockets. Clients that have been accepted are
 * served to their end, those that have not sent a request yet, too. Associations end, so that their clients
 * make new ones there. Then drained is called, as above. */
void proxy_yield(struct proxy *p);

/** End connections by this uplink with a reset.
 *  @param u       NULL: direct connections
 *  @param change  only connections from an address that was lost in it; NULL: all
 *  @return their number */
size_t proxy_cut(struct proxy *p, const struct uplink *u, const struct addr_change *change);

/** An uplink has lost its link or addresses: its running attempts try another uplink, or fail. */
void proxy_lose_uplink(struct proxy *p, const struct uplink *u);

/** End every session now. */
void proxy_stop(struct proxy *p);

/** Call it after proxy_stop: frees the rest. */
void proxy_done(struct proxy *p);

#endif
