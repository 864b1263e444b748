/* A socket of datagrams to a service of this machine, for sinks of the log. */
#ifndef STEERWAY_LOG_LOG_DATAGRAM_H
#define STEERWAY_LOG_LOG_DATAGRAM_H

#include "base/compiler.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

struct log_datagram {
    int fd;
    struct sockaddr_un to;
};

/** @return 0, or negative errno if nobody listens at path */
MUST_CHECK int log_datagram_open(struct log_datagram *d, const char *path);
/** Never waits. Each datagram looks the path up, so that a service that was restarted gets it.
 *  @return whether it was sent */
bool log_datagram_send(const struct log_datagram *d, struct iovec *parts, size_t n);
void log_datagram_close(struct log_datagram *d);

#endif
