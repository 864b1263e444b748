#include "follow/policy_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Editors write a backup, rename, write, and rename again, within some milliseconds. */
static const double SETTLE_S = 0.1;
/* How often a failed watch is tried again. */
static const double LOOK_S = 1;
/* The kernel's limit (path_resolution(7)). */
enum { LINKS_MAX = 40 };

/* A file that is being written causes IN_CLOSE_WRITE at the end. IN_CREATE is for links, which are never
 * closed, and IN_ATTRIB for permissions that are restored. The folder is watched and not the file, since
 * most editors replace the file. */
enum {
    PLACED = IN_MOVED_TO | IN_CREATE,
    SAVED = PLACED | IN_CLOSE_WRITE | IN_ATTRIB,
    GONE = IN_DELETE_SELF | IN_MOVE_SELF,
    LOST = GONE | IN_IGNORED,
};

/* --- points --------------------------------------------------------------------------------------------- */

static bool has_point(const struct policy_watch *w, const char *folder, const char *name)
{
    for (size_t i = 0; i < w->n_points; i++)
        if (strcmp(w->points[i].name, name) == 0 && strcmp(w->points[i].folder, folder) == 0)
            return true;
    return false;
}

static bool has_watch(const struct watch_point *points, size_t n, int watch)
{
    for (size_t i = 0; i < n; i++)
        if (points[i].watch == watch)
            return true;
    return false;
}

static void free_points(struct watch_point *points, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(points[i].folder);
        free(points[i].name);
    }
    free(points);
}

/* The kernel returns the same watch for a folder that already has one, and keeps its pending events. A
 * folder may be watched for several purposes, so the events are combined. */
static void watch(struct policy_watch *w, const char *folder, const char *name, uint32_t what)
{
    if (w->n_points == POLICY_WATCH_POINTS_MAX || has_point(w, folder, name))
        return;
    struct watch_point p = {.folder = strdup(folder), .name = strdup(name)};
    struct watch_point *more = reallocarray(w->points, w->n_points + 1, sizeof *more);
    if (more)
        w->points = more;
    if (!more || !p.folder || !p.name) {
        free(p.folder);
        free(p.name);
        w->blind = true;
        return;
    }
    p.watch = inotify_add_watch(w->fd, folder, what | IN_ONLYDIR | IN_MASK_ADD);
    /* Watching a folder needs permission to list it; /home/USER often has only permission to pass. */
    w->blind = w->blind || (p.watch < 0 && !(errno == EACCES && name[0] == '\0'));
    w->points[w->n_points++] = p;
}

/* --- the way to a file ---------------------------------------------------------------------------------- */

struct walk {
    char at[PATH_MAX];   /* the folder that was reached, without links in its path */
    char rest[PATH_MAX]; /* the rest of the path */
    char name[NAME_MAX + 1];
    int links;
};

/* @return whether a component was taken from the rest */
static bool next_name(struct walk *k)
{
    const char *from = k->rest + strspn(k->rest, "/");
    size_t len = strcspn(from, "/");

    if (len == 0 || len > NAME_MAX)
        return false;
    memcpy(k->name, from, len);
    k->name[len] = '\0';
    from += len;
    memmove(k->rest, from, strlen(from) + 1);
    return true;
}

static bool is_last(const struct walk *k)
{
    return k->rest[strspn(k->rest, "/")] == '\0';
}

/* The path of the component; false if it is too long. */
static bool path_of(const struct walk *k, char path[static PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s%s%s", k->at, strcmp(k->at, "/") == 0 ? "" : "/", k->name);

    return n < PATH_MAX;
}

/* Continue with the link's target. */
static bool follow(struct walk *k, const char *path)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);

    if (n <= 0 || ++k->links > LINKS_MAX)
        return false;
    target[n] = '\0';
    int len = snprintf(rest, sizeof rest, "%s/%s", target, k->rest);
    if (len >= (int)sizeof rest)
        return false;
    memcpy(k->rest, rest, (size_t)len + 1);
    if (target[0] == '/')
        memcpy(k->at, "/", 2);
    return true;
}

static mode_t type_of(const char *path)
{
    struct stat s;

    return lstat(path, &s) < 0 ? 0 : s.st_mode & S_IFMT;
}

/* Watch everything on the way to the file. @return whether the file exists */
static bool watch_way(struct policy_watch *w, const char *file)
{
    struct walk k = {.links = 0};
    char path[PATH_MAX];

    if (snprintf(k.rest, sizeof k.rest, "%s", file) >= (int)sizeof k.rest)
        return false;
    (void)snprintf(k.at, sizeof k.at, "%s", file[0] == '/' ? "/" : ".");
    watch(w, k.at, "", GONE);
    while (next_name(&k)) {
        if (strcmp(k.name, ".") == 0)
            continue;
        if (!path_of(&k, path))
            return false;
        mode_t type = type_of(path);
        if (type != S_IFDIR) {
            watch(w, k.at, k.name, is_last(&k) ? SAVED | GONE : PLACED | GONE);
            type = type_of(path); /* only changes from now on cause events */
        }
        if (type == S_IFLNK) {
            if (!follow(&k, path))
                return false;
        } else if (type == S_IFDIR) {
            memcpy(k.at, path, sizeof k.at);
            watch(w, k.at, "", GONE);
        } else {
            return type != 0 && is_last(&k);
        }
    }
    return false;
}

