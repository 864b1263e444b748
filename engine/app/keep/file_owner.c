#include "keep/file_owner.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void file_owner_follow(int fd, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat folder, file;
    char name[PATH_MAX];

    (void)snprintf(name, sizeof name, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    if (geteuid() != 0 || stat(name, &folder) < 0 || fstat(fd, &file) < 0)
        return;
    /* A file with a second name may be one of root's, to which that user has made a link. */
    if (folder.st_uid != 0 && file.st_uid == 0 && S_ISREG(file.st_mode) && file.st_nlink == 1)
        (void)!fchown(fd, folder.st_uid, folder.st_gid);
}
