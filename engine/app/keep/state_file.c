#include "keep/state_file.h"

#include "keep/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- where it is ---------------------------------------------------------------------------------------- */

static int path_in(char ret[PATH_MAX], const char *folder, size_t len, const char *rest)
{
    int n = snprintf(ret, PATH_MAX, "%.*s%s/state.json", (int)len, folder, rest);

    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int state_file_default(char ret[PATH_MAX])
{
    const char *given = getenv("STATE_DIRECTORY"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (given && given[0] == '/')
        return path_in(ret, given, strcspn(given, ":"), "");
    if (state && state[0] == '/')
        return path_in(ret, state, strlen(state), "/steerway");
    if (geteuid() == 0)
        return path_in(ret, "/var/lib", strlen("/var/lib"), "/steerway");
    if (home && home[0] == '/')
        return path_in(ret, home, strlen(home), "/.local/state/steerway");
    return -ENOENT;
}

/* Create missing folders, for this user only. A failure shows when the file is opened. */
static void make_folders(const char *path)
{
    char folder[PATH_MAX];

    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(folder, 0700);
        *slash = '/';
    }
}

/* --- reading -------------------------------------------------------------------------------------------- */

static int read_text(const char *path, char **ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    char *text = malloc(STATE_FILE_MAX + 1);
    size_t len = 0;
    int r = !text ? -ENOMEM : fstat(fd, &info) < 0 ? -errno : S_ISREG(info.st_mode) ? 0 : -EEXIST;
    while (r == 0 && len <= STATE_FILE_MAX) {
        ssize_t n = read(fd, text + len, STATE_FILE_MAX + 1 - len);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            r = -errno;
        len += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    if (r == 0 && len > STATE_FILE_MAX)
        r = -EFBIG;
    if (r < 0) {
        free(text);
        return r;
    }
    text[len] = '\0';
    *ret = text;
    return 0;
}

/* --- writing -------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *text)
{
    size_t len = strlen(text);

    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, text + at, len - at);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* The new name must reach the disk too. A failure here is ignored: the file itself is written. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];

    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

static int replace_file(const char *path, const char *text)
{
    char name[PATH_MAX + sizeof ".new"];

    (void)snprintf(name, sizeof name, "%s.new", path);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, text);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(name, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(name);
    else
        sync_folder(path);
    return r;
}

static void *write_text(void *arg)
{
    struct state_file *f = arg;

    f->result = replace_file(f->path, f->text);
    ev_async_send(f->loop, &f->written);
    return NULL;
}

/* The writer blocks signals: the policy's watchdog signal must reach the main thread. */
static void begin_writing(struct state_file *f, char *text)
{
    sigset_t all, before;

    f->text = text;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&f->writer, NULL, write_text, f);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    f->writing = r == 0;
    if (f->writing)
        return;
    free(f->text);
    f->text = NULL;
    f->failed(f, -r);
}

static void on_written(struct ev_loop *loop, ev_async *w, int events)
{
    struct state_file *f = container_of(w, struct state_file, written);
    char *next = f->next;

    (void)loop;
    (void)events;
    if (!f->writing)
        return;
    (void)pthread_join(f->writer, NULL);
    f->writing = false;
    free(f->text);
    f->text = f->next = NULL;
    if (f->result < 0)
        f->failed(f, f->result);
    if (next)
        begin_writing(f, next);
}

/* --- the whole ------------------------------------------------------------------------------------------ */

int state_file_open(struct state_file *f, struct ev_loop *loop, const char *path, char **ret_text)
{
    char *text = NULL;

    if (strlen(path) >= PATH_MAX - sizeof ".lock")
        return -ENAMETOOLONG;
    make_folders(path);
    int lock_fd = lock_file_take(path);
    if (lock_fd < 0)
        return lock_fd;
    int r = read_text(path, &text);
    if (r < 0) {
        (void)close(lock_fd);
        return r;
    }
    *f = (struct state_file){.loop = loop, .lock_fd = lock_fd};
    memcpy(f->path, path, strlen(path) + 1);
    ev_async_init(&f->written, on_written);
    ev_async_start(loop, &f->written);
    ev_unref(loop); /* the watcher must not keep the loop running */
    *ret_text = text;
    return 0;
}

int state_file_set_aside(struct state_file *f)
{
    char aside[PATH_MAX + sizeof ".bad"];

    (void)snprintf(aside, sizeof aside, "%s.bad", f->path);
    return rename(f->path, aside) < 0 ? -errno : 0;
}

void state_file_write(struct state_file *f, char *text)
{
    if (f->writing) { /* only the latest text is written */
        free(f->next);
        f->next = text;
        return;
    }
    begin_writing(f, text);
}

void state_file_close(struct state_file *f, char *text)
{
    if (!f->loop)
        return;
    if (f->writing)
        (void)pthread_join(f->writer, NULL);
    int r = text ? replace_file(f->path, text) : 0;
    if (r < 0)
        f->failed(f, r);
    ev_ref(f->loop);
    ev_async_stop(f->loop, &f->written);
    free(f->text);
    free(f->next);
    free(text);
    (void)close(f->lock_fd);
    f->loop = NULL;
}
