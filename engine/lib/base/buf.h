/* A byte queue with a hard limit: written at the end, consumed at the front.
 * Holds no memory while it is empty and released. */
#ifndef STEERWAY_BASE_BUF_H
#define STEERWAY_BASE_BUF_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stddef.h>

struct buf {
    char *data;   /* NULL until the first write */
    size_t start; /* first unread octet */
    size_t len;   /* unread octets */
    size_t cap;   /* 0 with data: the storage is borrowed */
    size_t max;   /* never holds more than this many octets */
};

void buf_init(struct buf *b, size_t max);
/** Frees the storage; the buffer can be used again. */
void buf_done(struct buf *b);

/** Makes room for at least n more octets and returns where to write them.
 *  @return 0, -ENOBUFS when n does not fit under max, -ENOMEM */
MUST_CHECK int buf_reserve(struct buf *b, size_t n, char **ret_space);
/** Counts n octets, written into reserved space, as content. */
void buf_commit(struct buf *b, size_t n);
/** @return 0, -ENOBUFS, -ENOMEM; all or nothing */
MUST_CHECK int buf_append(struct buf *b, const void *data, size_t n);
MUST_CHECK int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** Drops n octets (at most len) from the front. */
void buf_consume(struct buf *b, size_t n);
/** Frees the storage if nothing is in it. */
void buf_release_if_empty(struct buf *b);

/** Lets an empty buffer stand on n octets (at most max) that lie elsewhere, without a copy. Nobody else may
 *  write there until buf_keep. */
void buf_borrow(struct buf *b, char *data, size_t n);
/** Ends the loan: what has not been consumed moves into storage of the buffer's own.
 *  @return 0, -ENOMEM: nothing of it is left */
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
