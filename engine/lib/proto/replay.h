/* Which data may reach a server twice. Data in a SYN may (RFC 7413 2.1): the network can duplicate the
 * packet, or a failed connection may have delivered it. */
#ifndef STEERWAY_PROTO_REPLAY_H
#define STEERWAY_PROTO_REPLAY_H

#include "base/slice.h"

#include <stdbool.h>

/** Whether a server that gets these bytes, and then again on another connection, does nothing twice. True for
 * the start of a TLS handshake, as TLS itself defends against replay (RFC 8446 8). True also for exactly one
 * head of an HTTP request with a safe method (RFC 9110 9.2.1). Pure.
 *  @param first  all data that waits to be sent */
bool replay_is_safe(struct slice first);

#endif
