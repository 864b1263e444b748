/* The destination that a captured client has asked for, before the kernel sent its connection here. */
#ifndef STEERWAY_NET_ORIGINAL_H
#define STEERWAY_NET_ORIGINAL_H

#include "addr/addr.h"

/** Of a connection that came by REDIRECT or DNAT of this machine, from its connection tracking. A connection
 * that came straight to the listener gives the listener's own address.
 *  @return 0, or negative errno; -ENOENT: the kernel does not track this connection */
MUST_CHECK int original_redirected(int fd, struct addr *ret);

/** Of a connection that came by TPROXY: the address of the accepted socket. @return 0, or negative errno */
MUST_CHECK int original_tproxied(int fd, struct addr *ret);

#endif
