/* HTTP: a message that was parsed and written must parse again and mean the same, above all where its body
 * ends. A body ends at the same byte however it arrives. */
#include "fuzz.h"
#include "proto/http_forward.h"

enum { LONGEST_FOR_PREFIXES = 300, PSEUDONYM_MAX = 16 };
static const char PSEUDONYM[PSEUDONYM_MAX] = "fuzz";

/* --- written heads -------------------------------------------------------------------------------------- */

static size_t count(const struct http_head *h, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_fields; i++)
        n += slice_ieq(h->fields[i].name, slice_str(name));
    return n;
}

/* Lines end in CRLF, and neither these bytes nor NUL occur elsewhere: every peer sees the same lines. */
static void check_lines(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        CHECK(s.data[i] != '\0');
        CHECK(s.data[i] != '\r' || (i + 1 < s.len && s.data[i + 1] == '\n'));
        CHECK(s.data[i] != '\n' || (i > 0 && s.data[i - 1] == '\r'));
        if (i > 1 && s.data[i - 1] == '\n')
            CHECK(s.data[i] != ' ' && s.data[i] != '\t');
    }
}

static size_t count_lines(struct slice s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.data[i] == '\n';
    return n;
}

static void check_written(const struct http_head *h, struct slice s)
{
    static const char *const gone[] = {"Proxy-Connection", "Keep-Alive", "TE", "Proxy-Authorization",
                                       "Proxy-Authenticate"};

    check_lines(s);
    CHECK(!h->unclean); /* and every line is a field with its name at once before the colon: it is counted */
    CHECK(h->n_fields + 2 == count_lines(s));
    for (size_t i = 0; i < h->n_fields; i++)
        CHECK(h->fields[i].name.data[h->fields[i].name.len] == ':');
    CHECK(h->consumed == s.len);
    CHECK(h->minor == 1);
    CHECK(count(h, "Content-Length") <= 1);
    CHECK(count(h, "Connection") <= 1);
    CHECK(count(h, "Content-Length") == 0 || count(h, "Transfer-Encoding") == 0);
    CHECK(count(h, "Via") >= 1);
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        CHECK(count(h, gone[i]) == 0);
}

static void check_same_body(const struct http_body *a, const struct http_body *b)
{
    CHECK(a->kind == b->kind && a->left == b->left && a->done == b->done);
}

/* The digits are those of the number that was parsed: a peer reads the same number. */
static void check_length(const struct http_head *h, const struct http_body *b)
{
    const struct http_field *f = http_find(h, "Content-Length");
    char digits[32];

    if (b->kind != HTTP_BODY_LENGTH)
        return;
    CHECK(f);
    struct slice value = f->value;
    while (value.len > 1 && value.data[0] == '0')
        value = slice_of(value.data + 1, value.len - 1);
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)b->left);
    CHECK(slice_eq(value, slice_str(digits)));
}

/* A head with the maximum number of fields grows by Host and Via: it does not fit struct http_head, so it
 * cannot be parsed again here. */
static bool fits_again(const struct http_head *h)
{
    return h->n_fields + 4 <= HTTP_FIELDS_MAX && h->consumed + 1024 < HTTP_HEAD_MAX;
}

static void fuzz_request(const struct http_head *head)
{
    struct http_head again;
    struct http_request r;
    struct http_body body;
    struct buf out;

    enum http_objection why = http_interpret(&r, head);
    if (why != HTTP_FINE)
        return;
    CHECK(r.target.port != 0);
    fuzz_target(&r.target);
    if (r.kind == HTTP_CONNECT || !fits_again(head))
        return;
    buf_init(&out, 4 * HTTP_HEAD_MAX);
    CHECK(http_write_request(&out, head, &r, PSEUDONYM) == 0);
    struct slice s = buf_slice(&out);
    CHECK(http_parse_request(&again, s.data, s.len) == PARSE_OK);
    check_written(&again, s);
    CHECK(slice_eq(again.method, head->method));
    CHECK(again.target.data[0] == '/' || slice_eq(again.target, slice_str("*")));
    CHECK(count(&again, "Host") == 1 && slice_eq(http_find(&again, "Host")->value, r.authority));
    CHECK(count(&again, "Connection") == (r.upgrade ? 1 : 0));
    CHECK(count(&again, "Upgrade") == 0 || r.upgrade);
    CHECK(http_body_of_request(&body, &again) == PARSE_OK);
    check_same_body(&body, &r.body);
    check_length(&again, &r.body);
    buf_done(&out);
}

