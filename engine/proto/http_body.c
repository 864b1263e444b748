#include "proto/http_body.h"

#include "proto/http_octet.h"

/* Chunk sizes stay far from overflow; nobody sends 2^62 octets. */
static const uint64_t SIZE_MAX_OCTETS = (uint64_t)1 << 62;
enum { LINE_MAX_OCTETS = 4096, TRAILER_MAX_OCTETS = 16384 };

/* --- which body ----------------------------------------------------------------------------------------- */

struct framing {
    bool coded;    /* a Transfer-Encoding field is there */
    bool chunked;  /* and its last coding is chunked */
    bool plain;    /* or it says identity, which old servers do for none */
    bool measured; /* a Content-Length field is there */
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
        if (n > (SIZE_MAX_OCTETS - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return digits.len > 0;
}

/* The same length said twice is one length (RFC 9112 6.3); the head that is sent on says it once. */
static bool add_lengths(struct framing *f, struct slice list)
{
    struct slice element;
    uint64_t n;

    if (list.len == 0)
        return false;
    while (http_list_next(&list, &element)) {
        if (!parse_length(element, &n) || (f->measured && n != f->length))
            return false;
        f->measured = true;
        f->length = n;
    }
    return true;
}

/* @return whether it is a coding as it should be written, chunked without parameters: to some "chunked;x" is
 * chunked, and to others it is not */
static bool is_coding(struct slice s, bool *ret_chunked)
{
    size_t n = 0;

    while (n < s.len && http_is_token_char((unsigned char)s.data[n]))
        n++;
    *ret_chunked = slice_ieq(slice_of(s.data, n), slice_str("chunked"));
    for (size_t i = n; i < s.len; i++)
        if ((unsigned char)s.data[i] < ' ' && !http_is_blank((unsigned char)s.data[i]))
            return false;
    struct slice rest = http_trim(slice_of(s.data + n, s.len - n));
    return n > 0 && (rest.len == 0 || (!*ret_chunked && rest.data[0] == ';'));
}

/* @return false when something follows chunked, or nothing stands where a coding should be: "chunked," is
 * chunked to some and not to others */
static bool add_codings(struct framing *f, struct slice list)
{
    struct slice coding;

    if (list.len == 0 || list.data[list.len - 1] == ',')
        return false;
    while (http_list_next(&list, &coding)) {
        bool chunked;
        if (f->chunked || f->plain || !is_coding(coding, &chunked))
            return false;
        f->chunked = chunked;
        f->plain = slice_ieq(coding, slice_str("identity"));
        if (f->plain && f->coded)
            return false;
        f->coded = true;
    }
    return true;
}

/* @return false when the fields contradict themselves */
static bool read_framing(struct framing *f, const struct http_head *h)
{
    *f = (struct framing){0};
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

    if (!read_framing(&f, h) || (f.coded && (!f.chunked || f.measured || h->minor == 0)))
        return PARSE_BAD;
    *ret = f.chunked    ? make(HTTP_BODY_CHUNKED, 0)
           : f.measured ? make(HTTP_BODY_LENGTH, f.length)
                        : make(HTTP_BODY_NONE, 0);
    ret->strict = true;
    return PARSE_OK;
}

enum parse http_body_of_response(struct http_body *ret, const struct http_head *h,
                                 struct slice request_method)
{
    struct framing f;

    if (!read_framing(&f, h))
        return PARSE_BAD;
    bool connected = slice_eq(request_method, slice_str("CONNECT")) && h->status / 100 == 2;
    if (slice_eq(request_method, slice_str("HEAD")) || h->status / 100 == 1 || h->status == 204 ||
        h->status == 304 || connected)
        *ret = make(HTTP_BODY_NONE, 0);
    else if (f.coded && !f.plain)
        *ret = make(f.chunked ? HTTP_BODY_CHUNKED : HTTP_BODY_UNTIL_CLOSE, 0);
    else
        *ret = f.measured ? make(HTTP_BODY_LENGTH, f.length) : make(HTTP_BODY_UNTIL_CLOSE, 0);
    return PARSE_OK;
}

/* --- where it ends -------------------------------------------------------------------------------------- */

enum chunk_state {
    CHUNK_SIZE_FIRST, /* at least one digit */
    CHUNK_SIZE,
    CHUNK_SIZE_BLANK,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_FIRST, /* a field's name, or the empty line that ends it all */
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
};

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

static bool is_text(unsigned char c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static bool add_size_digit(struct http_body *b, int digit)
{
    if (b->left >= SIZE_MAX_OCTETS >> 4)
        return false;
    b->left = b->left << 4 | (uint64_t)digit;
    return true;
}

/* One octet of a chunk-size line. @return false when it cannot stand there */
static bool size_octet(struct http_body *b, unsigned char c)
{
    int digit = hex_value(c);

    if (++b->line > LINE_MAX_OCTETS)
        return false;
    if (b->state <= CHUNK_SIZE && digit >= 0) {
        b->state = CHUNK_SIZE;
        return add_size_digit(b, digit);
    }
    if (b->state == CHUNK_SIZE_FIRST)
        return false;
    if (c == '\r') {
        b->state = CHUNK_SIZE_LF;
        return !b->strict || !b->padded;
    }
    /* Old servers pad the size with blanks; whoever lets a client do so may see other chunks than the next.
     */
    if (b->state != CHUNK_EXTENSION && c != ';') {
        b->state = CHUNK_SIZE_BLANK;
        b->padded = true;
        return is_blank(c) && !b->strict;
    }
    b->state = CHUNK_EXTENSION;
    if (b->strict)
        b->padded = is_blank(c);
    return is_text(c);
}

static bool trailer_octet(struct http_body *b, unsigned char c)
{
    if (++b->extra > TRAILER_MAX_OCTETS)
        return false;
    switch ((enum chunk_state)b->state) {
    case CHUNK_TRAILER_FIRST:
        b->state = c == '\r' ? CHUNK_LAST_LF : CHUNK_TRAILER_NAME;
        return c == '\r' || http_is_token_char(c);
    case CHUNK_TRAILER_NAME:
        if (c == ':')
            b->state = CHUNK_TRAILER_VALUE;
        return c == ':' || http_is_token_char(c);
    case CHUNK_TRAILER_VALUE:
        if (c == '\r')
            b->state = CHUNK_TRAILER_LF;
        return c == '\r' || is_text(c);
    case CHUNK_TRAILER_LF:
        b->state = CHUNK_TRAILER_FIRST;
        return c == '\n';
    case CHUNK_LAST_LF:
        b->done = true;
        return c == '\n';
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE:
    case CHUNK_SIZE_BLANK:
    case CHUNK_EXTENSION:
    case CHUNK_SIZE_LF:
    case CHUNK_DATA:
    case CHUNK_DATA_CR:
    case CHUNK_DATA_LF:
        break;
    }
    return false;
}

/* One octet of framing, which is everything but a chunk's data. @return false when it cannot stand there */
static bool framing_octet(struct http_body *b, unsigned char c)
{
    switch ((enum chunk_state)b->state) {
    case CHUNK_SIZE_FIRST:
    case CHUNK_SIZE:
    case CHUNK_SIZE_BLANK:
    case CHUNK_EXTENSION:
        return size_octet(b, c);
    case CHUNK_SIZE_LF:
        b->state = b->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_FIRST;
        b->line = 0;
        return c == '\n';
    case CHUNK_DATA_CR:
        b->state = CHUNK_DATA_LF;
        return c == '\r';
    case CHUNK_DATA_LF:
        b->state = CHUNK_SIZE_FIRST;
        return c == '\n';
    case CHUNK_TRAILER_FIRST:
    case CHUNK_TRAILER_NAME:
    case CHUNK_TRAILER_VALUE:
    case CHUNK_TRAILER_LF:
    case CHUNK_LAST_LF:
        return trailer_octet(b, c);
    case CHUNK_DATA:
        break;
    }
    return false;
}

static struct slice take_content(struct http_body *b, const char *data, size_t len)
{
    if (b->kind == HTTP_BODY_UNTIL_CLOSE)
        return slice_of(data, len);
    size_t n = b->left < len ? (size_t)b->left : len;
    b->left -= n;
    return slice_of(data, n);
}

static enum parse next_of_chunked(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                                  struct slice *ret_content)
{
    size_t used = 0;

    while (used < len && !b->done) {
        if (b->state == CHUNK_DATA) {
            *ret_content = take_content(b, data + used, len - used);
            used += ret_content->len;
            if (b->left == 0)
                b->state = CHUNK_DATA_CR;
            break;
        }
        if (!framing_octet(b, (unsigned char)data[used]))
            return PARSE_BAD;
        used++;
    }
    *ret_used = used;
    return b->done ? PARSE_OK : PARSE_NEED_MORE;
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
    b->done = b->kind == HTTP_BODY_LENGTH && b->left == 0;
    return b->done ? PARSE_OK : PARSE_NEED_MORE;
}

enum parse http_body_advance(struct http_body *b, const char *data, size_t len, size_t *ret_used)
{
    size_t total = 0;
    enum parse p;

    do {
        size_t used;
        struct slice content;
        p = http_body_next(b, data + total, len - total, &used, &content);
        if (p == PARSE_BAD)
            return p;
        total += used;
    } while (p == PARSE_NEED_MORE && total < len);
    *ret_used = total;
    return p;
}

enum parse http_body_tidy(struct http_body *b, char *data, size_t len, size_t *ret_used, size_t *ret_kept)
{
    size_t used = 0, kept = 0;

    while (used < len && !b->done) {
        if (b->state == CHUNK_DATA) {
            struct slice content = take_content(b, data + used, len - used);
            memmove(data + kept, content.data, content.len);
            used += content.len;
            kept += content.len;
            if (b->left == 0)
                b->state = CHUNK_DATA_CR;
            continue;
        }
        char c = data[used++];
        if (!framing_octet(b, (unsigned char)c))
            return PARSE_BAD;
        if (b->state != CHUNK_SIZE_BLANK)
            data[kept++] = c;
    }
    *ret_used = used;
    *ret_kept = kept;
    return b->done ? PARSE_OK : PARSE_NEED_MORE;
}
