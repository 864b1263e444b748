#include "log/log_datagram.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* By a socket of its own: a connected one would not find the service after its restart. */
static int is_heard(const struct sockaddr_un *to)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0 ? -errno : 0;

    if (fd >= 0)
        (void)close(fd);
    return r;
}

int log_datagram_open(struct log_datagram *d, const char *path)
{
    *d = (struct log_datagram){.fd = -1, .to = {.sun_family = AF_UNIX}};
    if (strlen(path) >= sizeof d->to.sun_path)
        return -ENAMETOOLONG;
    (void)strcpy(d->to.sun_path, path);
    int r = is_heard(&d->to);
    if (r < 0)
        return r;
    d->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return d->fd < 0 ? -errno : 0;
}

bool log_datagram_send(const struct log_datagram *d, struct iovec *parts, size_t n)
{
    const struct msghdr message = {
        .msg_name = (void *)(uintptr_t)&d->to,
        .msg_namelen = sizeof d->to,
        .msg_iov = parts,
        .msg_iovlen = n,
    };
    ssize_t sent;

    do {
        sent = sendmsg(d->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

void log_datagram_close(struct log_datagram *d)
{
    if (d->fd >= 0)
        (void)close(d->fd);
    d->fd = -1;
}
