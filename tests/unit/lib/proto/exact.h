/* Runs parsers over exact-size heap copies of their input, where the address sanitizer sees a read of one
 * byte past the end, and holds them to proto/parse.h: every proper prefix of a message asks for more, what
 * follows a message is not touched, a bad message is refused at its earliest wrong byte and stays refused.
 */
#ifndef TESTS_UNIT_PROTO_EXACT_H
#define TESTS_UNIT_PROTO_EXACT_H

#include "base/compiler.h"
#include "proto/parse.h"
#include "support/copy.h"

#include <stdio.h>

/** A literal and its length, bytes after a NUL included. */
#define BYTES(literal) (literal), (sizeof(literal) - 1)

/* --- copies --------------------------------------------------------------------------------------------- */

struct exact {
    char *block;
    const char *data;
};

static inline struct exact exact_copy(const char *data, size_t len)
{
    /* malloc(0) rounds up to one byte, so the redzone starts after that. */
    char *block = heap_copy(data, len);
    return (struct exact){.block = block, .data = len ? block : block + 1};
}

/** One after the other, on the heap. `after` is not empty. */
static inline char *exact_join(struct slice before, struct slice after)
{
    char *data = malloc(before.len + after.len);

    assert_non_null(data);
    assert_true(after.len > 0);
    if (before.len > 0)
        memcpy(data, before.data, before.len);
    memcpy(data + before.len, after.data, after.len);
    return data;
}

/** The bytes as text for a failure's message; good until the next call. */
static inline const char *exact_show(const char *data, size_t len)
{
    static char text[512];
    size_t n = 0;

    for (size_t i = 0; i < len && n + 8 < sizeof text; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c >= 0x20 && c < 0x7f && c != '\\')
            text[n++] = (char)c;
        else
            n += (size_t)snprintf(text + n, 5, "\\x%02x", c);
    }
    (void)snprintf(text + n, sizeof text - n, "%s", n + 8 < sizeof text ? "" : "...");
    return text;
}

static inline const char *exact_verdict(enum parse p)
{
    return p == PARSE_OK ? "OK" : p == PARSE_BAD ? "BAD" : "NEED_MORE";
}

/* --- whole messages ------------------------------------------------------------------------------------- */

/** Wraps a parser. *ret_consumed matters only with PARSE_OK. @param ret  room for the parser's result */
typedef enum parse (*exact_parser)(void *ret, const char *data, size_t len, size_t *ret_consumed);

static inline enum parse exact_parse(exact_parser parse, void *ret, const char *data, size_t len,
                                     size_t *ret_consumed)
{
    struct exact copy = exact_copy(data, len);
    enum parse p = parse(ret, copy.data, len, ret_consumed);
    free(copy.block);
    return p;
}

static inline void exact_assert(enum parse p, enum parse expected, const char *data, size_t len)
{
    if (p != expected)
        fail_msg("%s instead of %s after %zu bytes: \"%s\"", exact_verdict(p), exact_verdict(expected), len,
                 exact_show(data, len));
}

static inline void exact_expect(exact_parser parse, void *ret, const char *data, size_t len,
                                enum parse expected)
{
    size_t consumed = 0;
    exact_assert(exact_parse(parse, ret, data, len, &consumed), expected, data, len);
}

/** The message is valid and ends with its last byte. On return ret is filled from `data` itself. */
static inline void exact_accepts(exact_parser parse, void *ret, const char *data, size_t len)
{
    static const struct slice trailing[] = {{BYTES("\0")},
                                            {BYTES("\n")},
                                            {BYTES("\r\n")},
                                            {BYTES("x")},
                                            {BYTES(" ")},
                                            {BYTES("\x05\x01\x00")},
                                            {BYTES("GET http://h/ HTTP/1.1\r\n\r\n")}};
    size_t consumed = 0;

    for (size_t n = 0; n < len; n++)
        exact_expect(parse, ret, data, n, PARSE_NEED_MORE);
    exact_expect(parse, ret, data, len, PARSE_OK);
    for (size_t i = 0; i < ARRAY_LEN(trailing); i++) {
        struct slice t = trailing[i];
        char *more = exact_join(slice_of(data, len), t);
        consumed = 0;
        enum parse p = exact_parse(parse, ret, more, len + t.len, &consumed);
        free(more);
        if (p != PARSE_OK || consumed != len)
            fail_msg("%s and %zu instead of %zu consumed, with trailing bytes: \"%s\"", exact_verdict(p),
                     consumed, len, exact_show(data, len));
    }
    consumed = 0;
    assert_int_equal(parse(ret, data, len, &consumed), PARSE_OK);
    assert_int_equal(consumed, len);
}

