#include "keep/whole_file.h"

#include "keep/file_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void whole_file_folders(const char *path)
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

int whole_file_read(const char *path, char **ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    char *text = malloc(WHOLE_FILE_MAX + 1);
    size_t len = 0;
    int r = !text ? -ENOMEM : fstat(fd, &info) < 0 ? -errno : S_ISREG(info.st_mode) ? 0 : -EEXIST;
    while (r == 0 && len <= WHOLE_FILE_MAX) {
        ssize_t n = read(fd, text + len, WHOLE_FILE_MAX + 1 - len);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            r = -errno;
        len += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    if (r == 0 && len > WHOLE_FILE_MAX)
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

int whole_file_replace(const char *path, const char *text)
{
    char name[PATH_MAX + sizeof ".new"];

    (void)snprintf(name, sizeof name, "%s.new", path);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    file_owner_follow(fd, name);
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
