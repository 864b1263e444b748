#include "control/policy_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Editors write a backup, rename, write and rename again within some milliseconds. */
static const double SETTLE_S = 0.1;
/* How often a folder that has gone is looked for. */
static const double LOOK_S = 1;

/* One that is being written fires again when it is closed; IN_CREATE is for links, which nobody closes, and
 * IN_ATTRIB for permissions that are given back. The folder, and not the file, since most ways to save put a
 * new file in the old one's place. */
enum {
    SAVED = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB,
    LOST = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED,
};

static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) : 0;
}

static const char *name_in(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* "p.lua" is in ".", "/p.lua" in "/". Freed by the caller; NULL without memory. */
static char *folder_of(const char *path)
{
    size_t len = folder_len(path);

    if (!strchr(path, '/'))
        return strdup(".");
    return len == 0 ? strdup("/") : strndup(path, len);
}

/* --- which folders -------------------------------------------------------------------------------------- */

static bool has_folder(const struct policy_watch *w, const char *name)
{
    for (size_t i = 0; i < w->n_folders; i++)
        if (strcmp(w->names[i], name) == 0)
            return true;
    return false;
}

static bool has_watch(const struct policy_watch *w, int watch)
{
    for (size_t i = 0; i < w->n_folders; i++)
        if (w->folders[i] == watch)
            return true;
    return false;
}

static void add_folder(struct policy_watch *w, char *name)
{
    if (!name || w->n_folders == POLICY_WATCH_FOLDERS_MAX || has_folder(w, name)) {
        free(name);
        return;
    }
    int watch = inotify_add_watch(w->fd, name, SAVED | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
    if (watch < 0)
        ev_timer_again(w->loop, &w->look);
    w->folders[w->n_folders] = watch;
    w->names[w->n_folders++] = name;
}

/* A folder that stays keeps its watch (the kernel gives the same one again): what happened in it meanwhile is
 * still to be read, and would be nobody's with another. */
void policy_watch_renew(struct policy_watch *w)
{
    const struct policy_watch before = *w;
    const char *file;

    if (!w->policy)
        return;
    w->n_folders = 0;
    for (size_t i = 0; (file = policy_file(w->policy, i)) != NULL; i++) {
        add_folder(w, folder_of(file));
        char *real = realpath(file, NULL); /* a link's file is saved where it is */
        if (real)
            add_folder(w, folder_of(real));
        free(real);
    }
    for (size_t i = 0; i < before.n_folders; i++) {
        if (before.folders[i] >= 0 && !has_watch(w, before.folders[i]))
            (void)inotify_rm_watch(w->fd, before.folders[i]);
        free(before.names[i]);
    }
}

static void forget_folders(struct policy_watch *w)
{
    for (size_t i = 0; i < w->n_folders; i++)
        free(w->names[i]); /* closing the descriptor ends the watches */
    w->n_folders = 0;
}

/* --- what happens in them ------------------------------------------------------------------------------- */

static bool is_in(const char *file, const char *folder, const char *name)
{
    char *own = folder_of(file);
    bool same = own && strcmp(own, folder) == 0 && strcmp(name_in(file), name) == 0;

    free(own);
    return same;
}

static bool is_policys(const struct policy_watch *w, const char *folder, const char *name)
{
    const char *file;

    for (size_t i = 0; (file = policy_file(w->policy, i)) != NULL; i++) {
        char *real = realpath(file, NULL);
        bool same = is_in(file, folder, name) || (real && is_in(real, folder, name));
        free(real);
        if (same)
            return true;
    }
    return false;
}

/* A folder may be there under two names, its own and that by which the policy was given. */
static bool is_ours(const struct policy_watch *w, const struct inotify_event *event)
{
    for (size_t i = 0; event->len > 0 && i < w->n_folders; i++)
        if (w->folders[i] == event->wd && is_policys(w, w->names[i], event->name))
            return true;
    return false;
}

static void lose_folder(struct policy_watch *w, int watch)
{
    for (size_t i = 0; i < w->n_folders; i++) {
        if (w->folders[i] != watch)
            continue;
        (void)inotify_rm_watch(w->fd, watch); /* moved away, it would be followed */
        w->folders[i] = -1;
        ev_timer_again(w->loop, &w->look);
    }
}

static void take_event(struct policy_watch *w, const struct inotify_event *event)
{
    if (event->mask & LOST)
        lose_folder(w, event->wd);
    /* Events were lost: one of them may have been ours. */
    else if (event->mask & IN_Q_OVERFLOW || is_ours(w, event))
        ev_timer_again(w->loop, &w->settle);
}

static void on_events(struct ev_loop *loop, ev_io *io, int revents)
{
    struct policy_watch *w = container_of(io, struct policy_watch, io);
    _Alignas(struct inotify_event) char space[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    ssize_t n = read(w->fd, space, sizeof space);

    (void)loop;
    (void)revents;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const void *)(space + at);
        take_event(w, event);
        at += (ssize_t)(sizeof *event + event->len);
    }
}

static void on_settled(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct policy_watch *w = container_of(timer, struct policy_watch, settle);

    (void)revents;
    ev_timer_stop(loop, timer);
    policy_loading_ask(w->loading, NULL, "file", NULL, NULL);
}

/* A folder that comes again brings other files with it. */
static void on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct policy_watch *w = container_of(timer, struct policy_watch, look);
    bool missing = false, found = false;

    (void)revents;
    for (size_t i = 0; i < w->n_folders; i++) {
        if (w->folders[i] >= 0)
            continue;
        w->folders[i] =
            inotify_add_watch(w->fd, w->names[i], SAVED | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
        found = found || w->folders[i] >= 0;
        missing = missing || w->folders[i] < 0;
    }
    if (!missing)
        ev_timer_stop(loop, timer);
    if (found)
        ev_timer_again(loop, &w->settle);
}

static void after_load(void *arg)
{
    policy_watch_renew(arg);
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
    loading->after = after_load;
    loading->after_arg = w;
    policy_watch_renew(w);
    return 0;
}

void policy_watch_stop(struct policy_watch *w)
{
    if (!w->policy)
        return;
    forget_folders(w);
    ev_io_stop(w->loop, &w->io);
    ev_timer_stop(w->loop, &w->settle);
    ev_timer_stop(w->loop, &w->look);
    (void)close(w->fd);
    w->loading->after = NULL;
    w->policy = NULL;
}
