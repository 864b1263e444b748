#include "base/log_fd.h"

#include "base/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Open standard error again, with O_NONBLOCK. Standard error itself must not get that flag, as other programs
 * share it. poll alone is not enough. A terminal may have room for a part of a line only, and other programs
 * may fill a pipe in between. @return STDERR_FILENO if it cannot be opened */
static int open_own(void)
{
    struct stat st;

    if (fstat(STDERR_FILENO, &st) < 0 || !(S_ISFIFO(st.st_mode) || isatty(STDERR_FILENO)))
        return STDERR_FILENO;
    int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? STDERR_FILENO : fd;
}

void log_fd_of_stderr(struct log_fd *f)
{
    if (f->fd != STDERR_FILENO)
        (void)close(f->fd);
    f->fd = open_own();
    f->shared = f->fd == STDERR_FILENO;
}

/* On our own descriptor, write reports a lack of room itself. For others: a pipe that polls writable has room
 * for PIPE_BUF bytes, and any other error makes write fail at once. */
static bool has_room(const struct log_fd *f)
{
    struct pollfd p = {.fd = f->fd, .events = POLLOUT};
    return !f->shared || poll(&p, 1, 0) != 0;
}

bool log_fd_put(struct log_fd *f, const struct log_text *line)
{
    /* The end of a torn line comes first. One write keeps lines whole. */
    struct iovec parts[] = {
        {.iov_base = "\n", .iov_len = f->torn},
        {.iov_base = (void *)(uintptr_t)line->bytes, .iov_len = line->len},
    };
    ssize_t before = f->torn, all = before + (ssize_t)line->len, n;

    if (!has_room(f))
        return false;
    do {
        n = f->torn ? writev(f->fd, parts, 2) : write(f->fd, line->bytes, line->len);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        f->torn = n != all && n != before;
    /* A line that lacks only its newline is not lost: the next write brings it. */
    return n > 0 && n + 1 >= all;
}

bool log_fd_write(struct log_sink *s, const struct log_entry *e)
{
    return log_fd_put(container_of(s, struct log_fd, sink), &e->text);
}
