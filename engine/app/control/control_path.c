#include "control/control_path.h"

#include "keep/lock_file.h"
#include "keep/state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { BACKLOG = 64 };

/* Where the packaged service has it. */
static const char OF_SERVICE[] = "/run/steerway/control.sock";

int control_path_default(char ret[CONTROL_PATH_MAX])
{
    const char *given = getenv("RUNTIME_DIRECTORY"), *runtime = getenv("XDG_RUNTIME_DIR");

    if (given && given[0] == '/') {
        /* systemd separates several by colons. */
        int n = snprintf(ret, CONTROL_PATH_MAX, "%.*s/control.sock", (int)strcspn(given, ":"), given);
        return n < CONTROL_PATH_MAX ? 0 : -ENAMETOOLONG;
    }
    if (!runtime || runtime[0] != '/') {
        if (geteuid() != 0 && !state_file_is_own_folder("/run/steerway"))
            return -ENOENT;
        runtime = "/run";
    }
    int n = snprintf(ret, CONTROL_PATH_MAX, "%s/steerway/control.sock", runtime);
    return n < CONTROL_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int control_path_to_ask(char ret[CONTROL_PATH_MAX])
{
    int r = control_path_default(ret);

    if ((r < 0 || !control_place_is_served(ret)) && access(OF_SERVICE, F_OK) == 0) {
        memcpy(ret, OF_SERVICE, sizeof OF_SERVICE);
        return 0;
    }
    return r;
}

/* Create the last folder of the path, for this user only. Its parent must exist. */
static void make_folder(const char *path)
{
    char folder[CONTROL_PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    (void)mkdir(folder, 0700);
}

/* Remove a stale socket, but never another kind of file: the user may have mistyped the path. */
static int remove_stale(const char *path)
{
    struct stat info;

    if (lstat(path, &info) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(info.st_mode))
        return -EEXIST;
    return unlink(path) < 0 ? -errno : 0;
}

static int listen_there(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* Set the mode at bind, so that other users can never connect. */
    mode_t before = umask(0177);
    int r = bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ? -errno : 0;
    (void)umask(before);
    if (r == 0 && listen(fd, BACKLOG) < 0)
        r = -errno;
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    return fd;
}

int control_place_take(struct control_place *ret, const char *path)
{
    if (strlen(path) >= CONTROL_PATH_MAX)
        return -ENAMETOOLONG;
    make_folder(path);
    int lock_fd = lock_file_take(path);
    if (lock_fd < 0)
        return lock_fd;
    int r = remove_stale(path);
    int fd = r < 0 ? r : listen_there(path);
    if (fd < 0) {
        (void)close(lock_fd);
        return fd;
    }
    *ret = (struct control_place){.fd = fd, .lock_fd = lock_fd};
    memcpy(ret->path, path, strlen(path) + 1);
    return 0;
}

int control_path_connect(const char *path, int patience_s)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = patience_s};

    if (strlen(path) >= sizeof addr.sun_path)
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

bool control_place_is_served(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = strlen(path) < sizeof addr.sun_path ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

    if (fd < 0)
        return false;
    memcpy(addr.sun_path, path, strlen(path) + 1);
    bool served = connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0;
    (void)close(fd);
    return served;
}

void control_place_leave(struct control_place *p)
{
    if (p->fd >= 0)
        (void)unlink(p->path);
    control_place_yield(p);
}

void control_place_yield(struct control_place *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    if (p->lock_fd >= 0)
        (void)close(p->lock_fd);
    p->fd = p->lock_fd = -1;
}
