#include "control/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { A_MESSAGE = 200 }; /* the kernel takes 253 (SCM_MAX_FD) */

/* Room for the descriptors of one message. */
union rights {
    char bytes[CMSG_SPACE(A_MESSAGE * sizeof(int))];
    struct cmsghdr align;
};

static int grow(struct descriptors *d, size_t n)
{
    int *fds = realloc(d->fds, (d->n + n) * sizeof *fds);

    if (!fds)
        return -ENOMEM;
    d->fds = fds;
    return 0;
}

int descriptors_copy(struct descriptors *d, const int *fds, size_t n)
{
    const size_t before = d->n;
    int r = n > 0 ? grow(d, n) : 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
            r = -errno;
        else
            d->fds[d->n++] = fd;
    }
    while (r < 0 && d->n > before)
        (void)close(d->fds[--d->n]);
    return r;
}

void descriptors_drop(struct descriptors *d, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)close(d->fds[i]);
    d->n -= n;
    if (d->n > 0)
        memmove(d->fds, d->fds + n, d->n * sizeof *d->fds);
    else
        free(d->fds);
    if (d->n == 0)
        d->fds = NULL;
}

/* Those that do not fit into one message go with the next byte. */
ssize_t descriptors_send(struct descriptors *d, int socket, struct slice bytes)
{
    const size_t n = d->n < A_MESSAGE ? d->n : A_MESSAGE;
    union rights room = {.bytes = ""};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes.data, .iov_len = n < d->n ? 1 : bytes.len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    if (n > 0) {
        m.msg_control = room.bytes;
        m.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&m);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(head), d->fds, n * sizeof(int));
    }
    ssize_t sent = sendmsg(socket, &m, MSG_NOSIGNAL);
    if (sent > 0 && n > 0)
        descriptors_drop(d, n);
    return sent;
}

ssize_t descriptors_receive(struct descriptors *d, int socket, char *bytes, size_t max)
{
    union rights room = {.bytes = ""};
    struct iovec part = {.iov_base = bytes, .iov_len = max};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    ssize_t got = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);

    for (struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        int fds[A_MESSAGE];
        memcpy(fds, CMSG_DATA(c), n * sizeof(int));
        if (grow(d, n) < 0) {
            for (size_t i = 0; i < n; i++)
                (void)close(fds[i]);
            errno = ENOMEM;
            return -1;
        }
        memcpy(d->fds + d->n, fds, n * sizeof(int));
        d->n += n;
    }
    return got;
}
