#include "sets/lists.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* --- entries -------------------------------------------------------------------------------------------- */

static void entry_free(struct list_entry *e)
{
    list_file_free(e->list);
    free(e->path);
    free(e);
}

static bool is_for(const struct list_entry *e, enum list_kind kind, const char *path)
{
    return e->kind == kind && strcmp(e->path, path) == 0;
}

/* Find the entry that was checked or read in this load; a script may still use an older one. */
static struct list_entry *find_list(const struct lists *l, enum list_kind kind, const char *path)
{
    struct list_file_stamp now;

    for (size_t i = 0; i < l->n; i++)
        if (l->entries[i]->fresh && is_for(l->entries[i], kind, path))
            return l->entries[i];
    if (list_file_stamp_read(path, &now) < 0)
        return NULL;
    for (size_t i = 0; i < l->n; i++) {
        struct list_entry *e = l->entries[i];
        if (e->list && is_for(e, kind, path) && list_file_stamp_same(&e->list->stamp, &now)) {
            e->fresh = true;
            return e;
        }
    }
    return NULL;
}

static void drop_wishes(struct lists *l)
{
    for (size_t i = 0; i < l->n_wanted; i++) {
        list_file_free(l->wanted[i].list);
        free(l->wanted[i].path);
    }
    free(l->wanted);
    l->wanted = NULL;
    l->n_wanted = 0;
}

void lists_done(struct lists *l)
{
    drop_wishes(l);
    for (size_t i = 0; i < l->n; i++)
        entry_free(l->entries[i]);
    free(l->entries);
    *l = (struct lists){.n = 0};
}

void list_use_done(struct list_use *u)
{
    for (size_t i = 0; i < u->n; i++)
        u->held[i]->refs--;
    *u = (struct list_use){.n = 0};
}

const struct list_file *list_use_find(const struct list_use *u, enum list_kind kind, const char *path)
{
    for (size_t i = 0; i < u->n; i++)
        if (is_for(u->held[i], kind, path))
            return u->held[i]->list;
    return NULL;
}

bool list_use_changed(const struct list_use *u)
{
    struct list_file_stamp now;

    for (size_t i = 0; i < u->n; i++) {
        const struct list_entry *e = u->held[i];
        if (list_file_stamp_read(e->path, &now) == 0 && !list_file_stamp_same(&e->list->stamp, &now))
            return true;
    }
    return false;
}

/* --- a load --------------------------------------------------------------------------------------------- */

void lists_begin(struct lists *l)
{
    drop_wishes(l);
    for (size_t i = 0; i < l->n; i++)
        l->entries[i]->fresh = false;
}

void lists_end(struct lists *l)
{
    size_t n = 0;

    drop_wishes(l);
    for (size_t i = 0; i < l->n; i++) {
        if (l->entries[i]->refs > 0)
            l->entries[n++] = l->entries[i];
        else
            entry_free(l->entries[i]);
    }
    l->n = n;
}

static int want(struct lists *l, enum list_kind kind, const char *path, char *err)
{
    for (size_t i = 0; i < l->n_wanted; i++)
        if (l->wanted[i].kind == kind && strcmp(l->wanted[i].path, path) == 0)
            return -EAGAIN;
    if (l->n_wanted == LISTS_MAX) {
        (void)snprintf(err, LIST_FILE_ERROR_MAX, "%.300s: too many lists: at most 64 for a policy", path);
        return -E2BIG;
    }
    struct list_wish *more = reallocarray(l->wanted, l->n_wanted + 1, sizeof *more);
    char *copy = strdup(path);
    if (more)
        l->wanted = more;
    if (!more || !copy) {
        free(copy);
        (void)snprintf(err, LIST_FILE_ERROR_MAX, "%.300s: out of memory", path);
        return -ENOMEM;
    }
    l->wanted[l->n_wanted++] = (struct list_wish){.path = copy, .kind = kind};
    return -EAGAIN;
}

static int hold(struct list_use *u, struct list_entry *e, char *err)
{
    for (size_t i = 0; i < u->n; i++)
        if (u->held[i] == e)
            return 0;
    if (u->n == LISTS_MAX) {
        (void)snprintf(err, LIST_FILE_ERROR_MAX, "%.300s: too many lists: at most 64 for a policy", e->path);
        return -E2BIG;
    }
    if (u->bytes + list_file_bytes(e->list) > LISTS_BYTES_MAX) {
        (void)snprintf(err, LIST_FILE_ERROR_MAX,
                       "%.300s: the policy's lists take more than 256 MiB of memory", e->path);
        return -E2BIG;
    }
    u->bytes += list_file_bytes(e->list);
    u->held[u->n++] = e;
    e->refs++;
    return 0;
}

int lists_use(struct lists *l, struct list_use *u, enum list_kind kind, const char *path,
              const struct list_file **ret, char *err)
{
    struct list_entry *e = find_list(l, kind, path);

    if (!e)
        return want(l, kind, path, err);
    if (!e->list) {
        (void)snprintf(err, LIST_FILE_ERROR_MAX, "%s", e->error);
        return -EINVAL;
    }
    int r = hold(u, e, err);
    if (r == 0)
        *ret = e->list;
    return r;
}

/* --- reading -------------------------------------------------------------------------------------------- */

void lists_read(struct lists *l, const atomic_bool *stop)
{
    for (size_t i = 0; i < l->n_wanted; i++) {
        struct list_wish *w = &l->wanted[i];
        if (list_file_read(&w->list, w->kind, w->path, stop, w->error) < 0)
            w->list = NULL;
    }
}

static void log_read(const struct list_wish *w)
{
    const struct list_file *list = w->list;
    struct log_line l;

    if (list->unknown == 0 && list_file_count(list) > 0)
        return;
    if (list->unknown == 0) { /* as after a failed download */
        log_begin(&l, EVENT_LIST_EMPTY);
        log_str(&l, "list", w->path);
        return log_end(&l);
    }
    log_begin(&l, EVENT_LIST_LINES_IGNORED);
    log_str(&l, "list", w->path);
    log_u64(&l, "lines", list->unknown);
    log_u64(&l, "first", list->unknown_line);
    log_str(&l, "text", list->unknown_text);
    log_u64(&l, "understood", list_file_count(list));
    log_end(&l);
}

static int take_wish(struct lists *l, struct list_wish *w)
{
    struct list_entry **more = reallocarray(l->entries, l->n + 1, sizeof(struct list_entry *));
    struct list_entry *e = more ? calloc(1, sizeof *e) : NULL;

    if (more)
        l->entries = more;
    if (!e)
        return -ENOMEM;
    e->path = w->path;
    e->kind = w->kind;
    e->list = w->list;
    e->fresh = true;
    memcpy(e->error, w->error, sizeof e->error);
    w->path = NULL;
    w->list = NULL;
    l->entries[l->n++] = e;
    return 0;
}

void lists_take(struct lists *l)
{
    for (size_t i = 0; i < l->n_wanted; i++) {
        if (l->wanted[i].list)
            log_read(&l->wanted[i]);
        if (take_wish(l, &l->wanted[i]) < 0)
            log_plain(EVENT_LIST_LEFT_OUT); /* the next load wants it again */
    }
    drop_wishes(l);
}
