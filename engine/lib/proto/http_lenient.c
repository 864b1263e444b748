#include "proto/http_lenient.h"

#include "proto/http_chars.h"

/* What is accepted, and what becomes of it:
 * - empty lines before the status line: skipped
 * - "http/1.1", several blanks around the status, a phrase right after it: accepted
 * - "ICY", "HTTP/2", "HTTP/2.0": read as HTTP/1.0
 * - blanks before a colon: removed (RFC 9112 5.1)
 * - a line that begins with a blank: part of the value before it (5.2), or dropped if there is none (2.2)
 * - a line without a colon, or whose name is not a token: dropped
 * - control characters in a phrase or value: the head is `unclean`, and written with blanks in their place
 * Refused, as clients differ on where such a head ends: a CR at the start of a line, without LF. */
struct reader {
    const char *at, *end;
};

/* @return PARSE_OK after any empty lines, if another byte follows */
static enum parse skip_empty_lines(struct reader *r)
{
    while (r->at < r->end && (*r->at == '\r' || *r->at == '\n')) {
        if (*r->at == '\r' && r->at + 1 == r->end)
            return PARSE_NEED_MORE;
        if (*r->at == '\r' && r->at[1] != '\n')
            return PARSE_BAD;
        r->at += *r->at == '\r' ? 2 : 1;
    }
    return r->at < r->end ? PARSE_OK : PARSE_NEED_MORE;
}

/* Take this text in any case. */
static enum parse take_text(struct reader *r, const char *lower)
{
    for (; *lower; lower++, r->at++) {
        if (r->at == r->end)
            return PARSE_NEED_MORE;
        char c = *r->at >= 'A' && *r->at <= 'Z' ? (char)(*r->at | 0x20) : *r->at;
        if (c != *lower)
            return PARSE_BAD;
    }
    return PARSE_OK;
}

static enum parse take_blanks(struct reader *r)
{
    const char *start = r->at;

    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
    if (r->at == r->end)
        return PARSE_NEED_MORE;
    return r->at > start ? PARSE_OK : PARSE_BAD;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum parse take_version(struct reader *r, struct http_head *h)
{
    if (r->at < r->end && (*r->at | 0x20) == 'i') {
        h->minor = 0;
        return take_text(r, "icy");
    }
    enum parse p = take_text(r, "http/");
    if (p != PARSE_OK || r->at == r->end)
        return p == PARSE_OK ? PARSE_NEED_MORE : p;
    if (*r->at == '2') {
        h->minor = 0;
        r->at++;
        return r->at < r->end && *r->at == '.' ? take_text(r, ".0") : PARSE_OK;
    }
    p = take_text(r, "1.");
    if (p != PARSE_OK || r->at == r->end)
        return p == PARSE_OK ? PARSE_NEED_MORE : p;
    if (!is_digit(*r->at))
        return PARSE_BAD;
    h->minor = *r->at++ == '0' ? 0 : 1;
    return PARSE_OK;
}

static enum parse take_status(struct reader *r, struct http_head *h)
{
    h->status = 0;
    for (int i = 0; i < 3; i++, r->at++) {
        if (r->at == r->end)
            return PARSE_NEED_MORE;
        if (!is_digit(*r->at) || (i == 0 && *r->at == '0'))
            return PARSE_BAD;
        h->status = h->status * 10 + (*r->at - '0');
    }
    if (r->at == r->end)
        return PARSE_NEED_MORE;
    return is_digit(*r->at) ? PARSE_BAD : PARSE_OK;
}

static void note_text(struct http_head *h, struct slice s)
{
    for (size_t i = 0; i < s.len && !h->unclean; i++)
        h->unclean = !http_is((unsigned char)s.data[i], HTTP_TEXT);
}

/* Take the rest of the line, without blanks around it. */
static enum parse take_line(struct reader *r, struct slice *ret)
{
    const char *lf = memchr(r->at, '\n', (size_t)(r->end - r->at));

