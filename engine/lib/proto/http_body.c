#include "proto/http_body.h"

#include "proto/http_chars.h"
#include "proto/http_chunks.h"

/* Lengths stay far from overflow; real bodies have less than 2^62 bytes. */
static const uint64_t LENGTH_MAX = (uint64_t)1 << 62;

/* --- which body ----------------------------------------------------------------------------------------- */

struct framing {
    bool lenient;  /* of a response */
    bool coded;    /* there is a Transfer-Encoding field */
    bool chunked;  /* its last coding is chunked */
    bool measured; /* there is a Content-Length field */
    bool other;    /* there is a coding other than chunked */
    bool plain;    /* there is the coding "identity" */
    bool odd;      /* a field is malformed in a way that clients accept */
    uint64_t length;
};

static bool parse_length(struct slice digits, uint64_t *ret)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.data[i];
        if (c < '0' || c > '9')
            return false;
        uint64_t digit = (uint64_t)(c - '0');
        if (n > (LENGTH_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return digits.len > 0;
}

/* Clients read "+2" and "2; anything" as 2. They disagree on "2 0", which some read as 20. */
static bool parse_odd_length(struct framing *f, struct slice s, uint64_t *ret)
{
    const char *end = s.len > 0 ? memchr(s.data, ';', s.len) : NULL;
    struct slice digits = end ? http_trim(slice_of(s.data, (size_t)(end - s.data))) : s;

    if (digits.len > 1 && digits.data[0] == '+')
        digits = slice_of(digits.data + 1, digits.len - 1);
    f->odd = true;
    return f->lenient && parse_length(digits, ret);
}

/* The same length twice is one length (RFC 9112 6.3); the head that is sent on has it once. */
static bool add_lengths(struct framing *f, struct slice list)
{
    struct slice element;
    uint64_t n;

    if (list.len == 0)
        return false;
    while (http_list_next(&list, &element)) {
        if (!parse_length(element, &n) && !parse_odd_length(f, element, &n))
            return false;
        if (f->measured && n != f->length)
            return false;
        f->measured = true;
        f->length = n;
    }
    return true;
}

/* @return whether it is a well-formed coding. Chunked has no parameters, as some read "chunked;x" as chunked
 *  and others do not. No coding has quotes, as some do not see the list in "gzip;a=", chunked". */
static bool is_coding(struct slice s, bool *ret_chunked)
{
    size_t n = 0;

    while (n < s.len && http_is_token_char((unsigned char)s.data[n]))
        n++;
    *ret_chunked = slice_ieq(slice_of(s.data, n), slice_str("chunked"));
    for (size_t i = n; i < s.len; i++)
        if (((unsigned char)s.data[i] < ' ' && !http_is_blank((unsigned char)s.data[i])) || s.data[i] == '"')
            return false;
    struct slice rest = http_trim(slice_of(s.data + n, s.len - n));
    return n > 0 && (rest.len == 0 || (!*ret_chunked && rest.data[0] == ';'));
}

/* Whether clients ignore an element. They ignore empty ones (RFC 9110 5.6.1), "identity", by which old
 * servers mean no coding, and a second "chunked", which chains of servers add. */
static bool adds_nothing(struct framing *f, struct slice coding)
{
    bool plain = slice_ieq(coding, slice_str("identity")),
         odd = coding.len == 0 || (f->chunked && slice_ieq(coding, slice_str("chunked")));

    if (!f->lenient)
        return false;
    f->plain = f->plain || plain;
    f->odd = f->odd || odd;
    return plain || odd;
}

/* @return false if a coding follows chunked, or an element is missing in a request: some read "chunked," as
 *  chunked and others do not */
static bool add_codings(struct framing *f, struct slice list)
{
    struct slice coding;

    if (list.len == 0 || list.data[list.len - 1] == ',') {
        f->odd = true;
        if (!f->lenient)
            return false;
    }
    while (http_list_next(&list, &coding)) {
        bool chunked;
        if (adds_nothing(f, coding))
            continue;
        if (f->chunked || !is_coding(coding, &chunked) || slice_ieq(coding, slice_str("identity")))
            return false;
        f->chunked = chunked;
        f->other = f->other || !chunked;
        f->coded = true;
    }
    return true;
}

/* @return false if the fields contradict each other */
static bool read_framing(struct framing *f, const struct http_head *h, bool lenient)
{
    *f = (struct framing){.lenient = lenient};
    for (size_t i = 0; i < h->n_fields; i++) {
        const struct http_field *field = &h->fields[i];
        if (slice_ieq(field->name, slice_str("Content-Length")) && !add_lengths(f, field->value))
            return false;
        if (slice_ieq(field->name, slice_str("Transfer-Encoding")) && !add_codings(f, field->value))
            return false;
    }
    return true;
}

static struct http_body make(enum http_body_kind kind, uint64_t length)
{
    bool empty = kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && length == 0);
    return (struct http_body){.kind = empty ? HTTP_BODY_NONE : kind, .left = length, .done = empty};
}

