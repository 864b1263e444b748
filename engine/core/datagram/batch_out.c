#include "datagram/batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* linux/udp.h since 4.18 */
#endif
#ifndef UDP_GRO
#define UDP_GRO 104 /* since 5.0 */
#endif

enum { CONTROL_SIZE = CMSG_SPACE(sizeof(uint16_t)) };
/* A train's bytes: what fits behind the largest IP and UDP headers in 65,535 bytes. */
enum { TRAIN_MAX = 65535 - 60 - 8 };
/* A payload that an Ethernet of 1500 bytes carries in one piece, behind IPv4's 28 bytes of headers. IPv6 has
 * 20 more, and its probes are no larger. */
enum { WHOLE_MAX = 1472 };

static int make(struct batch_out *b)
{
    b->messages = calloc(BATCH_MAX, sizeof *b->messages);
    b->pieces = calloc(BATCH_PIECES_MAX, sizeof *b->pieces);
    b->control = calloc(BATCH_MAX, CONTROL_SIZE);
    b->headers = malloc((size_t)BATCH_PIECES_MAX * BATCH_HEADER_MAX);
    b->dests = calloc(BATCH_MAX, sizeof *b->dests);
    if (b->messages && b->pieces && b->control && b->headers && b->dests)
        return 0;
    batch_out_done(b);
    return -ENOMEM;
}

void batch_out_done(struct batch_out *b)
{
    free(b->messages);
    free(b->pieces);
    free(b->control);
    free(b->headers);
    free(b->dests);
    *b = (struct batch_out){.sent = b->sent};
}

/* --- sending -------------------------------------------------------------------------------------------- */

static int discover(int fd, int family, int how)
{
    int r = family == AF_INET6 ? setsockopt(fd, SOL_IPV6, IPV6_MTU_DISCOVER, &how, sizeof how)
                               : setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, &how, sizeof how);
    return r < 0 ? -errno : 0;
}

int batch_keep_whole(struct batch_socket *socket, int family)
{
    int r = discover(socket->fd, family, family == AF_INET6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO);

    socket->keeps_whole = r == 0;
    return r;
}

static size_t size_of(const struct msghdr *m)
{
    size_t size = 0;

    for (size_t i = 0; i < m->msg_iovlen; i++)
        size += m->msg_iov[i].iov_len;
    return size;
}

/* The datagrams of a message. */
static size_t count_of(const struct msghdr *m)
{
    uint16_t segment;

    if (!m->msg_control)
        return 1;
    memcpy(&segment, CMSG_DATA(CMSG_FIRSTHDR(m)), sizeof segment);
    return (size_of(m) + segment - 1) / segment;
}

/* A datagram larger than any Ethernet takes: in fragments, as its sender cannot have meant it as a probe. */
static bool send_in_fragments(struct batch_out *b, const struct msghdr *m)
{
    const struct addr *to = m->msg_name;
    int family = addr_family(to), fd = b->socket->fd;

    if (discover(fd, family, family == AF_INET6 ? IPV6_PMTUDISC_WANT : IP_PMTUDISC_WANT) < 0)
        return false;
    ssize_t sent = sendmsg(fd, m, MSG_DONTWAIT | MSG_NOSIGNAL);
    int err = errno;
    if (discover(fd, family, family == AF_INET6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO) < 0)
        b->socket->keeps_whole = false;
    errno = err;
    return sent >= 0;
}

/* Send one message whose errno is known; it is one datagram. */
static void note_failed(struct batch_out *b, const struct msghdr *m, int err)
{
    if (err == EMSGSIZE && b->socket->keeps_whole && size_of(m) > WHOLE_MAX && send_in_fragments(b, m)) {
        b->sent->sent++;
        b->sent->in_fragments++;
    } else if (err == EMSGSIZE) {
        b->sent->too_big++;
    } else if (err == EAGAIN || err == ENOBUFS) {
        b->sent->no_room++;
    } else {
        b->sent->failed++;
    }
}

/* One datagram by itself. An error that belongs to an earlier datagram (ICMP) is reported once, before it is
 * sent. */