    if (!lf)
        return PARSE_NEED_MORE;
    *ret = http_trim(slice_of(r->at, (size_t)(lf - r->at)));
    r->at = lf + 1;
    return PARSE_OK;
}

static enum parse take_status_line(struct reader *r, struct http_head *h)
{
    enum parse p = skip_empty_lines(r);

    if (p == PARSE_OK)
        p = take_version(r, h);
    if (p == PARSE_OK)
        p = take_blanks(r);
    if (p == PARSE_OK)
        p = take_status(r, h);
    if (p == PARSE_OK)
        p = take_line(r, &h->phrase);
    if (p == PARSE_OK)
        note_text(h, h->phrase);
    return p;
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!http_is((unsigned char)s.data[i], HTTP_TOKEN))
            return false;
    return s.len > 0;
}

/* @return whether the line is a field */
static bool split(struct slice line, struct http_field *ret)
{
    const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;

    if (!colon)
        return false;
    size_t n = (size_t)(colon - line.data);
    ret->value = http_trim(slice_of(colon + 1, line.len - n - 1));
    while (n > 0 && (line.data[n - 1] == ' ' || line.data[n - 1] == '\t'))
        n--;
    ret->name = slice_of(line.data, n);
    return is_token(ret->name);
}

/* Extend the value to the end of a further line. */
static void extend(struct http_head *h, struct http_field *f, struct slice more)
{
    if (more.len == 0)
        return;
    if (f->value.len == 0)
        f->value = more;
    else
        f->value.len = (size_t)(more.data + more.len - f->value.data);
    note_text(h, f->value);
}

static enum parse take_fields(struct reader *r, struct http_head *h, size_t max)
{
    bool kept = false; /* the previous line was a field */

    for (;;) {
        struct slice line;
        struct http_field f;
        if (r->at == r->end)
            return PARSE_NEED_MORE;
        if (*r->at == '\r' && r->at + 1 == r->end)
            return PARSE_NEED_MORE;
        if (*r->at == '\r' && r->at[1] != '\n')
            return PARSE_BAD;
        bool folded = *r->at == ' ' || *r->at == '\t', last = *r->at == '\r' || *r->at == '\n';
        enum parse p = take_line(r, &line);
        if (p != PARSE_OK || last)
            return p;
        if (folded && kept)
            extend(h, &h->fields[h->n_fields - 1], line);
        if (folded)
            continue;
        kept = split(line, &f);
        if (!kept)
            continue;
        h->crowded = h->n_fields == max;
        if (h->crowded)
            return PARSE_BAD;
        note_text(h, f.value);
        h->fields[h->n_fields++] = f;
    }
}

enum parse http_parse_lenient(struct http_head *ret, const char *data, size_t len, struct http_field *room,
                              size_t room_max)
{
    struct reader r = {.at = data, .end = data + (len < HTTP_ANSWER_HEAD_MAX ? len : HTTP_ANSWER_HEAD_MAX)};

    ret->fields = room ? room : ret->few;
    ret->n_fields = 0;
    ret->unclean = ret->crowded = false;
    ret->method = ret->target = ret->phrase = slice_of(data, 0);
    enum parse p = take_status_line(&r, ret);
    if (p == PARSE_OK)
        p = take_fields(&r, ret, room ? room_max : HTTP_FIELDS_MAX);
    if (p == PARSE_NEED_MORE && len >= HTTP_ANSWER_HEAD_MAX)
        return PARSE_BAD;
    ret->consumed = (size_t)(r.at - data);
    return p;
}

enum parse http_lenient_trailers(struct http_head *ret, const char *data, size_t len)
{
    struct reader r = {.at = data, .end = data + len};

    ret->fields = ret->few;
    ret->n_fields = 0;
    ret->unclean = ret->crowded = false;
    enum parse p = take_fields(&r, ret, HTTP_FIELDS_MAX);
    ret->consumed = (size_t)(r.at - data);
    return p;
}
