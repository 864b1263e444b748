#include "relay/wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Further reads of a head: its rest is usually short. */
enum { READ_STEP = 16 * 1024 };

static bool is_later(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

ssize_t wire_read(int fd, struct buf *into, struct pump_room *room)
{
    size_t want = buf_room(into) < READ_STEP ? buf_room(into) : READ_STEP;
    bool borrow = into->len == 0;
    char *space = room->buffer;

    if (borrow)
        want = sizeof room->buffer;
    else if (buf_reserve(into, want, &space) < 0)
        return -ENOMEM;
    ssize_t n = recv(fd, space, want, 0);
    if (n < 0)
        return is_later(errno) ? -EAGAIN : -errno;
    if (borrow && n > 0)
        buf_borrow(into, space, (size_t)n);
    else if (n > 0)
        buf_commit(into, (size_t)n);
    return n;
}

static ssize_t send_both(int fd, struct slice first, struct slice second)
{
    struct iovec parts[] = {{(void *)first.data, first.len}, {(void *)second.data, second.len}};
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts)};

    if (second.len == 0)
        return send(fd, first.data, first.len, MSG_NOSIGNAL);
    if (first.len == 0)
        return send(fd, second.data, second.len, MSG_NOSIGNAL);
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

int wire_send(int fd, struct buf *waiting, struct slice more, size_t *ret_sent)
{
    ssize_t n;

    *ret_sent = 0;
    if (waiting->len + more.len == 0)
        return 0;
    do {
        n = send_both(fd, buf_slice(waiting), more);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && !is_later(errno))
        return -errno;
    size_t sent = n < 0 ? 0 : (size_t)n, of_waiting = sent < waiting->len ? sent : waiting->len;
    size_t of_more = sent - of_waiting;
    *ret_sent = sent;
    buf_consume(waiting, of_waiting);
    return buf_append(waiting, more.data + of_more, more.len - of_more);
}