static void fuzz_response(const struct http_head *head, const char *method, int client_minor, bool keep_alive)
{
    struct http_head again;
    struct http_response r, reread;
    struct buf out;

    if (http_interpret_response(&r, head, slice_str(method), true) != PARSE_OK || !fits_again(head))
        return;
    buf_init(&out, 4 * HTTP_HEAD_MAX);
    CHECK(http_write_response(&out, head, &r, client_minor, keep_alive, PSEUDONYM) == 0);
    struct slice s = buf_slice(&out);
    CHECK(http_parse_response(&again, s.data, s.len) == PARSE_OK);
    check_written(&again, s);
    CHECK(again.status == head->status);
    CHECK(http_interpret_response(&reread, &again, slice_str(method), true) == PARSE_OK);
    CHECK(reread.switching == r.switching && reread.interim == r.interim);
    CHECK(!reread.body.doubtful);
    CHECK(reread.body.coded == (r.body.coded && client_minor > 0));
    if (client_minor == 0)
        CHECK(count(&again, "Transfer-Encoding") == 0);
    if (client_minor == 0 && r.body.kind == HTTP_BODY_CHUNKED)
        CHECK(reread.body.kind == HTTP_BODY_UNTIL_CLOSE);
    else
        check_same_body(&reread.body, &r.body);
    check_length(&again, &r.body);
    if (!r.interim && !r.switching)
        CHECK(http_has_token(&again, "Connection", "close") == !keep_alive);
    buf_done(&out);
}

/* --- parsed heads --------------------------------------------------------------------------------------- */

static void check_within(const struct http_head *h, const char *data)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        struct slice name = h->fields[i].name, value = h->fields[i].value;
        CHECK(name.len > 0 && name.data >= data);
        CHECK(value.data >= name.data + name.len && value.data + value.len <= data + h->consumed);
    }
}

static enum parse parse_request(const char *data, size_t len, size_t *ret_consumed)
{
    struct http_head h;
    enum parse p = http_parse_request(&h, data, len);
    if (p != PARSE_OK)
        return p;
    check_within(&h, data);
    *ret_consumed = h.consumed;
    return p;
}

static enum parse parse_response(const char *data, size_t len, size_t *ret_consumed)
{
    struct http_head h;
    enum parse p = http_parse_response(&h, data, len);
    if (p != PARSE_OK)
        return p;
    check_within(&h, data);
    CHECK(h.status >= 100 && h.status <= 999);
    *ret_consumed = h.consumed;
    return p;
}

/* --- bodies --------------------------------------------------------------------------------------------- */

enum mode { PASSED, CONTENT };

struct outcome {
    enum parse verdict;
    size_t used;
    struct buf out; /* the bytes passed on, or the content */
};

/* Pieces of 1..most bytes, chosen by `seed`. */
static size_t next_piece(uint32_t *seed, size_t most, size_t left)
{
    *seed = *seed * 1664525u + 1013904223u;
    size_t n = 1 + (*seed >> 16) % most;
    return n < left ? n : left;
}

static enum parse pass(struct http_body *b, const char *data, size_t len, size_t *ret_used, struct buf *out)
{
    size_t rest;
    int err;
    enum parse p = http_body_advance(b, data, len, ret_used);

    if (p == PARSE_BAD)
        return p;
    CHECK(*ret_used <= len);
    CHECK(buf_append(out, data, *ret_used) == 0);
    if (!b->bent)
        return p;
    CHECK(p == PARSE_NEED_MORE && *ret_used < len);
    p = http_body_mend(b, data + *ret_used, len - *ret_used, &rest, out, &err);
    CHECK(err == 0 && !b->bent && (p == PARSE_BAD || rest > 0));
    *ret_used += p == PARSE_BAD ? 0 : rest;
    return p;
}

static enum parse take(struct http_body *b, const char *data, size_t len, size_t *ret_used, struct buf *out)
{
    size_t used;
    struct slice piece;
    enum parse p;

    *ret_used = 0;
    do {
        p = http_body_next(b, data + *ret_used, len - *ret_used, &used, &piece);
        if (p == PARSE_BAD)
            return p;
        CHECK(used <= len - *ret_used);
        CHECK(piece.len == 0 ||
              (piece.data >= data + *ret_used && piece.data + piece.len <= data + *ret_used + used));
        CHECK(buf_append(out, piece.data, piece.len) == 0);
        *ret_used += used;
    } while (p == PARSE_NEED_MORE && used > 0 && *ret_used < len);
    return p;
}

/* Bytes of a piece that were not used come again with the next. */
static struct outcome run_body(struct http_body b, struct slice data, size_t most, uint32_t seed,
                               enum mode mode)
{
    struct outcome o = {.verdict = PARSE_NEED_MORE};
    size_t given = 0;

