/* A listening TCP socket that hands out accepted clients. */
#ifndef STEERWAY_NET_LISTENER_H
#define STEERWAY_NET_LISTENER_H

#include "addr/addr.h"

#include <ev.h>

/** What to do with an address that this machine does not have. */
enum listener_absent {
    LISTENER_REFUSES,
    LISTENER_WAITS, /* bind it with IP_FREEBIND: clients can connect as soon as the machine has it */
};

struct listener_kind {
    enum listener_absent absent;
    bool transparent; /* take connections to any address, which TPROXY sends; needs CAP_NET_ADMIN */
    bool beside;      /* another listener, which shares its port meanwhile, has the port at other addresses */
    const int *bound; /* a socket that is bound already, and is taken; NULL: open one */
};

struct listener;

/** fd is non-blocking, close-on-exec, with TCP_NODELAY and keepalives; the callee owns it. It may close the
 * listener, but not free it. */
typedef void listener_accept_fn(struct listener *l, int fd, const struct addr *peer);
/** Accepting failed for lack of descriptors or memory (err is a positive errno). The listener pauses for 100
 * ms, so that it does not spin; clients that wait stay in the queue. */
typedef void listener_starved_fn(struct listener *l, int err);

struct listener {
    ev_io io;
    ev_timer pause;
    struct ev_loop *loop;
    struct addr addr; /* with the port that was bound */
    listener_accept_fn *accepted;
    listener_starved_fn *starved;
    unsigned last_turn; /* the loop's latest turn in which clients came */
    bool held;          /* by listener_hold */
    bool absent;        /* the machine lacked the address at listener_open; the owner keeps it up to date */
    bool open;
};

/** Bind and listen. With port 0 the kernel chooses one, and l->addr has it. IPv6 sockets are IPv6 only.
 *  @return 0 or negative errno; -EPERM without the right to be transparent. Nothing stays open on failure */
MUST_CHECK int listener_open(struct listener *l, struct ev_loop *loop, const struct addr *addr,
                             const struct listener_kind *kind, listener_accept_fn *accepted,
                             listener_starved_fn *starved);
/** Listen on a socket that is bound, such as one of egress_socket; takes fd, on failure too. Without a bound
 * port the kernel chooses one. @return 0 or negative errno */
MUST_CHECK int listener_open_on(struct listener *l, struct ev_loop *loop, int fd,
                                listener_accept_fn *accepted, listener_starved_fn *starved);
/** Accept nobody until further notice; clients that come wait in the queue. Harmless if closed. */
void listener_hold(struct listener *l, bool held);
/** Let a listener of other addresses bind the same port, such as one of every address. Only while that is
 * opened, since programs of the same user could do so too. @return 0 or negative errno */
MUST_CHECK int listener_share_port(struct listener *l, bool on);
/** Accept the clients that wait, before it is closed: else they would be reset. */
void listener_take_waiting(struct listener *l);
/** Harmless if closed or zero-initialised. */
void listener_close(struct listener *l);

#endif
