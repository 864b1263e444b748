/* Waits for one connection from a peer, on an address of the egress (SOCKS BIND). What comes by another link,
 * or from another peer, is not accepted. */
#ifndef STEERWAY_OUTBOUND_AWAIT_H
#define STEERWAY_OUTBOUND_AWAIT_H

#include "base/fault.h"
#include "net/dialer.h"
#include "net/listener.h"

struct await;

/** Whether a peer that has connected is the one. If not, it is reset, and the wait goes on. It must not end
 * the wait. */
typedef bool await_admits_fn(struct await *w, const struct addr *peer);
/** The end, called once, from the loop. fd is connected and the callee's, or -1 with FAULT_TIMEOUT. The
 * callee may free w. */
typedef void await_done_fn(struct await *w, enum fault fault, int fd);

struct await {
    struct ev_loop *loop;
    void *owner; /* the caller's */
    await_admits_fn *admits;
    await_done_fn *done;
    struct listener listener;
    ev_timer timer; /* the deadline; later it reports the peer */
    struct addr peers[DIAL_ADDRS_MAX];
    size_t n_peers;   /* 0: anybody */
    struct addr peer; /* that was admitted */
    int fd;           /* its connection, before it is reported; -1 for none */
};

/** Listen. The address, with its port, is w->listener.addr: never an unspecified one.
 *  @param peers  n > 0 addresses, of which those of the first one's family count; an unspecified address
 *  stands for anybody
 *  @return FAULT_NONE; on another fault nothing is left, and done is not called */
MUST_CHECK enum fault await_start(struct await *w, struct ev_loop *loop, const struct egress *egress,
                                  const struct addr *peers, size_t n, double timeout_s);

/** Whether a connection of this address is awaited. */
bool await_expects(const struct await *w, const struct addr *peer);

/** Stop without calling done. Harmless when it is zero-initialised or has ended. */
void await_cancel(struct await *w);

#endif
