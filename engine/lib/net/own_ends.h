/* The ends of connections that this process has begun lately. A captured connection with the same ends was
 * sent by this process itself: rules of the firewall lead it back.
 *
 * Connections bound to a device are left out. They cannot come back: this machine's answer would arrive by
 * loopback, and the kernel drops it. */
#ifndef STEERWAY_NET_OWN_ENDS_H
#define STEERWAY_NET_OWN_ENDS_H

#include "addr/addr.h"

#include <stdbool.h>

/* A connection that comes back is accepted within some turns of the loop, so few are under way at once. If a
 * newer one takes the seat of such a connection, the next turn of the loop is found. */
enum { OWN_ENDS_SEATS = 256 };

/** Zero-initialised: empty. */
struct own_ends {
    struct own_end {
        struct addr from, to;
        double at_s;         /* monotonic */
    } seats[OWN_ENDS_SEATS]; /* by the number of the local port */
};

/** Note a socket that connects, or has connected, to that address. */
void own_ends_note(struct own_ends *e, int fd, const struct addr *to);

/** Whether a connection with these ends was begun lately. */
bool own_ends_have(const struct own_ends *e, const struct addr *from, const struct addr *to);

#endif
