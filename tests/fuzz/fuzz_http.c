/* HTTP: what is read from one side and written to the other must parse again and mean the same, above all
 * where its body ends; and a body ends at the same octet however it arrives. */
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

/* Lines end in CRLF, and none of these octets stands elsewhere, nor a NUL: no peer sees other lines than we.
 */
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

/* The digits are those of the number that was understood: a peer that reads them reads the same. */
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

/* A head with all the fields it may have grows by Host and Via: what it becomes has no room in struct
 * http_head, so it cannot be read again here. */
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

/* --- heads as they are read ------------------------------------------------------------------------------
 */

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

struct outcome {
    enum parse verdict;
    size_t used, content_len;
    char *content;
};

/* Pieces of 1..most octets, as `seed` says. */
static size_t next_piece(uint32_t *seed, size_t most, size_t left)
{
    *seed = *seed * 1664525u + 1013904223u;
    size_t n = 1 + (*seed >> 16) % most;
    return n < left ? n : left;
}

static struct outcome run_body(struct http_body b, struct slice data, size_t most, uint32_t seed,
                               bool content_only)
{
    struct outcome o = {.verdict = PARSE_NEED_MORE, .content = fuzz_copy("", 0)};
    char *content = realloc(o.content, data.len + 1);

    CHECK(content);
    o.content = content;
    while (o.verdict == PARSE_NEED_MORE && o.used < data.len) {
        size_t n = next_piece(&seed, most, data.len - o.used), used = SIZE_MAX;
        char *piece = fuzz_copy(data.data + o.used, n);
        struct slice part = slice_of(piece, n);
        o.verdict = content_only ? http_body_next(&b, piece, n, &used, &part)
                                 : http_body_advance(&b, piece, n, &used);
        if (o.verdict != PARSE_BAD) {
            CHECK(used <= n);
            CHECK(content_only ? used > 0 || o.verdict == PARSE_OK : used == n || o.verdict == PARSE_OK);
            CHECK(b.done == (o.verdict == PARSE_OK));
            if (!content_only)
                part.len = used;
            CHECK(part.len == 0 || (part.data >= piece && part.data + part.len <= piece + used));
            if (part.len > 0)
                memcpy(o.content + o.content_len, part.data, part.len);
            o.content_len += part.len;
            o.used += used;
        }
        free(piece);
    }
    return o;
}

static void check_same_outcome(const struct outcome *a, const struct outcome *b, bool content)
{
    CHECK(a->verdict == b->verdict);
    if (a->verdict == PARSE_BAD)
        return;
    CHECK(a->used == b->used);
    if (content)
        CHECK(a->content_len == b->content_len && memcmp(a->content, b->content, a->content_len) == 0);
}

static void fuzz_body(const struct http_body *b, struct slice data)
{
    uint32_t seed = 2166136261u;

    for (size_t i = 0; i < data.len; i++)
        seed = (seed ^ (unsigned char)data.data[i]) * 16777619u;
    struct outcome whole = run_body(*b, data, data.len ? data.len : 1, 0, false),
                   pieces = run_body(*b, data, 7, seed, false), octets = run_body(*b, data, 1, 0, false),
                   content = run_body(*b, data, data.len ? data.len : 1, 0, true),
                   content_pieces = run_body(*b, data, 7, seed, true);
    check_same_outcome(&whole, &pieces, true);
    check_same_outcome(&whole, &octets, true);
    check_same_outcome(&whole, &content, false);
    check_same_outcome(&content, &content_pieces, true);
    if (whole.verdict != PARSE_BAD)
        CHECK(whole.content_len == whole.used && content.content_len <= whole.used);
    free(whole.content);
    free(pieces.content);
    free(octets.content);
    free(content.content);
    free(content_pieces.content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"GET", "HEAD", "CONNECT"};
    const char *text = (const char *)data;
    struct http_head head;
    struct http_body body = {.kind = HTTP_BODY_CHUNKED};

    if (size <= LONGEST_FOR_PREFIXES) {
        fuzz_prefixes(parse_request, text, size);
        fuzz_prefixes(parse_response, text, size);
    }
    fuzz_body(&body, slice_of(text, size));
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
