/* What is near: the networks that this machine is connected to, and its routers. Traffic to them is left
 * alone. Pure. */
#ifndef STEERWAY_CAPTURE_CAPTURE_NEAR_H
#define STEERWAY_CAPTURE_CAPTURE_NEAR_H

#include "machine/machine.h"

/** @param m           a machine of machine_read; one of machine_read_links has no routers
 *  @param ret         added to; release it also after an error
 *  @return 0, -ENOMEM */
MUST_CHECK int capture_near_find(const struct machine *m, struct cidr_set *ret);

/** Whether programs of this machine can reach the internet by IPv6. */
bool capture_near_has_ipv6(const struct machine *m);

#endif
