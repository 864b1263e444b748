/* The listeners of the proxy: opened at the start, and opened and removed while it runs. */
#ifndef STEERWAY_INBOUND_PROXY_LISTENERS_H
#define STEERWAY_INBOUND_PROXY_LISTENERS_H

#include "inbound/proxy.h"

/** How a listener comes by its socket. */
struct proxy_opening {
    enum listener_absent absent;
    const int *bound; /* a socket that another process has bound to the place, and is taken; NULL: open one */
};

/** Listen on a place. With port 0 the kernel chooses one, and the listener's place has it. If the link is
 * missing, proxy_follow_place listens later. @param ret  may be NULL  @return 0 or negative errno */
MUST_CHECK int proxy_listen(struct proxy *p, const struct listen_place *place, const struct proxy_use *use,
                            const struct proxy_opening *how, struct proxy_listener **ret);

/** Serve datagrams at a place, whose link must exist: those of a forward, or captured ones.
 *  @param use     for a forward with its destination as the setting; the front is not used
 *  @param tproxy  for captured ones; else NULL
 *  @param ret     may be NULL
 *  @return 0 or negative errno */
MUST_CHECK int proxy_listen_udp(struct proxy *p, const struct listen_place *place,
                                const struct proxy_use *use, const struct udp_tproxy *tproxy,
                                const struct proxy_opening *how, struct proxy_listener **ret);

/** Take no more clients. Sessions that came by it go on; mappings of a UDP port end. */
void proxy_remove_listener(struct proxy_listener *l);

/** Set the port of a listener whose link is missing. */
void proxy_set_port(struct proxy_listener *l, uint16_t port);
/** Listen on a link-local address whose link has come, or has come back with another index. Does nothing
 * for other addresses, and while the link is missing.
 *  @return 0, or negative errno; then the place has no listener any more */
MUST_CHECK int proxy_follow_place(struct proxy_listener *l);

/** Close all listening sockets; the listeners stay known. */
void proxy_close_listeners(struct proxy *p);
/** Free all, when no session is left. */
void proxy_free_listeners(struct proxy *p);

#endif