enum parse http_body_of_request(struct http_body *ret, const struct http_head *h)
{
    struct framing f;

    if (!read_framing(&f, h, false) || f.other || (f.coded && (!f.chunked || f.measured || h->minor == 0)))
        return PARSE_BAD;
    *ret = f.chunked    ? make(HTTP_BODY_CHUNKED, 0)
           : f.measured ? make(HTTP_BODY_LENGTH, f.length)
                        : make(HTTP_BODY_NONE, 0);
    ret->strict = true;
    return PARSE_OK;
}

bool http_body_is_coded_otherwise(const struct http_head *request)
{
    struct framing f;

    return read_framing(&f, request, false) && f.other && f.chunked && !f.measured && request->minor > 0;
}

enum parse http_body_of_response(struct http_body *ret, const struct http_head *h,
                                 struct slice request_method)
{
    struct framing f;

    if (!read_framing(&f, h, true))
        return PARSE_BAD;
    bool connected = slice_eq(request_method, slice_str("CONNECT")) && h->status / 100 == 2;
    if (slice_eq(request_method, slice_str("HEAD")) || h->status / 100 == 1 || h->status == 204 ||
        h->status == 304 || connected)
        *ret = make(HTTP_BODY_NONE, 0);
    else if (f.coded)
        *ret = make(f.chunked ? HTTP_BODY_CHUNKED : HTTP_BODY_UNTIL_CLOSE, 0);
    else
        *ret = f.measured ? make(HTTP_BODY_LENGTH, f.length) : make(HTTP_BODY_UNTIL_CLOSE, 0);
    /* A server that contradicts itself about a response's end may have sent more than this body (RFC 9112
     * 6.1, 6.3). */
    ret->coded = f.other && ret->kind != HTTP_BODY_NONE;
    ret->doubtful =
        f.odd || (f.coded && f.plain) || (ret->kind == HTTP_BODY_CHUNKED && (f.measured || h->minor == 0));
    return PARSE_OK;
}

/* --- where it ends -------------------------------------------------------------------------------------- */

static struct slice take_content(struct http_body *b, const char *data, size_t len)
{
    if (b->kind == HTTP_BODY_UNTIL_CLOSE)
        return slice_of(data, len);
    size_t n = b->left < len ? (size_t)b->left : len;
    b->left -= n;
    b->done = b->left == 0;
    return slice_of(data, n);
}

static enum parse whether_done(const struct http_body *b)
{
    return b->done ? PARSE_OK : PARSE_NEED_MORE;
}

static enum parse next_of_chunked(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                                  struct slice *ret_content)
{
    struct http_chunk_part part;

    while (*ret_used < len && !b->done && ret_content->len == 0) {
        const char *at = data + *ret_used;
        enum parse p = http_chunk_read(b, at, len - *ret_used, &part);
        if (p != PARSE_OK)
            return p;
        if (b->state == HTTP_CHUNK_DATA)
            *ret_content = slice_of(at, part.used);
        http_chunk_pass(b, &part);
        *ret_used += part.used;
    }
    return whether_done(b);
}

enum parse http_body_next(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                          struct slice *ret_content)
{
    *ret_used = 0;
    *ret_content = slice_of(data, 0);
    if (b->done)
        return PARSE_OK;
    if (b->kind == HTTP_BODY_CHUNKED)
        return next_of_chunked(b, data, len, ret_used, ret_content);
    *ret_content = take_content(b, data, len);
    *ret_used = ret_content->len;
    return whether_done(b);
}

enum parse http_body_advance(struct http_body *b, const char *data, size_t len, size_t *ret_used)
{
    struct http_chunk_part part;
    size_t used = 0;

    *ret_used = 0;
    b->bent = false;
    if (b->kind != HTTP_BODY_CHUNKED && !b->done)
        *ret_used = take_content(b, data, len).len;
    while (used < len && !b->done && b->kind == HTTP_BODY_CHUNKED) {
        enum parse p = http_chunk_read(b, data + used, len - used, &part);
        if (p == PARSE_BAD)
            return p;
        if (p == PARSE_OK && !part.by_the_book)
            b->bent = true;
        if (p != PARSE_OK || b->bent)
            break;
        http_chunk_pass(b, &part);
        used += part.used;
        *ret_used = used;
    }
    return whether_done(b);
}

enum parse http_body_mend(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                          struct buf *out, int *ret_err)
{
    struct http_chunk_part part;

    *ret_used = 0;
    *ret_err = 0;
    b->bent = false;
    while (*ret_used < len && !b->done && *ret_err == 0) {
        enum parse p = http_chunk_read(b, data + *ret_used, len - *ret_used, &part);
        if (p != PARSE_OK)
            return p;
        *ret_err = http_chunk_write(b, &part, data + *ret_used, out);
        http_chunk_pass(b, &part);
        *ret_used += part.used;
    }
    return whether_done(b);
}
