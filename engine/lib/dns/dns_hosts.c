#include "dns/dns_hosts.h"

#include "dns/dns_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double LOOK_S = 1;
/* Ad-blocking lists in this file have about 5 MB. Bytes after this size are not read. */
enum { SIZE_MAX_BYTES = 64 << 20 };

/* A name in the file. */
struct dns_hosts_entry {
    uint32_t hash, name, line; /* offsets in the text */
    uint8_t len;
};

void dns_hosts_init(struct dns_hosts *h, const char *path)
{
    *h = (struct dns_hosts){.path = path ? path : "/etc/hosts"};
}

static void drop_entries(struct dns_hosts *h)
{
    free(h->text);
    free(h->entries);
    h->text = NULL;
    h->entries = NULL;
    h->n = 0;
}

void dns_hosts_done(struct dns_hosts *h)
{
    drop_entries(h);
}

/* --- reading -------------------------------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
    const struct dns_hosts_entry *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static size_t word_length(const char *at, const char *end)
{
    size_t n = 0;

    while (at + n < end && !is_blank(at[n]))
        n++;
    return n;
}

static int add(struct dns_hosts *h, size_t *room, size_t line, struct slice name)
{
    if (name.len > UINT8_MAX)
        return 0;
    if (h->n == *room) {
        size_t more = *room ? 2 * *room : 64;
        struct dns_hosts_entry *entries = reallocarray(h->entries, more, sizeof *entries);
        if (!entries)
            return -ENOMEM;
        h->entries = entries;
        *room = more;
    }
    h->entries[h->n++] = (struct dns_hosts_entry){.hash = (uint32_t)dns_name_hash(name),
                                                  .line = (uint32_t)line,
                                                  .name = (uint32_t)(name.data - h->text),
                                                  .len = (uint8_t)name.len};
    return 0;
}

/* "ADDRESS NAME ... # comment" */
static int take_line(struct dns_hosts *h, size_t *room, const char *at, const char *end)
{
    const char *comment = memchr(at, '#', (size_t)(end - at));
    int r = 0;

    end = comment ? comment : end;
    while (at < end && is_blank(*at))
        at++;
    const size_t line = (size_t)(at - h->text);
    for (at += word_length(at, end); at < end && r == 0;) {
        while (at < end && is_blank(*at))
            at++;
        size_t len = word_length(at, end);
        if (len > 0)
            r = add(h, room, line, slice_of(at, len));
        at += len;
    }
    return r;
}

static int take_lines(struct dns_hosts *h, size_t len)
{
    const char *end = h->text + len;
    size_t room = 0;
    int r = 0;

    for (const char *at = h->text; at < end && r == 0;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        newline = newline ? newline : end;
        r = take_line(h, &room, at, newline);
        at = newline + 1;
    }
    if (h->n > 0)
        qsort(h->entries, h->n, sizeof *h->entries, by_hash);
    return r;
}

static void read_file(struct dns_hosts *h, int fd, size_t size)
{
    size_t len = 0;
    ssize_t n = 1;

    drop_entries(h);
    h->text = malloc(size + 1);
    while (h->text && len < size && n > 0) {
        n = read(fd, h->text + len, size - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (!h->text)
        return;
    h->text[len] = '\0';
    if (take_lines(h, len) < 0)
        drop_entries(h);
}

static void hosts_look(struct dns_hosts *h)
{
    struct stat st;
    int fd = open(h->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        drop_entries(h);
        h->inode = 0;
    } else if (h->inode != st.st_ino || h->size != st.st_size || h->modified.tv_sec != st.st_mtim.tv_sec ||
               h->modified.tv_nsec != st.st_mtim.tv_nsec) {
        h->inode = st.st_ino;
        h->size = st.st_size;
        h->modified = st.st_mtim;
        read_file(h, fd, st.st_size < SIZE_MAX_BYTES ? (size_t)st.st_size : SIZE_MAX_BYTES);
    }
    if (fd >= 0)
        (void)close(fd);
}

/* --- finding -------------------------------------------------------------------------------------------- */

/* The first entry with this hash, or the place where it would be. */
static size_t first_of(const struct dns_hosts *h, uint32_t hash)
{
    size_t from = 0, to = h->n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (h->entries[middle].hash < hash)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

size_t dns_hosts_find(struct dns_hosts *h, struct slice name, double now, struct addr *ret, size_t max)
{
    uint32_t hash = (uint32_t)dns_name_hash(name);
    size_t n = 0;

    if (h->looked_at == 0 || now >= h->looked_at + LOOK_S) {
        h->looked_at = now;
        hosts_look(h);
    }
    for (size_t i = first_of(h, hash); i < h->n && n < max && h->entries[i].hash == hash; i++) {
        const struct dns_hosts_entry *e = &h->entries[i];
        const char *line = h->text + e->line;
        if (slice_ieq(slice_of(h->text + e->name, e->len), name) &&
            addr_parse_ip(&ret[n], slice_of(line, strcspn(line, " \t\r\n")), 0) == 0)
            n++;
    }
    return n;
}
