/* Shared by the HTTP tests: heads parsed from text, and written heads compared as text. */
#ifndef TESTS_UNIT_PROTO_HEADS_H
#define TESTS_UNIT_PROTO_HEADS_H

#include "base/buf.h"
#include "proto/http_head.h"

#include "exact.h"

/** Parse a valid request head; it points into text. */
static inline void head_request(struct http_head *ret, const char *text)
{
    if (http_parse_request(ret, text, strlen(text)) != PARSE_OK)
        fail_msg("no request: \"%s\"", exact_show(text, strlen(text)));
    assert_int_equal(ret->consumed, strlen(text));
}

static inline void head_response(struct http_head *ret, const char *text)
{
    if (http_parse_response(ret, text, strlen(text)) != PARSE_OK)
        fail_msg("no response: \"%s\"", exact_show(text, strlen(text)));
    assert_int_equal(ret->consumed, strlen(text));
}

/** Takes the buffer's content, and compares. */
static inline void head_written(struct buf *b, const char *input, const char *expected)
{
    char text[4096];
    struct slice s = buf_slice(b);

    assert_true(s.len < sizeof text);
    memcpy(text, s.data, s.len);
    text[s.len] = '\0';
    buf_consume(b, s.len);
    if (strlen(text) != s.len || strcmp(text, expected) != 0)
        fail_msg("of:\n%s\nwas written:\n%s\ninstead of:\n%s", input, text, expected);
}

#endif
