#include "sets/list_file.h"

#include "base/utf8.h"
#include "sets/list_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINES_BETWEEN_LOOKS = 4096, TICK_NS = 20000000 /* two ticks at HZ=100 */ };
static const char BOM[] = "\xef\xbb\xbf";

struct reading {
    struct list_file *list;
    const char *path;
    const atomic_bool *stop;
    size_t lines, bytes;
    char *err;
};

const char *list_file_kind_name(enum list_kind kind)
{
    return kind == LIST_NAMES ? "domains" : "cidrs";
}

/* --- state of a file ------------------------------------------------------------------------------------ */

static int64_t ns_of(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct list_file_stamp stamp_of(const struct stat *s)
{
    return (struct list_file_stamp){.dev = s->st_dev,
                                    .inode = s->st_ino,
                                    .size = s->st_size,
                                    .mtime_ns = ns_of(s->st_mtim),
                                    .ctime_ns = ns_of(s->st_ctim)};
}

int list_file_stamp_read(const char *path, struct list_file_stamp *ret)
{
    struct stat s;

    if (stat(path, &s) < 0)
        return -errno;
    *ret = stamp_of(&s);
    return 0;
}

bool list_file_stamp_same(const struct list_file_stamp *a, const struct list_file_stamp *b)
{
    return a->dev == b->dev && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

/* Two writes within one tick of the kernel's clock have the same time. Wait until a later write would have
 * another. */
static int let_settle(int fd, struct stat *s)
{
    struct timespec now, pause = {.tv_nsec = TICK_NS};
    int64_t age;

    if (fstat(fd, s) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0)
        return -errno;
    age = ns_of(now) - ns_of(s->st_ctim);
    if (age < 0 || age > TICK_NS)
        return 0;
    (void)nanosleep(&pause, NULL);
    return fstat(fd, s) < 0 ? -errno : 0;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static int list_refuse(const struct reading *r, int error, const char *why)
{
    (void)snprintf(r->err, LIST_FILE_ERROR_MAX, "%.400s: %s", r->path, why);
    return error;
}

static int add_name(void *arg, struct slice name, unsigned covers)
{
    return name_set_add(arg, name, covers);
}

static int add_range(void *arg, struct slice range, unsigned covers)
{
    (void)covers;
    return range_set_add(arg, range);
}

/* Copy the start of a line, to be shown. @return whether all of it is text */
static bool show(char ret[static LIST_FILE_SHOWN_MAX + 1], struct slice line)
{
    bool is_text = true;
    size_t n = 0;

    while (line.len > 0) {
        size_t len = utf8_len(line), room = len > 0 ? len : 1;
        if (n + room > LIST_FILE_SHOWN_MAX)
            break;
        unsigned char c = (unsigned char)line.data[0];
        is_text = is_text && len > 0 && c != '\0';
        memcpy(ret + n, len == 0 ? "?" : c < ' ' || c == 0x7f ? " " : line.data, room);
        n += room;
        line = slice_of(line.data + room, line.len - room);
    }
    ret[n] = '\0';
    return is_text;
}

static void note_unknown(struct reading *r, struct slice line)
{
    struct list_file *l = r->list;

    if (l->unknown++ > 0)
        return;
    l->unknown_line = r->lines;
    while (line.len > 0 && memchr(" \t\r\n", line.data[line.len - 1], 4))
        line.len--;
    l->unknown_is_text = show(l->unknown_text, line);
}

static int take_line(struct reading *r, struct slice line)
{
    struct list_file *l = r->list;

    if (r->lines++ == 0 && line.len >= sizeof BOM - 1 && memcmp(line.data, BOM, sizeof BOM - 1) == 0)
        line = slice_of(line.data + sizeof BOM - 1, line.len - (sizeof BOM - 1));
    int found = l->kind == LIST_NAMES ? list_line_names(line, add_name, l->names)
                                      : list_line_ranges(line, add_range, l->ranges);
    if (found < 0)
        return list_refuse(r, found, "out of memory");
    if (found == LIST_LINE_UNKNOWN)
        note_unknown(r, line);
    if (list_file_count(l) > LIST_FILE_ENTRIES_MAX)
        return list_refuse(r, -E2BIG,
                           l->kind == LIST_NAMES ? "has more than 2000000 names"
                                                 : "has more than 2000000 ranges");
    return 0;
}

static int take_lines(struct reading *r, FILE *f)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    int err = 0;

    while (err == 0 && (len = getline(&line, &room, f)) >= 0) {
        r->bytes += (size_t)len;
        if (r->bytes > LIST_FILE_BYTES_MAX)
            err = list_refuse(r, -EFBIG, "is larger than 64 MiB");
        else if (r->stop && r->lines % LINES_BETWEEN_LOOKS == 0 && atomic_load(r->stop))
            err = list_refuse(r, -ECANCELED, "the proxy stops");
        else
            err = take_line(r, slice_of(line, (size_t)len));
    }
    if (err == 0 && ferror(f))
        err = list_refuse(r, -EIO, strerror(errno ? errno : EIO));
    free(line);
    return err;
}

/* A file without any known line may be a login page, or a list of another kind. */
static int check_understood(const struct reading *r)
{
    const struct list_file *l = r->list;

    if (l->unknown == 0 || list_file_count(l) > 0)
        return 0;
    if (!l->unknown_is_text)
        return list_refuse(r, -EINVAL, "expected text in UTF-8, not another encoding or a compressed file");
    (void)snprintf(r->err, LIST_FILE_ERROR_MAX, "%.300s:%zu: no line of it is understood; the first is '%s'",
                   r->path, l->unknown_line, l->unknown_text);
    return -EINVAL;
}

static int read_file(struct reading *r)
{
    struct stat s;
    int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return list_refuse(r, -errno, strerror(errno));
    int bad = let_settle(fd, &s);
    int err = bad < 0                           ? list_refuse(r, bad, strerror(-bad))
              : !S_ISREG(s.st_mode)             ? list_refuse(r, -EINVAL, "expected a regular file")
              : s.st_size > LIST_FILE_BYTES_MAX ? list_refuse(r, -EFBIG, "is larger than 64 MiB")
                                                : 0;
    FILE *f = err == 0 ? fdopen(fd, "r") : NULL;
    if (err == 0 && !f)
        err = list_refuse(r, -ENOMEM, "out of memory");
    if (!f) {
        (void)close(fd);
        return err;
    }
    r->list->stamp = stamp_of(&s); /* from before the reading: a write during it shows as a change */
    err = take_lines(r, f);
    (void)fclose(f);
    return err;
}

int list_file_read(struct list_file **ret, enum list_kind kind, const char *path, const atomic_bool *stop,
                   char *err)
{
    struct list_file *l = calloc(1, sizeof *l);
    struct reading r = {.list = l, .path = path, .stop = stop, .err = err};

    if (!l)
        return list_refuse(&r, -ENOMEM, "out of memory");
    l->kind = kind;
    if (kind == LIST_NAMES)
        l->names = name_set_new();
    else
        l->ranges = range_set_new();
    int rc = l->names || l->ranges ? read_file(&r) : list_refuse(&r, -ENOMEM, "out of memory");
    if (rc == 0)
        rc = check_understood(&r);
    if (rc < 0) {
        list_file_free(l);
        return rc;
    }
    if (kind == LIST_NAMES)
        name_set_trim(l->names);
    else
        range_set_finish(l->ranges);
    *ret = l;
    return 0;
}

void list_file_free(struct list_file *l)
{
    if (!l)
        return;
    name_set_free(l->names);
    range_set_free(l->ranges);
    free(l);
}

size_t list_file_count(const struct list_file *l)
{
    return l->kind == LIST_NAMES ? name_set_count(l->names) : range_set_count(l->ranges);
}

size_t list_file_bytes(const struct list_file *l)
{
    return sizeof *l + (l->kind == LIST_NAMES ? name_set_bytes(l->names) : range_set_bytes(l->ranges));
}
