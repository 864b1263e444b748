/* Keepalives find peers, clients and destinations, that vanished without closing. It takes two system calls,
 * too many for short connections. Accepted sockets inherit the setting from the listener. */
#ifndef STEERWAY_NET_KEEPALIVE_H
#define STEERWAY_NET_KEEPALIVE_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Minutes, not Linux's two hours; rare enough for the battery of a phone that is an uplink. */
enum { KEEPALIVE_IDLE_S = 120 };

/** Probe the peer of a TCP connection after KEEPALIVE_IDLE_S of silence. */
static inline void keepalive_set(int fd)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){KEEPALIVE_IDLE_S}, sizeof(int));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
}

#endif
