#include "proto/http_head.h"

#include "proto/http_chars.h"
#include "proto/http_lenient.h"

/* Walks over the input byte by byte, and keeps its state. Once that is not PARSE_OK, further steps do
 * nothing, so that the grammar below needs no test after each line. */
struct cursor {
    const char *at, *end;
    enum parse state;
};

/* Bytes above ASCII are not in the grammar of a target, but browsers send them. */
enum { TEXT = HTTP_TEXT, TARGET = HTTP_TARGET, TOKEN = HTTP_TOKEN };

const unsigned char http_char_classes[256] = {
    ['\t'] = TEXT,          [' '] = TEXT,           ['!'] = TOKEN,         ['"'] = TARGET,
    ['#' ... '\''] = TOKEN, ['(' ... ')'] = TARGET, ['*' ... '+'] = TOKEN, [','] = TARGET,
    ['-' ... '.'] = TOKEN,  ['/'] = TARGET,         ['0' ... '9'] = TOKEN, [':' ... '@'] = TARGET,
    ['A' ... 'Z'] = TOKEN,  ['[' ... ']'] = TARGET, ['^' ... 'z'] = TOKEN, ['{'] = TARGET,
    ['|'] = TOKEN,          ['}'] = TARGET,         ['~'] = TOKEN,         [0x80 ... 0xff] = TARGET,
};

bool http_is_token_char(unsigned char c)
{
    return http_is(c, TOKEN);
}

/* The next byte, which stays; -1 at the end. */
static int peek(struct cursor *c)
{
    if (c->state != PARSE_OK)
        return -1;
    if (c->at == c->end) {
        c->state = PARSE_NEED_MORE;
        return -1;
    }
    return (unsigned char)*c->at;
}

static void expect(struct cursor *c, const char *text)
{
    for (; *text; text++) {
        int byte = peek(c);
        if (byte < 0)
            return;
        if (byte != (unsigned char)*text) {
            c->state = PARSE_BAD;
            return;
        }
        c->at++;
    }
}

/* Take the longest run of bytes of a class. */
static struct slice take(struct cursor *c, unsigned char class, bool may_be_empty)
{
    const char *start = c->at, *at = start;

    while (c->state == PARSE_OK && at < c->end && http_is((unsigned char)*at, class))
        at++;
    c->at = at;
    if (peek(c) >= 0 && c->at == start && !may_be_empty)
        c->state = PARSE_BAD;
    return slice_of(start, (size_t)(c->at - start));
}

static int take_digit(struct cursor *c)
{
    int byte = peek(c);

    if (byte < 0)
        return 0;
    if (byte < '0' || byte > '9') {
        c->state = PARSE_BAD;
        return 0;
    }
    c->at++;
    return byte - '0';
}

static void end_line(struct cursor *c)
{
    if (peek(c) == '\r')
        c->at++;
    expect(c, "\n");
}

static bool at_line_end(struct cursor *c)
{
    int byte = peek(c);
    return byte == '\r' || byte == '\n';
}

static void take_version(struct cursor *c, struct http_head *h)
{
    expect(c, "HTTP/1.");
    h->minor = take_digit(c) ? 1 : 0;
}

static void take_fields(struct cursor *c, struct http_head *h)
{
    while (c->state == PARSE_OK && !at_line_end(c) && c->state == PARSE_OK) {
        if (h->n_fields == HTTP_FIELDS_MAX) {
            h->crowded = true;
            c->state = PARSE_BAD;
            return;
        }
        struct http_field *f = &h->fields[h->n_fields];
        f->name = take(c, TOKEN, false);
        expect(c, ":");
        f->value = http_trim(take(c, TEXT, true));
        end_line(c);
        h->n_fields++;
    }
    end_line(c);
}

