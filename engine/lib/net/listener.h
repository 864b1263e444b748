/* A listening TCP socket that hands out accepted clients. */
#ifndef STEERWAY_NET_LISTENER_H
#define STEERWAY_NET_LISTENER_H

#include "addr/addr.h"

#include <ev.h>

/** What becomes of an address that this machine does not have. */
enum listener_absent {
    LISTENER_REFUSES,
    LISTENER_WAITS, /* clients can come as soon as the machine has it, without anybody's doing (IP_FREEBIND)
                     */
};

struct listener;

/** fd is non-blocking, close-on-exec, TCP_NODELAY, with keepalives; the callee owns it. It may close the
 * listener, but not free it. */
typedef void listener_accept_fn(struct listener *l, int fd, const struct addr *peer);
/** Accepting failed for want of descriptors or memory (err is a positive errno); the listener pauses by
 *  itself for 100 ms, so that it neither spins nor drops those who wait. */
typedef void listener_starved_fn(struct listener *l, int err);

struct listener {
    ev_io io;
    ev_timer pause;
    struct ev_loop *loop;
    struct addr addr; /* with the port in fact bound */
    listener_accept_fn *accepted;
    listener_starved_fn *starved;
    unsigned last_turn; /* of the loop, in which clients came */
    bool absent; /* the machine did not have the address when it was opened; the owner keeps it up to date */
    bool open;
};

/** Bind and listen. Port 0 takes a free one; l->addr then tells it. IPv6 sockets are IPv6 only.
 *  @return 0 or negative errno; nothing stays open on failure */
MUST_CHECK int listener_open(struct listener *l, struct ev_loop *loop, const struct addr *addr,
                             enum listener_absent absent, listener_accept_fn *accepted,
                             listener_starved_fn *starved);
/** Harmless on one that is closed or zero-initialised. */
void listener_close(struct listener *l);

#endif
