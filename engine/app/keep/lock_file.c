#include "keep/lock_file.h"

#include "keep/file_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

int lock_file_take(const char *path)
{
    char name[PATH_MAX];

    if (snprintf(name, sizeof name, "%s.lock", path) >= PATH_MAX)
        return -ENAMETOOLONG;
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    file_owner_follow(fd, name);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int r = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}
