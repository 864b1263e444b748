/* A byte queue with a hard limit: written at the end, consumed at the front. Once empty and released, it
 * holds no memory. */
#ifndef STEERWAY_BASE_BUF_H
#define STEERWAY_BASE_BUF_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stddef.h>

struct buf {
    char *data;   /* NULL until the first write */
    size_t start; /* the first unread byte */
    size_t len;   /* unread bytes */
    size_t cap;   /* 0 while data is NULL or borrowed */
    size_t max;   /* len never exceeds it */
};

void buf_init(struct buf *b, size_t max);
/** Free the storage; the buffer can be used again. */
void buf_done(struct buf *b);

/** Make room for at least n more bytes.
 *  @param ret_space  where to write them; valid until the next call on b
 *  @return 0, -ENOBUFS if n does not fit under max, -ENOMEM */
MUST_CHECK int buf_reserve(struct buf *b, size_t n, char **ret_space);
/** Append n bytes that were written into reserved space. */
void buf_commit(struct buf *b, size_t n);
/** All or nothing. @return 0, -ENOBUFS, -ENOMEM */
MUST_CHECK int buf_append(struct buf *b, const void *data, size_t n);
MUST_CHECK int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** Drop n bytes (at most len) from the front. */
void buf_consume(struct buf *b, size_t n);
/** Free the storage if the buffer is empty. */
void buf_release_if_empty(struct buf *b);

/** Let an empty buffer hold n bytes (at most max) that lie elsewhere, without a copy. Nothing else may write
 * there until buf_keep. */
void buf_borrow(struct buf *b, char *data, size_t n);
/** End the loan: the bytes that remain move into the buffer's own storage.
 *  @return 0, or -ENOMEM, after which the buffer is empty */
MUST_CHECK int buf_keep(struct buf *b);

static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->len ? b->data + b->start : "", b->len);
}

static inline size_t buf_room(const struct buf *b)
{
    return b->max - b->len;
}

#endif
