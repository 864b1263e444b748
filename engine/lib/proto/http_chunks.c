#include "proto/http_chunks.h"

#include "proto/http_chars.h"
#include "proto/http_forward.h"
#include "proto/http_lenient.h"

#include <assert.h>

/* Chunk sizes stay far from overflow; real chunks have less than 2^62 bytes. */
static const uint64_t SIZE_MAX_BYTES = (uint64_t)1 << 62;

/* Room for the extensions of clients. Some servers send longer lines. */
enum { LINE_MAX_BYTES = 4096, SERVERS_LINE_MAX_BYTES = 16384, TRAILERS_MAX_BYTES = 16384 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* --- size lines ----------------------------------------------------------------------------------------- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Strict extensions, without blanks at their end, which some count as part of the line end. */
static enum parse read_extensions(const char *data, size_t len, size_t at, struct http_chunk_part *ret)
{
    if (data[at] != ';' && data[at] != '\r')
        return PARSE_BAD;
    while (at < len && at < LINE_MAX_BYTES && http_is((unsigned char)data[at], HTTP_TEXT))
        at++;
    if (at >= LINE_MAX_BYTES)
        return PARSE_BAD;
    if (at == len)
        return PARSE_NEED_MORE;
    if (data[at] != '\r' || is_blank(data[at - 1]))
        return PARSE_BAD;
    if (at + 1 == len)
        return PARSE_NEED_MORE;
    ret->used = at + 2;
    return data[at + 1] == '\n' ? PARSE_OK : PARSE_BAD;
}

/* Skip any text after a server's size, unless it could belong to the size. */
static enum parse read_rest(const char *data, size_t len, size_t at, struct http_chunk_part *ret)
{
    const char *lf = memchr(data + at, '\n', len - at);
    size_t line = lf ? (size_t)(lf - data) : len;

    if (((data[at] | 0x20) == 'x' && ret->size == 0) || data[at] == '_' || line >= SERVERS_LINE_MAX_BYTES)
        return PARSE_BAD;
    ret->used = line + 1;
    return lf ? PARSE_OK : PARSE_NEED_MORE;
}

static enum parse read_size(const struct http_body *b, const char *data, size_t len,
                            struct http_chunk_part *ret)
{
    size_t at = 0;
    int digit;

    ret->size = 0;
    while (!b->strict && at < len && is_blank(data[at]))
        at++;
    size_t start = at;
    for (; at < len && (digit = hex_value(data[at])) >= 0; at++) {
        if (ret->size >= SIZE_MAX_BYTES >> 4)
            return PARSE_BAD;
        ret->size = ret->size << 4 | (uint64_t)digit;
    }
    if (at >= LINE_MAX_BYTES)
        return PARSE_BAD;
    if (at == len)
        return PARSE_NEED_MORE;
    if (at == start)
        return PARSE_BAD;
    ret->used = at + 2;
    ret->by_the_book = start == 0 && (at == 1 || data[0] != '0');
    if (data[at] == '\r' && at + 1 < len && data[at + 1] == '\n')
        return PARSE_OK;
    ret->by_the_book = false;
    return b->strict ? read_extensions(data, len, at, ret) : read_rest(data, len, at, ret);
}

/* --- data ----------------------------------------------------------------------------------------------- */

static enum parse read_data(const struct http_body *b, size_t len, struct http_chunk_part *ret)
{
    ret->used = b->left < len ? (size_t)b->left : len;
    ret->by_the_book = true;
    return PARSE_OK;
}

static enum parse read_data_end(const struct http_body *b, const char *data, size_t len,
                                struct http_chunk_part *ret)
{
    size_t at = 0, crs_max = b->strict ? 1 : LINE_MAX_BYTES;

    while (at < len && at < crs_max && data[at] == '\r')
        at++;
    if (at == len)
        return PARSE_NEED_MORE;
    ret->used = at + 1;
    ret->by_the_book = at == 1;
    return data[at] == '\n' && (at == 1 || !b->strict) ? PARSE_OK : PARSE_BAD;
}

/* --- trailers ------------------------------------------------------------------------------------------- */

/* A strict line at `at`, or the empty line. @return PARSE_OK with *at after it */
static enum parse read_trailer(const char *data, size_t len, size_t *at)
{
    size_t start = *at, i = start;