/* @return whether the policy's own file exists */
static bool renew(struct policy_watch *w)
{
    struct watch_point *before = w->points;
    const size_t n_before = w->n_points;
    bool there = false;
    const char *file;

    w->points = NULL;
    w->n_points = 0;
    w->blind = false;
    for (size_t i = 0; (file = policy_file(w->policy, i)) != NULL; i++) {
        bool found = watch_way(w, file);
        there = there || (i == 0 && found);
    }
    for (size_t i = 0; i < n_before; i++)
        if (before[i].watch >= 0 && !has_watch(w->points, w->n_points, before[i].watch))
            (void)inotify_rm_watch(w->fd, before[i].watch); /* several times, which is harmless */
    free_points(before, n_before);
    if (w->blind && !ev_is_active(&w->look))
        ev_timer_again(w->loop, &w->look);
    else if (!w->blind)
        ev_timer_stop(w->loop, &w->look);
    return there;
}

void policy_watch_renew(struct policy_watch *w)
{
    if (w->policy)
        (void)renew(w);
}

/* --- events --------------------------------------------------------------------------------------------- */

/* One folder may be watched under several names, which share a watch. */
static bool is_watched(const struct policy_watch *w, const struct inotify_event *event)
{
    for (size_t i = 0; event->len > 0 && i < w->n_points; i++)
        if (w->points[i].watch == event->wd && strcmp(w->points[i].name, event->name) == 0)
            return true;
    return false;
}

/* @return whether a folder on the way was lost */
static bool take_event(struct policy_watch *w, const struct inotify_event *event)
{
    if (event->mask & LOST)
        return has_watch(w->points, w->n_points, event->wd);
    /* Events were lost, perhaps one of ours. */
    if (event->mask & IN_Q_OVERFLOW || is_watched(w, event))
        ev_timer_again(w->loop, &w->settle);
    return false;
}

/* A lost folder may have come back already; otherwise its place is watched. A folder that was moved away
 * would still be watched, so renewing removes its watch. */
static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
    struct policy_watch *w = container_of(io, struct policy_watch, io);
    _Alignas(struct inotify_event) char space[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    ssize_t n = read(w->fd, space, sizeof space);
    bool lost = false;

    (void)revents;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const void *)(space + at);
        lost = take_event(w, event) || lost;
        at += (ssize_t)(sizeof *event + event->len);
    }
    if (lost && renew(w))
        ev_timer_again(loop, &w->settle);
}

static void on_settled(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct policy_watch *w = container_of(timer, struct policy_watch, settle);

    (void)revents;
    ev_timer_stop(loop, timer);
    policy_loading_ask(w->loading, NULL, "file", NULL, NULL);
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct policy_watch *w = container_of(timer, struct policy_watch, look);

    (void)revents;
    if (renew(w) && !w->blind)
        ev_timer_again(loop, &w->settle);
}

static void on_loading(struct loading_listener *l, enum loading_event event)
{
    (void)event; /* a refused load has also read files */
    policy_watch_renew(container_of(l, struct policy_watch, listener));
}

int policy_watch_start(struct policy_watch *w, struct ev_loop *loop, struct policy *policy,
                       struct policy_loading *loading)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0)
        return -errno;
    *w = (struct policy_watch){.loop = loop, .policy = policy, .loading = loading, .fd = fd};
    ev_io_init(&w->io, on_events, fd, EV_READ);
    ev_io_start(loop, &w->io);
    ev_init(&w->settle, on_settled);
    w->settle.repeat = SETTLE_S;
    ev_init(&w->look, on_look);
    w->look.repeat = LOOK_S;
    w->listener.hear = on_loading;
    policy_loading_listen(loading, &w->listener);
    policy_watch_renew(w);
    /* Reading lists may take long, and one may have been saved meanwhile, before the watch. */
    if (policy_lists_changed(policy))
        ev_timer_again(loop, &w->settle);
    return 0;
}

void policy_watch_stop(struct policy_watch *w)
{
    if (!w->policy)
        return;
    free_points(w->points, w->n_points); /* closing the descriptor ends the watches */
    ev_io_stop(w->loop, &w->io);
    ev_timer_stop(w->loop, &w->settle);
    ev_timer_stop(w->loop, &w->look);
    (void)close(w->fd);
    policy_loading_leave(&w->listener);
    w->policy = NULL;
}
