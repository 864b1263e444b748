#include "relay/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A splice of fewer than LITTLE bytes is no faster than a copy. After CALM_ENOUGH of those in a row, the
 * direction copies again. A read of MUCH bytes starts splicing. */
enum { MUCH = 16 * 1024, LITTLE = 4 * 1024, CALM_ENOUGH = 8 };

/* Limits for one turn of a socket. Each turn has a cost, and other sockets wait until it ends. */
enum { READS_A_TURN = 4, BYTES_A_TURN = 128 * 1024 };

static bool is_later(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

size_t pump_waiting(const struct pump *p)
{
    return (p->waiting ? p->waiting->len : 0) + (p->pipe ? p->pipe->held : 0);
}

int pump_keep(struct pump *p, const char *data, size_t len)
{
    p->waiting = malloc(sizeof *p->waiting + len);
    if (!p->waiting)
        return -ENOMEM;
    *p->waiting = (struct backlog){.len = len};
    memcpy(p->waiting->data, data, len);
    return 0;
}

/* --- copied --------------------------------------------------------------------------------------------- */

/* @return bytes, 0 when the sink takes none now, or negative errno */
static ssize_t write_some(int sink, const char *data, size_t len)
{
    ssize_t n;

    do {
        n = send(sink, data, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : is_later(n) ? 0 : -errno;
}

static size_t at_most(uint64_t limit, size_t n)
{
    return limit < n ? (size_t)limit : n;
}

static enum pump_end copy(struct pump *p, struct pump_room *room, int source, int sink, uint64_t limit,
                          size_t *ret_read)
{
    size_t want = at_most(limit, sizeof room->buffer);
    ssize_t n = recv(source, room->buffer, want, 0);

    if (is_later(n))
        return PUMP_EMPTY;
    if (n <= 0)
        return n == 0 ? PUMP_ENDED : PUMP_SOURCE_BROKEN;
    *ret_read = (size_t)n;
    bool full = (size_t)n == want;
    p->bulk = (size_t)n >= MUCH && !p->no_splice;
    ssize_t sent = write_some(sink, room->buffer, (size_t)n);
    if (sent < 0)
        return PUMP_SINK_BROKEN;
    if (sent == n)
        return full ? PUMP_AGAIN : PUMP_EMPTY;
    return pump_keep(p, room->buffer + sent, (size_t)(n - sent)) < 0 ? PUMP_NO_MEMORY : PUMP_FULL;
}

/* --- spliced -------------------------------------------------------------------------------------------- */

/* @return as write_some */
static ssize_t empty_pipe(struct pump *p, struct pump_room *room, int sink)
{
    ssize_t n = splice(p->pipe->out, NULL, sink, NULL, p->pipe->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

    if (n < 0)
        return is_later(n) ? 0 : -errno;
    p->pipe->held -= (size_t)n;
    if (p->pipe->held == 0) {
        pipes_give(&room->pipes, p->pipe);
        p->pipe = NULL;
    }
    return n;
}

static void note_calm(struct pump *p, size_t n)
{
    p->calm = n < LITTLE ? p->calm + 1 : 0;
    if (p->calm < CALM_ENOUGH)
        return;
    p->bulk = false;
    p->calm = 0;
}

/* The pipe is empty, so EAGAIN is about the source. But splice stops for ever at an urgent mark (tcp(7)):
 * it returns EAGAIN there, and 0 once the FIN is queued behind it. recv reads past the mark and reports
 * the truth. So recv is asked after each 0, and after EAGAIN when the loop has just reported the source
 * readable. */
static enum pump_end splice_on(struct pump *p, struct pump_room *room, int source, int sink, uint64_t limit,
                               bool readable, size_t *ret_read)
{
    p->pipe = pipes_take(&room->pipes);
    if (!p->pipe)
        return copy(p, room, source, sink, limit, ret_read);
    ssize_t n =
        splice(source, NULL, p->pipe->in, NULL, at_most(limit, PIPE_SIZE), SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n <= 0) {
        int err = errno;
        pipes_give(&room->pipes, p->pipe);
        p->pipe = NULL;
        errno = err;
    }
    if (is_later(n) && !readable) {
        note_calm(p, 0);
        return PUMP_EMPTY;
    }
    if (n == 0 || is_later(n))
        return copy(p, room, source, sink, limit, ret_read);
    if (n < 0 && errno == EINVAL) {
        p->no_splice = true;
        p->bulk = false;
        return copy(p, room, source, sink, limit, ret_read);
    }
    if (n < 0)
        return PUMP_SOURCE_BROKEN;
    *ret_read = (size_t)n;
    p->pipe->held = (size_t)n;
    note_calm(p, (size_t)n);
    if (empty_pipe(p, room, sink) < 0)
        return PUMP_SINK_BROKEN;
    return p->pipe ? PUMP_FULL : PUMP_AGAIN;
}

/* --- both ----------------------------------------------------------------------------------------------- */

/* Read once. @param readable  the loop has reported it, and nothing was read since */
static enum pump_end move(struct pump *p, struct pump_room *room, int source, int sink, uint64_t limit,
                          bool readable, size_t *ret_read)
{
    *ret_read = 0;
    /* A short read because of the limit does not show that the bulk has ended. */
    if (p->bulk && limit >= MUCH)
        return splice_on(p, room, source, sink, limit, readable, ret_read);
    return copy(p, room, source, sink, limit, ret_read);
}

enum pump_end pump_turn(struct pump *p, struct pump_room *room, int source, int sink, uint64_t limit,
                        size_t *ret_read)
{
    enum pump_end end = PUMP_AGAIN;
    size_t moved = 0, n;

    for (int i = 0; i < READS_A_TURN && end == PUMP_AGAIN && moved < BYTES_A_TURN && moved < limit; i++) {
        end = move(p, room, source, sink, limit - moved, i == 0, &n);
        moved += n;
    }
    *ret_read = moved;
    return end;
}

static ssize_t empty_backlog(struct pump *p, int sink)
{
    struct backlog *b = p->waiting;
    ssize_t n = write_some(sink, b->data + b->start, b->len);

    if (n < 0)
        return n;
    b->start += (size_t)n;
    b->len -= (size_t)n;
    if (b->len == 0) {
        free(b);
        p->waiting = NULL;
    }
    return n;
}

int64_t pump_flush(struct pump *p, struct pump_room *room, int sink)
{
    if (p->pipe)
        return empty_pipe(p, room, sink);
    return p->waiting ? empty_backlog(p, sink) : 0;
}

void pump_leave(struct pump *p, struct pump_room *room)
{
    if (p->pipe)
        room->pipes.n_held--;
}

void pump_join(struct pump *p, struct pump_room *room)
{
    if (p->pipe)
        room->pipes.n_held++;
}

void pump_done(struct pump *p, struct pump_room *room)
{
    free(p->waiting);
    p->waiting = NULL;
    pipes_give(&room->pipes, p->pipe);
    p->pipe = NULL;
}
