/* Makes ClientHellos, byte by byte after RFC 8446 4.1.2. */
#ifndef TESTS_UNIT_PEEK_HELLO_H
#define TESTS_UNIT_PEEK_HELLO_H

#include "proto/exact.h"

struct bytes {
    size_t len;
    char data[96 * 1024];
};

static inline void put(struct bytes *b, struct slice more)
{
    assert_true(more.len <= sizeof b->data - b->len);
    if (more.len > 0)
        memcpy(b->data + b->len, more.data, more.len);
    b->len += more.len;
}

static inline void put_number(struct bytes *b, size_t number, size_t size)
{
    while (size-- > 0) {
        const char byte = (char)(number >> 8 * size);
        put(b, slice_of(&byte, 1));
    }
}

static inline void put_zeros(struct bytes *b, size_t n)
{
    while (n-- > 0)
        put_number(b, 0, 1);
}

/* Write the length of all that follows `at` into the `size` bytes before it. */
static inline void put_length(struct bytes *b, size_t at, size_t size)
{
    const size_t end = b->len, n = end - at;

    b->len = at - size;
    put_number(b, n, size);
    b->len = end;
}

struct hello {
    const char *name;    /* NULL: no server_name extension */
    struct slice before; /* whole extensions before server_name */
    struct slice behind; /* the same behind it */
    size_t after;        /* bytes of another extension at the end */
    struct slice names;  /* if not empty: the extension's content, in the place of name */
    bool bare;           /* the message ends before the extensions */
};

static inline void put_server_name(struct bytes *b, const struct hello *h, size_t *ret_name_end)
{
    put_number(b, 0, 2);
    put_number(b, 0, 2);
    const size_t extension = b->len;
    if (h->names.len > 0) {
        put(b, h->names);
    } else {
        put_number(b, strlen(h->name) + 3, 2);
        put_number(b, 0, 1);
        put_number(b, strlen(h->name), 2);
        put(b, slice_str(h->name));
    }
    put_length(b, extension, 2);
    *ret_name_end = b->len;
}

/* The message without records. @param ret_name_end  where the name ends in it */
static inline void hello_message(struct bytes *b, const struct hello *h, size_t *ret_name_end)
{
    b->len = 0;
    *ret_name_end = 0;
    put(b, slice_of("\x01\0\0\0\x03\x03", 6));
    const size_t body = 4;
    put_zeros(b, 32);
    put_number(b, 32, 1);
    put_zeros(b, 32);
    put_number(b, 6, 2);
    put(b, slice_of("\x5a\x5a\x13\x01\x13\x02", 6)); /* the first is GREASE (RFC 8701) */
    put(b, slice_of("\x01\0", 2));
    if (!h->bare) {
        put_number(b, 0, 2);
        const size_t extensions = b->len;
        put(b, h->before);
        if (h->name || h->names.len > 0)
            put_server_name(b, h, ret_name_end);
        put(b, h->behind);
        if (h->after > 0) {
            put_number(b, 51, 2);
            put_number(b, h->after, 2);
            put_zeros(b, h->after);
        }
        put_length(b, extensions, 2);
    }
    put_length(b, body, 3);
}

/* A message in records of at most `size` bytes. @return where the message's byte at `mark` ends */
static inline size_t hello_records(struct bytes *b, const struct bytes *message, size_t size, size_t mark)
{
    size_t end = 0;

    b->len = 0;
    for (size_t at = 0; at < message->len; at += size) {
        const size_t left = message->len - at, n = left < size ? left : size;
        put(b, slice_of("\x16\x03\x01", 3));
        put_number(b, n, 2);
        if (mark > at && mark <= at + n)
            end = b->len + (mark - at);
        put(b, slice_of(message->data + at, n));
    }
    return end;
}

#endif