/** `good` is a valid beginning, and the first byte of `wrong` makes it invalid for good. */
static inline void exact_refuses(exact_parser parse, void *ret, struct slice good, struct slice wrong)
{
    size_t len = good.len + wrong.len;
    char *data = exact_join(good, wrong);

    for (size_t n = 0; n <= len; n++)
        exact_expect(parse, ret, data, n, n <= good.len ? PARSE_NEED_MORE : PARSE_BAD);
    free(data);
}

/** A bad message as a table holds it. */
struct exact_bad {
    struct slice good, wrong;
};
#define BAD_AT(good_literal, wrong_literal)                                                                  \
    {                                                                                                        \
        {BYTES(good_literal)},                                                                               \
        {                                                                                                    \
            BYTES(wrong_literal)                                                                             \
        }                                                                                                    \
    }

static inline void exact_refuses_all(exact_parser parse, void *ret, const struct exact_bad *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        exact_refuses(parse, ret, table[i].good, table[i].wrong);
}

/* --- streams -------------------------------------------------------------------------------------------- */

enum { EXACT_CONTENT_MAX = 4096 };

/** A parser that keeps state between pieces. */
struct exact_stream {
    void (*restart)(struct exact_stream *s);
    /** Takes one piece; adds what it knows to be content by exact_content. */
    enum parse (*feed)(struct exact_stream *s, const char *data, size_t len, size_t *ret_used);
    size_t used;
    size_t content_len;
    char content[EXACT_CONTENT_MAX];
};

static inline void exact_content(struct exact_stream *s, struct slice piece)
{
    assert_true(piece.len <= EXACT_CONTENT_MAX - s->content_len);
    if (piece.len > 0)
        memcpy(s->content + s->content_len, piece.data, piece.len);
    s->content_len += piece.len;
}

static inline enum parse exact_feed(struct exact_stream *s, const char *data, size_t len)
{
    size_t used = SIZE_MAX;
    struct exact copy = exact_copy(data, len);
    enum parse p = s->feed(s, copy.data, len, &used);
    free(copy.block);
    if (p == PARSE_BAD)
        return p;
    assert_true(used <= len);
    if (p == PARSE_NEED_MORE)
        assert_int_equal(used, len);
    s->used += used;
    return p;
}

/* Feeds data in pieces: up to the cut, then in steps of `step` bytes. */
static inline enum parse exact_feed_cut(struct exact_stream *s, const char *data, size_t len, size_t cut,
                                        size_t step)
{
    s->used = 0;
    s->content_len = 0;
    s->restart(s);
    enum parse p = exact_feed(s, data, cut);
    for (size_t at = cut; p == PARSE_NEED_MORE && at < len; at += step)
        p = exact_feed(s, data + at, step < len - at ? step : len - at);
    return p;
}

/** Feed data whole, byte by byte, and cut in two at every point. All must agree on the verdict, the bytes
 * used (in s->used) and the content (in s->content). @return the verdict */
static inline enum parse exact_stream(struct exact_stream *s, const char *data, size_t len)
{
    enum parse expected = exact_feed_cut(s, data, len, len, 1);
    size_t used = s->used, content_len = s->content_len;
    char content[EXACT_CONTENT_MAX];

    memcpy(content, s->content, content_len);
    for (size_t i = 0; i <= len; i++) {
        /* The last round goes byte by byte; the others cut at i. */
        enum parse p = exact_feed_cut(s, data, len, i < len ? i : 0, i < len ? len : 1);
        if (p != expected)
            fail_msg("%s cut at %zu but %s whole: \"%s\"", exact_verdict(p), i, exact_verdict(expected),
                     exact_show(data, len));
        if (p == PARSE_BAD)
            continue;
        if (s->used != used || s->content_len != content_len || memcmp(s->content, content, content_len) != 0)
            fail_msg("%zu used, %zu content cut at %zu, but %zu and %zu whole: \"%s\"", s->used,
                     s->content_len, i, used, content_len, exact_show(data, len));
    }
    return expected;
}

/** As exact_refuses, for a stream. */
static inline void exact_stream_refuses(struct exact_stream *s, struct slice good, struct slice wrong)
{
    size_t len = good.len + wrong.len;
    char *data = exact_join(good, wrong);

    for (size_t n = 0; n <= len; n++)
        exact_assert(exact_stream(s, data, n), n <= good.len ? PARSE_NEED_MORE : PARSE_BAD, data, n);
    free(data);
}

#endif
