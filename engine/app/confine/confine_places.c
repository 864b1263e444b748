#include "confine/confine_places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A socket that is there has no listener: the start replaces it. */
static bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

static bool lock_is_there(const char *path)
{
    char lock[PATH_MAX + sizeof ".lock"];

    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    return is_there(lock);
}

/* @return the length of the path with one more part than its first `from` bytes have */
static size_t next_part(const char *path, size_t from)
{
    size_t at = from + strspn(path + from, "/");

    return at + strcspn(path + at, "/");
}

/* @return the length of the longest beginning of the path that exists */
static size_t existing(const char *path)
{
    const size_t len = strlen(path);
    size_t there = 0;
    char part[PATH_MAX];

    for (size_t n = next_part(path, 0); n > there; n = next_part(path, n)) {
        (void)snprintf(part, sizeof part, "%.*s", (int)n, path);
        if (!is_there(part))
            break;
        there = n;
        if (n == len)
            break;
    }
    return there;
}

void confine_places_note(struct confine_places *p, const char *path, bool folder_used)
{
    if (p->n == CONFINE_PLACES_MAX || strlen(path) >= PATH_MAX)
        return;
    struct confine_place *place = &p->items[p->n++];
    (void)strcpy(place->path, path);
    place->made_from = existing(path);
    place->lock_made = !lock_is_there(path);
    place->folder_used = folder_used;
}

/* Never by name: somebody who may write in the folder could put a link there. A file with a second name may
 * belong to others. */
static int give(const char *path, const struct confine_user *user)
{
    struct stat st;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    bool ours =
        r == 0 && st.st_uid == geteuid() && !S_ISLNK(st.st_mode) && (S_ISDIR(st.st_mode) || st.st_nlink == 1);
    if (ours && fchownat(fd, "", user->uid, user->gid, AT_EMPTY_PATH) < 0)
        r = -errno;
    (void)close(fd);
    return r;
}

static int give_place(const struct confine_place *place, const struct confine_user *user)
{
    const size_t len = strlen(place->path);
    char part[PATH_MAX + sizeof ".lock"];
    int r = 0;

    for (size_t n = place->made_from; r == 0 && n < len;) {
        n = next_part(place->path, n);
        (void)snprintf(part, sizeof part, "%.*s", (int)n, place->path);
        r = give(part, user);
    }
    (void)snprintf(part, sizeof part, "%s.lock", place->path);
    return r == 0 && place->lock_made ? give(part, user) : r;
}

int confine_places_give(const struct confine_places *p, const struct confine_user *user,
                        const char **ret_path)
{
    for (size_t i = 0; i < p->n; i++) {
        int r = give_place(&p->items[i], user);
        if (r < 0) {
            *ret_path = p->items[i].path;
            return r;
        }
    }
    return 0;
}

const char *confine_places_closed(const struct confine_places *p, char ret[PATH_MAX])
{
    for (size_t i = 0; i < p->n; i++) {
        const char *path = p->items[i].path, *slash = strrchr(path, '/');
        (void)snprintf(ret, PATH_MAX, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
        if (p->items[i].folder_used && access(ret, W_OK | X_OK) < 0)
            return ret;
    }
    return NULL;
}
