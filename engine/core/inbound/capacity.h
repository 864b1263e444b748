/* Whether there are descriptors for more clients. Each client needs two of them, and so may each datagram
 * mapping. With those for settings.sessions_max in use, nobody is accepted any more: clients wait in the
 * kernel's queue until others have left. So the clients that are served, the control socket and the resolver
 * never lack any. */
#ifndef STEERWAY_INBOUND_CAPACITY_H
#define STEERWAY_INBOUND_CAPACITY_H

#include "inbound/proxy.h"

void capacity_init(struct proxy *p);
/** Accept clients, or do not, as there is room. For each new client, and when sessions have ended. */
void capacity_look(struct proxy *p);

/** Close the client that has waited longest with its request, when there are too many of them. */
void capacity_bound_strangers(struct proxy *p);

#endif
