/* What may reach a server twice. Octets that travel with a SYN may (RFC 7413 2.1): by a network that doubles
 * the packet, or because a connection that never came about has delivered them all the same. */
#ifndef STEERWAY_PROTO_REPLAY_H
#define STEERWAY_PROTO_REPLAY_H

#include "base/slice.h"

#include <stdbool.h>

/** Whether a server that hears these octets first, and then once more on another connection, does nothing
 *  twice: they begin a TLS handshake, whose replay the protocol itself defends against (RFC 8446 8), or they
 *  are the head of one HTTP request with a safe method (RFC 9110 9.2.1), and nothing else. Pure.
 *  @param first  all that waits to be sent */
bool replay_is_safe(struct slice first);

#endif
