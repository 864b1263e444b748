#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_ALLOCATION = 512 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    if (b->cap > 0)
        free(b->data);
    *b = (struct buf){.max = b->max};
}

/* Make room for n more bytes after the content; max does not count. */
static int make_room(struct buf *b, size_t n)
{
    int err = buf_keep(b);
    if (err < 0)
        return err;
    if (b->start + b->len + n > b->cap && b->start > 0) {
        memmove(b->data, b->data + b->start, b->len);
        b->start = 0;
    }
    if (b->data && b->len + n <= b->cap)
        return 0;
    size_t cap = b->cap ? b->cap : SMALLEST_ALLOCATION;
    while (cap < b->len + n)
        cap *= 2;
    if (cap > b->max)
        cap = b->max > b->len + n ? b->max : b->len + n;
    if (cap == 0)
        cap = 1; /* realloc to 0 bytes would free */
    char *data = realloc(b->data, cap);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_reserve(struct buf *b, size_t n, char **ret_space)
{
    if (n > b->max - b->len)
        return -ENOBUFS;
    int r = make_room(b, n);
    if (r < 0)
        return r;
    *ret_space = b->data + b->start + b->len;
    return 0;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(b->start + b->len + n <= b->cap);
    b->len += n;
}

int buf_append(struct buf *b, const void *data, size_t n)
{
    if (n == 0)
        return 0;
    char *space;
    int r = buf_reserve(b, n, &space);
    if (r < 0)
        return r;
    memcpy(space, data, n);
    buf_commit(b, n);
    return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    int r = n < 0 ? -EINVAL : 0;
    if (r == 0 && (size_t)n > b->max - b->len)
        r = -ENOBUFS;
    if (r == 0)
        r = make_room(b, (size_t)n + 1); /* room for vsnprintf's NUL, which does not count against max */
    if (r == 0) {
        (void)vsnprintf(b->data + b->start + b->len, (size_t)n + 1, fmt, again);
        buf_commit(b, (size_t)n);
    }
    va_end(again);
    return r;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    b->start += n;
    b->len -= n;
    if (b->len == 0)
        b->start = 0;
}

void buf_release_if_empty(struct buf *b)
{
    if (b->len == 0)
        buf_done(b);
}

void buf_borrow(struct buf *b, char *data, size_t n)
{
    assert(b->len == 0);
    buf_done(b);
    b->data = data;
    b->len = n;
}

int buf_keep(struct buf *b)
{
    struct buf lent = *b;

    if (!b->data || b->cap > 0)
        return 0;
    buf_done(b);
    return buf_append(b, lent.data + lent.start, lent.len);
}
