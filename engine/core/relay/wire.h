/* Octets from and to a socket with no more copies than must be: they are read into a room that all share and
 * looked at there, and sent from where they lie. Only what has to wait is copied. */
#ifndef STEERWAY_RELAY_WIRE_H
#define STEERWAY_RELAY_WIRE_H

#include "base/buf.h"
#include "relay/pump.h"

#include <sys/types.h>

/** Read once. An empty buffer borrows the room for what comes: buf_keep must follow before anybody else
 *  reads, and nothing may be written to the buffer until then.
 *  @param into  with room for an octet at least, and a max of PUMP_BUFFER_MAX or more
 *  @return octets; 0 for the peer's FIN; -EAGAIN for none at present, -ENOMEM, or another negative errno: the
 *  connection is broken */
MUST_CHECK ssize_t wire_read(int fd, struct buf *into, struct pump_room *room);

/** Send what waits, then more, in one call; what is not taken of both waits.
 *  @param ret_sent  octets that the socket took; 0 on failure
 *  @return 0; -ENOBUFS or -ENOMEM: what was not taken finds no room; another negative errno: the connection
 * is broken */
MUST_CHECK int wire_send(int fd, struct buf *waiting, struct slice more, size_t *ret_sent);

#endif
