#include "datagram/batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_GRO
#define UDP_GRO 104 /* linux/udp.h since 5.0 */
#endif

/* Room for the size of a train, and for an original destination. */
enum { CONTROL_SIZE = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct sockaddr_in6)) };

static int make(struct batch_in *b)
{
    b->messages = calloc(BATCH_MAX, sizeof *b->messages);
    b->pieces = calloc(BATCH_MAX, sizeof *b->pieces);
    b->sources = calloc(BATCH_MAX, sizeof *b->sources);
    b->control = calloc(BATCH_MAX, CONTROL_SIZE);
    /* Pages that no datagram has reached cost nothing. */
    b->bytes = malloc((size_t)BATCH_MAX * BATCH_MESSAGE_MAX);
    if (!b->messages || !b->pieces || !b->sources || !b->control || !b->bytes) {
        batch_in_done(b);
        return -ENOMEM;
    }
    for (size_t i = 0; i < BATCH_MAX; i++) {
        b->pieces[i] = (struct iovec){b->bytes + i * BATCH_MESSAGE_MAX, BATCH_MESSAGE_MAX};
        b->messages[i].msg_hdr = (struct msghdr){.msg_name = &b->sources[i],
                                                 .msg_iov = &b->pieces[i],
                                                 .msg_iovlen = 1,
                                                 .msg_control = b->control + i * CONTROL_SIZE};
    }
    return 0;
}

void batch_in_done(struct batch_in *b)
{
    free(b->messages);
    free(b->pieces);
    free(b->sources);
    free(b->control);
    free(b->bytes);
    *b = (struct batch_in){.messages = NULL};
}

int batch_receive(struct batch_in *b, int fd)
{
    if (!b->messages && make(b) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < BATCH_MAX; i++) {
        b->messages[i].msg_hdr.msg_namelen = sizeof(struct addr);
        b->messages[i].msg_hdr.msg_controllen = CONTROL_SIZE;
    }
    int n = recvmmsg(fd, b->messages, BATCH_MAX, MSG_DONTWAIT, NULL);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

bool batch_message(const struct batch_in *b, int i, struct batch_message *ret)
{
    struct msghdr *m = &b->messages[i].msg_hdr;

    *ret = (struct batch_message){.source = &b->sources[i],
                                  .bytes = {b->pieces[i].iov_base, b->messages[i].msg_len},
                                  .segment = b->messages[i].msg_len};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        int size;
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0)
                ret->segment = (size_t)size;
        } else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_ORIGDSTADDR) ||
                   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR)) {
            ret->to = (const struct addr *)(const void *)CMSG_DATA(c);
        }
    }
    if (ret->segment == 0)
        ret->segment = 1; /* an empty datagram */
    return addr_family(ret->source) == AF_INET || addr_family(ret->source) == AF_INET6;
}
