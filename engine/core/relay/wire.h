/* Reads and sends with few copies. Bytes are read into a buffer that all sockets of a loop share, and sent
 * from there. Only bytes that have to wait are copied. */
#ifndef STEERWAY_RELAY_WIRE_H
#define STEERWAY_RELAY_WIRE_H

#include "base/buf.h"
#include "relay/pump.h"

#include <sys/types.h>

/** Read once. An empty buffer borrows the shared room: call buf_keep before another socket is read, and
 *  write nothing to the buffer until then.
 *  @param into  has room for at least one byte, and a max of PUMP_BUFFER_MAX or more
 *  @return bytes; 0 for the peer's FIN; -EAGAIN when none have come, -ENOMEM, or another negative errno: the
 *  connection is broken */
MUST_CHECK ssize_t wire_read(int fd, struct buf *into, struct pump_room *room);

/** Send the waiting bytes, then more, in one call. Bytes that the socket does not take wait.
 *  @param ret_sent  bytes that the socket took; 0 on failure
 *  @return 0; -ENOBUFS or -ENOMEM: no room for bytes that must wait; another negative errno: the connection
 * is broken */
MUST_CHECK int wire_send(int fd, struct buf *waiting, struct slice more, size_t *ret_sent);

#endif