    while (i < len && http_is((unsigned char)data[i], HTTP_TOKEN))
        i++;
    if (i < len && i > start && (data[i] != ':' || !http_may_trail(slice_of(data + start, i - start))))
        return PARSE_BAD;
    while (i > start && i < len && http_is((unsigned char)data[i], HTTP_TEXT))
        i++;
    if (i == len)
        return PARSE_NEED_MORE;
    if (data[i] != '\r')
        return PARSE_BAD;
    if (i + 1 == len)
        return PARSE_NEED_MORE;
    *at = i + 2;
    return data[i + 1] == '\n' ? PARSE_OK : PARSE_BAD;
}

static enum parse read_strict_trailers(const char *data, size_t len, struct http_chunk_part *ret)
{
    const size_t max = len < TRAILERS_MAX_BYTES ? len : TRAILERS_MAX_BYTES;
    size_t at = 0, start;
    enum parse p;

    do {
        start = at;
        p = read_trailer(data, max, &at);
    } while (p == PARSE_OK && at - start > 2);
    ret->used = at;
    ret->by_the_book = true;
    return p == PARSE_NEED_MORE && len >= TRAILERS_MAX_BYTES ? PARSE_BAD : p;
}

static enum parse read_trailers(const struct http_body *b, const char *data, size_t len,
                                struct http_chunk_part *ret)
{
    enum parse p = read_strict_trailers(data, len, ret);

    if (b->strict || p != PARSE_BAD)
        return p;
    const size_t max = len < TRAILERS_MAX_BYTES ? len : TRAILERS_MAX_BYTES;
    struct http_head h;
    p = http_lenient_trailers(&h, data, max);
    ret->used = h.consumed;
    ret->by_the_book = false;
    return p == PARSE_NEED_MORE && len >= TRAILERS_MAX_BYTES ? PARSE_BAD : p;
}

/* --- parts ---------------------------------------------------------------------------------------------- */

enum parse http_chunk_read(const struct http_body *b, const char *data, size_t len,
                           struct http_chunk_part *ret)
{
    switch ((enum http_chunk_state)b->state) {
    case HTTP_CHUNK_SIZE:
        return read_size(b, data, len, ret);
    case HTTP_CHUNK_DATA:
        return read_data(b, len, ret);
    case HTTP_CHUNK_DATA_END:
        return read_data_end(b, data, len, ret);
    case HTTP_CHUNK_TRAILERS:
        break;
    }
    return read_trailers(b, data, len, ret);
}

void http_chunk_pass(struct http_body *b, const struct http_chunk_part *part)
{
    switch ((enum http_chunk_state)b->state) {
    case HTTP_CHUNK_SIZE:
        b->left = part->size;
        b->state = part->size > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILERS;
        return;
    case HTTP_CHUNK_DATA:
        b->left -= part->used;
        b->state = b->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_DATA_END;
        return;
    case HTTP_CHUNK_DATA_END:
        b->state = HTTP_CHUNK_SIZE;
        return;
    case HTTP_CHUNK_TRAILERS:
        b->done = true;
        return;
    }
}

static int write_size(uint64_t size, struct buf *out)
{
    char line[] = "0123456789abcdef\r\n", *start = line + 16;

    do {
        *--start = "0123456789abcdef"[size & 0xf];
        size >>= 4;
    } while (size > 0);
    return buf_append(out, start, (size_t)(line + 18 - start));
}

int http_chunk_write(const struct http_body *b, const struct http_chunk_part *part, const char *data,
                     struct buf *out)
{
    if (part->by_the_book)
        return buf_append(out, data, part->used);
    switch ((enum http_chunk_state)b->state) {
    case HTTP_CHUNK_SIZE:
        return write_size(part->size, out);
    case HTTP_CHUNK_DATA_END:
        return buf_append(out, "\r\n", 2);
    case HTTP_CHUNK_TRAILERS:
    case HTTP_CHUNK_DATA:
        break;
    }
    return http_write_trailers(out, slice_of(data, part->used));
}