static void send_one(struct batch_out *b, const struct msghdr *m)
{
    for (int tries = 0; tries < 2; tries++) {
        if (sendmsg(b->socket->fd, m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            b->sent->sent++;
            return;
        }
        if (errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ENETUNREACH)
            break;
    }
    note_failed(b, m, errno);
}

/* A train that the kernel or the device refuses: its datagrams one by one. */
static void send_apart(struct batch_out *b, struct msghdr *m)
{
    struct msghdr one = *m;
    uint16_t segment;

    memcpy(&segment, CMSG_DATA(CMSG_FIRSTHDR(m)), sizeof segment);
    one.msg_control = NULL;
    one.msg_controllen = 0;
    for (size_t i = 0; i < m->msg_iovlen;) {
        size_t size = 0, n = 0;
        while (i + n < m->msg_iovlen && size < segment)
            size += m->msg_iov[i + n++].iov_len;
        one.msg_iov = m->msg_iov + i;
        one.msg_iovlen = n;
        send_one(b, &one);
        i += n;
    }
}

void batch_flush(struct batch_out *b)
{
    size_t done = 0;

    while (done < b->n) {
        int n =
            sendmmsg(b->socket->fd, b->messages + done, (unsigned)(b->n - done), MSG_DONTWAIT | MSG_NOSIGNAL);
        for (int i = 0; i < n; i++)
            b->sent->sent += count_of(&b->messages[done + (size_t)i].msg_hdr);
        done += n > 0 ? (size_t)n : 0;
        if (n > 0)
            continue;
        struct msghdr *m = &b->messages[done++].msg_hdr;
        if (errno == EAGAIN || errno == ENOBUFS) {
            b->sent->no_room += count_of(m);
        } else if (m->msg_control) {
            /* EMSGSIZE: a datagram of it is too large for the path; the others are not to blame. */
            b->socket->no_gso = b->socket->no_gso || errno == EIO || errno == EINVAL || errno == EOPNOTSUPP;
            send_apart(b, m);
        } else {
            send_one(b, m);
        }
    }
    b->n = b->n_pieces = 0;
    b->socket = NULL;
    b->last = NULL;
}

/* --- adding --------------------------------------------------------------------------------------------- */

/* Whether a datagram may follow those of the last message in one train. */
static bool may_follow(const struct batch_out *b, const struct addr *to, size_t size)
{
    return b->last == to && size > 0 && !b->full && size <= b->segment && !b->socket->no_gso &&
           b->n_segments < BATCH_SEGMENTS_MAX && (b->n_segments + 1) * b->segment <= TRAIN_MAX &&
           b->segment <= WHOLE_MAX;
}

static void set_segment(struct batch_out *b)
{
    struct msghdr *m = &b->messages[b->n - 1].msg_hdr;
    const uint16_t segment = (uint16_t)b->segment;

    m->msg_control = b->control + (b->n - 1) * CONTROL_SIZE;
    m->msg_controllen = CONTROL_SIZE;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
}

static void begin_message(struct batch_out *b, const struct addr *to, size_t size)
{
    struct addr *dest = &b->dests[b->n];

    *dest = *to;
    b->messages[b->n++].msg_hdr =
        (struct msghdr){.msg_name = dest, .msg_namelen = addr_len(to), .msg_iov = b->pieces + b->n_pieces};
    b->last = to;
    b->segment = size;
    b->n_segments = 0;
}

/* Find the message for a datagram of this size. @return false without memory */
static bool find_message(struct batch_out *b, struct batch_socket *socket, const struct addr *to, size_t size)
{
    if (!b->messages && make(b) < 0) {
        b->sent->failed++;
        return false;
    }
    if (b->socket && (b->socket != socket || b->n_pieces + 2 > BATCH_PIECES_MAX))
        batch_flush(b);
    bool follows = b->socket && may_follow(b, to, size);
    if (!follows && b->n == BATCH_MAX)
        batch_flush(b);
    b->socket = socket;
    if (!follows)
        begin_message(b, to, size);
    b->full = size < b->segment;
    return true;
}

static void add_piece(struct batch_out *b, struct slice bytes)
{
    b->pieces[b->n_pieces++] = (struct iovec){(void *)(uintptr_t)bytes.data, bytes.len};
}

static void put(struct batch_out *b, struct slice header, struct slice payload)
{
    struct msghdr *m = &b->messages[b->n - 1].msg_hdr;

    if (header.len > 0)
        add_piece(b, header);
    /* A train is taken apart by sizes: an empty piece behind a header would be one more datagram. */
    if (payload.len > 0 || header.len == 0)
        add_piece(b, payload);
    m->msg_iovlen = (size_t)(b->pieces + b->n_pieces - m->msg_iov);
    if (++b->n_segments == 2)
        set_segment(b);
}

void batch_add(struct batch_out *b, struct batch_socket *socket, const struct addr *to, struct slice header,
               struct slice payload)
{
    if (!find_message(b, socket, to, header.len + payload.len))
        return;
    char *copy = b->headers + b->n_pieces * BATCH_HEADER_MAX;
    memcpy(copy, header.data, header.len);
    put(b, slice_of(copy, header.len), payload);
}

void batch_add_behind(struct batch_out *b, struct batch_socket *socket, const struct addr *to,
                      struct slice header, struct slice payload)
{
    if (find_message(b, socket, to, header.len + payload.len))
        put(b, header, payload);
}

/* --- tuning --------------------------------------------------------------------------------------------- */

/* The kernel's default of 208 KiB holds 160 full datagrams: 13 ms of 150 Mbit/s. */
static const int BUFFER_SIZE = 1 << 20;

void batch_tune(int fd)
{
    const int on = 1;

    (void)setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &BUFFER_SIZE, sizeof BUFFER_SIZE) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &BUFFER_SIZE, sizeof BUFFER_SIZE);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &BUFFER_SIZE, sizeof BUFFER_SIZE) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &BUFFER_SIZE, sizeof BUFFER_SIZE);
}
