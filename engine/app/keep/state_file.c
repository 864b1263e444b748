#include "keep/state_file.h"

#include "keep/lock_file.h"
#include "keep/whole_file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- where it is ---------------------------------------------------------------------------------------- */

static int path_in(char ret[PATH_MAX], const char *folder, size_t len, const char *rest, const char *file)
{
    int n = snprintf(ret, PATH_MAX, "%.*s%s/%s", (int)len, folder, rest, file);

    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

bool state_file_is_own_folder(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

int state_file_place(const char *file, char ret[PATH_MAX])
{
    const char *given = getenv("STATE_DIRECTORY"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (given && given[0] == '/')
        return path_in(ret, given, strcspn(given, ":"), "", file);
    if (state && state[0] == '/')
        return path_in(ret, state, strlen(state), "/steerway", file);
    if (geteuid() == 0 || state_file_is_own_folder("/var/lib/steerway"))
        return path_in(ret, "/var/lib", strlen("/var/lib"), "/steerway", file);
    if (home && home[0] == '/')
        return path_in(ret, home, strlen(home), "/.local/state/steerway", file);
    return -ENOENT;
}

int state_file_default(char ret[PATH_MAX])
{
    return state_file_place("state.json", ret);
}

/* --- writing -------------------------------------------------------------------------------------------- */

static void *write_text(void *arg)
{
    struct state_file *f = arg;

    f->result = whole_file_replace(f->path, f->text);
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

static void begin(struct state_file *f, struct ev_loop *loop, const char *path, int lock_fd)
{
    *f = (struct state_file){.loop = loop, .lock_fd = lock_fd};
    memcpy(f->path, path, strlen(path) + 1);
    ev_async_init(&f->written, on_written);
    ev_async_start(loop, &f->written);
    ev_unref(loop); /* the watcher must not keep the loop running */
}

int state_file_open(struct state_file *f, struct ev_loop *loop, const char *path, char **ret_text)
{
    char *text = NULL;

    if (strlen(path) >= PATH_MAX - sizeof ".lock")
        return -ENAMETOOLONG;
    whole_file_folders(path);
    int lock_fd = lock_file_take(path);
    if (lock_fd < 0)
        return lock_fd;
    int r = whole_file_read(path, &text);
    if (r < 0) {
        (void)close(lock_fd);
        return r;
    }
    begin(f, loop, path, lock_fd);
    *ret_text = text;
    return 0;
}

int state_file_take_over(struct state_file *f, struct ev_loop *loop, const char *path, int lock_fd)
{
    if (strlen(path) >= PATH_MAX - sizeof ".lock") {
        (void)close(lock_fd);
        return -ENAMETOOLONG;
    }
    begin(f, loop, path, lock_fd);
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
    int r = text ? whole_file_replace(f->path, text) : 0;
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
