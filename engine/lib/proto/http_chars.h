/* Classes of the characters of a head, in a table, as each character of each head is looked up. Private to
 * the parsers of heads. */
#ifndef STEERWAY_PROTO_HTTP_CHARS_H
#define STEERWAY_PROTO_HTTP_CHARS_H

#include "base/slice.h"

#include <stdbool.h>

enum { HTTP_TEXT = 1, HTTP_TARGET = 2 | HTTP_TEXT, HTTP_TOKEN = 4 | HTTP_TARGET };

extern const unsigned char http_char_classes[256];

static inline bool http_is(unsigned char c, unsigned char class)
{
    return (http_char_classes[c] & class) == class;
}

/* A blank, or part of a line end inside a folded value (a strict head has none). */
static inline bool http_is_blank(unsigned char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline struct slice http_trim(struct slice s)
{
    while (s.len > 0 && http_is_blank((unsigned char)s.data[0]))
        s = slice_of(s.data + 1, s.len - 1);
    while (s.len > 0 && http_is_blank((unsigned char)s.data[s.len - 1]))
        s.len--;
    return s;
}

#endif
