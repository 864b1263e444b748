/* A peer that vanished without a word is found out: destinations and clients alike. Two system calls: not for
 * connections that may be over in a moment. A listener's sockets hand it down to its clients'. */
#ifndef STEERWAY_NET_KEEPALIVE_H
#define STEERWAY_NET_KEEPALIVE_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* After a few minutes, not Linux's two hours; seldom enough for the battery of a phone that serves as uplink.
 */
enum { KEEPALIVE_IDLE_S = 120 };

/** Ask the peer of a TCP connection for a sign of life whenever it has been silent for KEEPALIVE_IDLE_S. */
static inline void keepalive_set(int fd)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){KEEPALIVE_IDLE_S}, sizeof(int));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
}

#endif