    buf_init(&o.out, 4 * data.len + 64);
    while (o.verdict == PARSE_NEED_MORE && given < data.len) {
        size_t used = 0;
        given += next_piece(&seed, most, data.len - given);
        char *piece = fuzz_copy(data.data + o.used, given - o.used);
        o.verdict = mode == PASSED ? pass(&b, piece, given - o.used, &used, &o.out)
                                   : take(&b, piece, given - o.used, &used, &o.out);
        free(piece);
        o.used += used;
        CHECK(o.verdict == PARSE_BAD || b.done == (o.verdict == PARSE_OK));
        CHECK(o.verdict != PARSE_NEED_MORE || o.used == given || b.kind == HTTP_BODY_CHUNKED);
    }
    return o;
}

static void check_same_outcome(const struct outcome *a, const struct outcome *b, bool output)
{
    CHECK(a->verdict == b->verdict);
    if (a->verdict == PARSE_BAD)
        return;
    CHECK(a->used == b->used);
    if (output)
        CHECK(slice_eq(buf_slice(&a->out), buf_slice(&b->out)));
}

/* Passed answers follow the rules: a strict reader sees the same content and the same end. */
static void check_by_the_book(const struct outcome *passed, const struct outcome *content)
{
    struct http_body strict = {.kind = HTTP_BODY_CHUNKED, .strict = true};
    struct slice s = buf_slice(&passed->out);
    size_t used;

    CHECK(http_body_advance(&strict, s.data, s.len, &used) == passed->verdict);
    CHECK(used == s.len && !strict.bent);
    struct outcome again = run_body((struct http_body){.kind = HTTP_BODY_CHUNKED, .strict = true}, s,
                                    s.len ? s.len : 1, 0, CONTENT);
    CHECK(slice_eq(buf_slice(&again.out), buf_slice(&content->out)));
    buf_done(&again.out);
}

static void fuzz_body(const struct http_body *b, struct slice data)
{
    uint32_t seed = 2166136261u;

    for (size_t i = 0; i < data.len; i++)
        seed = (seed ^ (unsigned char)data.data[i]) * 16777619u;
    const size_t all = data.len ? data.len : 1;
    struct outcome whole = run_body(*b, data, all, 0, PASSED), pieces = run_body(*b, data, 7, seed, PASSED),
                   bytewise = run_body(*b, data, 1, 0, PASSED), content = run_body(*b, data, all, 0, CONTENT),
                   content_pieces = run_body(*b, data, 7, seed, CONTENT);
    check_same_outcome(&whole, &pieces, true);
    check_same_outcome(&whole, &bytewise, true);
    check_same_outcome(&whole, &content, false);
    check_same_outcome(&content, &content_pieces, true);
    if (whole.verdict != PARSE_BAD && b->kind == HTTP_BODY_CHUNKED)
        check_by_the_book(&whole, &content);
    buf_done(&whole.out);
    buf_done(&pieces.out);
    buf_done(&bytewise.out);
    buf_done(&content.out);
    buf_done(&content_pieces.out);
}

/* What the strict parser accepts, the lenient one reads alike. */
static void fuzz_chunks(struct slice data)
{
    const struct http_body lenient = {.kind = HTTP_BODY_CHUNKED},
                           strict = {.kind = HTTP_BODY_CHUNKED, .strict = true};

    fuzz_body(&lenient, data);
    fuzz_body(&strict, data);
    struct outcome a = run_body(strict, data, data.len ? data.len : 1, 0, PASSED),
                   b = run_body(lenient, data, data.len ? data.len : 1, 0, PASSED);
    if (a.verdict == PARSE_OK)
        check_same_outcome(&a, &b, true);
    buf_done(&a.out);
    buf_done(&b.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "HEAD", "CONNECT"};
    const char *text = (const char *)data;
    struct http_head head;
    struct http_body body;

    if (size <= LONGEST_FOR_PREFIXES) {
        fuzz_prefixes(parse_request, text, size);
        fuzz_prefixes(parse_response, text, size);
    }
    fuzz_chunks(slice_of(text, size));
    if (http_parse_request(&head, text, size) == PARSE_OK) {
        check_within(&head, text);
        fuzz_request(&head);
        if (http_body_of_request(&body, &head) == PARSE_OK)
            fuzz_body(&body, slice_of(text + head.consumed, size - head.consumed));
    }
    if (http_parse_response(&head, text, size) == PARSE_OK) {
        check_within(&head, text);
        for (size_t i = 0; i < ARRAY_LEN(methods); i++)
            for (int how = 0; how < 4; how++)
                fuzz_response(&head, methods[i], how & 1, how & 2);
        if (http_body_of_response(&body, &head, slice_str("GET")) == PARSE_OK)
            fuzz_body(&body, slice_of(text + head.consumed, size - head.consumed));
    }
    return 0;
}
