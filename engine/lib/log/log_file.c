#include "log/log_file.h"

#include "base/log_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file {
    struct log_fd out;
    char path[];
};

static struct file *file_of(struct log_sink *s)
{
    return container_of(container_of(s, struct log_fd, sink), struct file, out);
}

/* O_NONBLOCK is for a named pipe, and a terminal. */
static int open_path(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
    return fd < 0 ? -errno : fd;
}

static int file_reopen(struct log_sink *s)
{
    struct file *f = file_of(s);
    int fd = open_path(f->path);

    if (fd < 0)
        return fd;
    (void)close(f->out.fd);
    f->out.fd = fd;
    f->out.torn = false;
    return 0;
}

static void file_free(struct log_sink *s)
{
    struct file *f = file_of(s);

    if (f->out.fd >= 0)
        (void)close(f->out.fd);
    free(f);
}

int log_file_open(struct log_sink **ret, const char *path, enum log_form form)
{
    size_t size = strlen(path) + 1;
    struct file *f = malloc(sizeof *f + size);

    if (!f)
        return -ENOMEM;
    f->out = (struct log_fd){
        .sink = {.form = form, .write = log_fd_write, .reopen = file_reopen, .free = file_free}};
    memcpy(f->path, path, size);
    f->out.fd = open_path(path);
    if (f->out.fd < 0) {
        int r = f->out.fd;
        file_free(&f->out.sink);
        return r;
    }
    *ret = &f->out.sink;
    return 0;
}