static enum parse head_finish(const struct cursor *c, struct http_head *h, const char *data, size_t len,
                              size_t max)
{
    if (c->state == PARSE_NEED_MORE && len >= max)
        return PARSE_BAD;
    h->consumed = (size_t)(c->at - data);
    return c->state;
}

static struct cursor cursor_over(const char *data, size_t len, size_t max)
{
    return (struct cursor){.at = data, .end = data + (len < max ? len : max), .state = PARSE_OK};
}

enum parse http_parse_request(struct http_head *ret, const char *data, size_t len)
{
    struct cursor c = cursor_over(data, len, HTTP_HEAD_MAX);

    ret->fields = ret->few;
    ret->n_fields = 0;
    ret->unclean = ret->crowded = false;
    ret->status = 0;
    ret->phrase = slice_of(data, 0);
    while (at_line_end(&c))
        end_line(&c);
    ret->method = take(&c, TOKEN, false);
    expect(&c, " ");
    ret->target = take(&c, TARGET, false);
    expect(&c, " ");
    take_version(&c, ret);
    end_line(&c);
    take_fields(&c, ret);
    return head_finish(&c, ret, data, len, HTTP_HEAD_MAX);
}

static enum parse parse_strict_response(struct http_head *ret, const char *data, size_t len)
{
    struct cursor c = cursor_over(data, len, HTTP_ANSWER_HEAD_MAX);

    ret->fields = ret->few;
    ret->n_fields = 0;
    ret->unclean = ret->crowded = false;
    ret->method = ret->target = ret->phrase = slice_of(data, 0);
    take_version(&c, ret);
    expect(&c, " ");
    int hundreds = take_digit(&c);
    if (c.state == PARSE_OK && hundreds == 0)
        c.state = PARSE_BAD;
    int tens = take_digit(&c);
    ret->status = hundreds * 100 + tens * 10 + take_digit(&c);
    /* The blank before an empty phrase is often missing. */
    if (!at_line_end(&c)) {
        expect(&c, " ");
        ret->phrase = http_trim(take(&c, TEXT, true));
    }
    end_line(&c);
    take_fields(&c, ret);
    return head_finish(&c, ret, data, len, HTTP_ANSWER_HEAD_MAX);
}

/* Nearly all heads are strict; these do not pay for the others. */
enum parse http_parse_response(struct http_head *ret, const char *data, size_t len)
{
    enum parse p = parse_strict_response(ret, data, len);

    return p == PARSE_BAD ? http_parse_lenient(ret, data, len, NULL, 0) : p;
}

enum parse http_parse_response_in(struct http_head *ret, const char *data, size_t len,
                                  struct http_field *room, size_t room_max)
{
    return http_parse_lenient(ret, data, len, room, room_max);
}

const struct http_field *http_find(const struct http_head *h, const char *name)
{
    struct slice wanted = slice_str(name);

    for (size_t i = 0; i < h->n_fields; i++)
        if (slice_ieq(h->fields[i].name, wanted))
            return &h->fields[i];
    return NULL;
}

bool http_list_next(struct slice *list, struct slice *ret)
{
    if (list->len == 0)
        return false;
    const char *comma = memchr(list->data, ',', list->len);
    size_t len = comma ? (size_t)(comma - list->data) : list->len;
    *ret = http_trim(slice_of(list->data, len));
    size_t used = comma ? len + 1 : len;
    *list = slice_of(list->data + used, list->len - used);
    return true;
}

bool http_lists(const struct http_head *h, const char *name, struct slice element_wanted)
{
    struct slice field = slice_str(name);

    for (size_t i = 0; i < h->n_fields; i++) {
        struct slice list = h->fields[i].value, element;
        if (!slice_ieq(h->fields[i].name, field))
            continue;
        while (http_list_next(&list, &element))
            if (slice_ieq(element, element_wanted))
                return true;
    }
    return false;
}

bool http_has_token(const struct http_head *h, const char *name, const char *token)
{
    return http_lists(h, name, slice_str(token));
}
