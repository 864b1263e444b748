/* The proxy: what all sessions share, the listeners that make sessions, and their common end. */
#ifndef STEERWAY_INBOUND_PROXY_H
#define STEERWAY_INBOUND_PROXY_H

#include "access/access.h"
#include "access/guesses.h"
#include "base/list.h"
#include "base/log.h"
#include "inbound/dead_lines.h"
#include "machine/addr_places.h"
#include "net/listen_place.h"
#include "net/listener.h"
#include "outbound/outbounds.h"
#include "relay/tunnel.h"

#include <ev.h>

enum { PROXY_LISTENERS_MAX = LOOPS_LISTENERS_MAX };
/* Log lines of one kind in ten seconds; how many were held back is told by the next. */
enum { PROXY_LINES_IN_WINDOW = 5 };

struct proxy_settings {
    const struct access *access;
    double handshake_timeout_s; /* from accept, or a request's first byte, to its last */
    double ack_timeout_s;       /* for which sent data may stay unacknowledged (ack_wait.h); 0: for ever */
    double cut_after_s;         /* that a line is down, before what is open on it is reset; 0: never */
    size_t strangers_max;       /* clients that have not been let through yet, at a time */
    double idle_timeout_s;      /* silence after which a relayed connection is closed */
};

struct proxy_listener {
    struct listener listener; /* not open while the link of its place is awaited */
    struct listen_place place;
    struct proxy *proxy;
    char text[LISTEN_TEXT_MAX]; /* "address:port", the policy's conn.listener */
};

struct proxy {
    struct ev_loop *loop;
    struct outbounds outbounds;
    struct proxy_settings settings;
    struct workers workers; /* they carry the tunnels */

    struct proxy_listener listeners[PROXY_LISTENERS_MAX];
    size_t n_listeners;
    struct wheel deadlines; /* of sessions */
    struct list sessions;   /* alive */
    struct list strangers;  /* those of the sessions that have not been let through, the first first */
    size_t n_strangers;
    struct list dead; /* ended in this turn of the loop, freed before the next */
    size_t n_sessions;
    bool draining;
    ev_prepare reaper;
    struct dead_lines dead_lines;
    struct guesses guesses;
    struct log_limit refusal_limit, rejection_limit, guess_limit, starvation_limit;
    /** Called when draining and no session is left; may be NULL. */
    void (*drained)(struct proxy *p);
};

/** What the pointers in both lead to must outlive the proxy. @param outbounds  without loops, recorder,
 * checks */
void proxy_init(struct proxy *p, const struct outbounds *outbounds, const struct proxy_settings *settings);

/** Listen there. Port 0 takes a free one; *ret_bound tells which. Where the link is absent nobody listens
 * yet, and proxy_follow_place makes up for it. @return 0 or negative errno */
MUST_CHECK int proxy_listen(struct proxy *p, const struct listen_place *place, enum listener_absent absent,
                            struct addr *ret_bound);
/** Which port one whose link is awaited will take. */
void proxy_set_port(struct proxy_listener *l, uint16_t port);
/** Where the link of a link-local address has come, or come back with another number, listen on that. Does
 *  nothing for other addresses, and while the link is away.
 *  @return 0, or negative errno; then nobody listens there any more */
MUST_CHECK int proxy_follow_place(struct proxy_listener *l);

/** Listen nowhere any more, and forget the listeners, so that others may be made. */
void proxy_unlisten(struct proxy *p);

/** Take no more clients and requests, let running ones finish, then call drained (at once if there are none).
 */
void proxy_drain(struct proxy *p);

/** End what goes by this uplink, with a reset.
 *  @param u       NULL: what goes direct
 *  @param change  only what comes from an address that was lost in it; NULL: all of it
 *  @return how many */
size_t proxy_cut(struct proxy *p, const struct uplink *u, const struct addr_change *change);

/** An uplink has lost its link or its addresses: what is trying to connect by it tries another one, or fails.
 */
void proxy_lose_uplink(struct proxy *p, const struct uplink *u);

/** End every session now. */
void proxy_stop(struct proxy *p);

/** After proxy_stop: frees what is left. */
void proxy_done(struct proxy *p);

#endif
