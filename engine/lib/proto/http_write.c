/* The writing half of http_forward.h: heads for the destination, heads for the client, and the proxy's own
 * responses. */
#include "proto/http_forward.h"
#include "proto/http_lenient.h"

#include <errno.h>
#include <stdio.h>

/* Writes into room that was reserved before, so that a piece costs only its copy. A piece without room is
 * left out, and reported at the end. */
struct writer {
    struct buf *out;
    char *at, *end;
    int err;
    bool unclean;  /* text from a head may have control characters */
    bool measured; /* Content-Length must be written */
    bool coded;    /* Transfer-Encoding must be written */
};

/* @param most  bytes that can be written */
static struct writer writer_over(struct buf *out, size_t most)
{
    struct writer w = {.out = out};
    size_t room = most < buf_room(out) ? most : buf_room(out);

    w.err = buf_reserve(out, room, &w.at);
    w.end = w.err == 0 ? w.at + room : w.at;
    return w;
}

static int writer_end(struct writer *w)
{
    if (w->err == 0)
        buf_commit(w->out, (size_t)(w->at - (w->out->data + w->out->start + w->out->len)));
    return w->err;
}

static void put(struct writer *w, struct slice s)
{
    if (s.len == 0)
        return;
    if (s.len > (size_t)(w->end - w->at)) {
        w->err = w->err ? w->err : -ENOBUFS;
        w->end = w->at;
        return;
    }
    memcpy(w->at, s.data, s.len);
    w->at += s.len;
}

/* Write text from a head. Control characters, such as the line ends of a folded value, become blanks (RFC
 * 9112 2.2, 5.2; RFC 9110 5.5). */
static void put_text(struct writer *w, struct slice s)
{
    char *c = w->at;

    put(w, s);
    for (; w->unclean && c < w->at; c++)
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
            *c = ' ';
}

static void put_str(struct writer *w, const char *s)
{
    put(w, slice_str(s));
}

static void put_field(struct writer *w, struct slice name, struct slice value)
{
    put(w, name);
    put_str(w, ": ");
    put_text(w, value);
    put_str(w, "\r\n");
}

static void put_via(struct writer *w, const struct http_head *head, const char *pseudonym)
{
    put_str(w, head->minor ? "Via: 1.1 " : "Via: 1.0 ");
    put_str(w, pseudonym);
    put_str(w, "\r\n");
}

/* The compiler counts the length. */
#define NAME(text)                                                                                           \
    {                                                                                                        \
        text, sizeof(text) - 1                                                                               \
    }

static bool is_one_of(struct slice name, const struct slice *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slice_ieq(name, names[i]))
            return true;
    return false;
}

/* Fields that end at this hop, whatever Connection says. The callers decide about Transfer-Encoding and
 * Upgrade.
 *  @see RFC 9110 7.6.1 */
static bool is_hop_by_hop(struct slice name)
{
    static const struct slice names[] = {
        NAME("Connection"),
        NAME("Proxy-Connection"),
        NAME("Keep-Alive"),
        NAME("TE"),
        NAME("Upgrade"),
        NAME("Proxy-Authorization"),
        NAME("Proxy-Authenticate"),
        NAME("Proxy-Authentication-Info"),
    };
    return is_one_of(name, names, ARRAY_LEN(names));
}

/* Fields that frame or route the message: a Connection field cannot remove them. */
static bool is_protected(struct slice name)
{
    static const struct slice names[] = {NAME("Content-Length"), NAME("Transfer-Encoding"), NAME("Host"),
                                         NAME("Via")};
    return is_one_of(name, names, ARRAY_LEN(names));
}

enum { HTTP_OPTIONS_MAX = 32 };

/* The elements of all Connection fields. If they do not fit, each look-up searches the head. */
struct options {
    struct slice names[HTTP_OPTIONS_MAX];
    size_t n;
    bool more;
};

static void read_options(struct options *ret, const struct http_head *head)
{
    struct slice element;

    ret->n = 0;
    ret->more = false;
    for (size_t i = 0; i < head->n_fields; i++) {
        struct slice list = head->fields[i].value;
        if (!slice_ieq(head->fields[i].name, slice_str("Connection")))
            continue;
        while (!ret->more && http_list_next(&list, &element)) {
            ret->more = ret->n == HTTP_OPTIONS_MAX;
            if (!ret->more)
                ret->names[ret->n++] = element;
        }
    }
}

/* Whether a field passes unchanged. Fields that frame the body are handled elsewhere. */
static bool passes(const struct http_head *head, const struct options *o, const struct http_field *f)
{
    if (is_protected(f->name))
        return true;
    if (is_hop_by_hop(f->name) || is_one_of(f->name, o->names, o->n))
        return false;
    return !o->more || !http_lists(head, "Connection", f->name);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Write a length once, although it may come several times, and only its digits. Leading zeros are dropped, as
 * some would read octal. */
static void put_length(struct writer *w, const struct http_field *f)
{
    size_t start = 0, end;

    while (start < f->value.len && !is_digit(f->value.data[start]))
        start++;
    while (start + 1 < f->value.len && f->value.data[start] == '0' && is_digit(f->value.data[start + 1]))
        start++;
    for (end = start; end < f->value.len && is_digit(f->value.data[end]);)
        end++;
    if (w->measured)
        put_field(w, f->name, slice_of(f->value.data + start, end - start));
    w->measured = false;
}

static bool adds_coding(struct slice coding)
{
    return coding.len > 0 && !slice_ieq(coding, slice_str("identity")) &&
           !slice_ieq(coding, slice_str("chunked"));
}

/* Write all codings in one field, with chunked once, at the end. */
static void put_codings(struct writer *w, const struct http_head *head, const struct http_body *body)
{
    const bool chunked = body->kind == HTTP_BODY_CHUNKED;
    const char *before = "";
    struct slice coding;

    if (!w->coded)
        return;
    w->coded = false;
    put_str(w, "Transfer-Encoding: ");
    for (size_t i = 0; body->coded && i < head->n_fields; i++) {
        struct slice list = head->fields[i].value;
        if (!slice_ieq(head->fields[i].name, slice_str("Transfer-Encoding")))
            continue;
        while (http_list_next(&list, &coding)) {
            if (!adds_coding(coding))
                continue;
            put_str(w, before);
            put_text(w, coding);
            before = ", ";
        }
    }
    put_str(w, chunked ? before : "");
    put_str(w, chunked ? "chunked\r\n" : "\r\n");
}

static void put_upgrade(struct writer *w, const struct http_head *head)
{
    put_str(w, "Connection: upgrade\r\n");
    for (size_t i = 0; i < head->n_fields; i++)
        if (slice_ieq(head->fields[i].name, slice_str("Upgrade")))
            put_field(w, head->fields[i].name, head->fields[i].value);
}

static void put_fewer_hops(struct writer *w, const struct http_field *f)
{
    char text[24];
    long hops = 0;

    for (size_t i = 0; i < f->value.len && hops < 1000000; i++)
        hops = hops * 10 + (f->value.data[i] - '0');
    (void)snprintf(text, sizeof text, "%ld", hops > 0 ? hops - 1 : 0);
    put_field(w, f->name, slice_str(text));
}

static bool is_number(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.data[i]))
            return false;
    return s.len > 0;
}

bool http_counts_hops(const struct http_head *head)
{
    return (slice_eq(head->method, slice_str("OPTIONS")) || slice_eq(head->method, slice_str("TRACE"))) &&
           http_find(head, "Max-Forwards");
}

static void put_request_field(struct writer *w, const struct http_head *head, const struct options *o,
                              const struct http_field *f, const struct http_request *req)
{
    if (slice_ieq(f->name, slice_str("Host")))
        return; /* already written, from the target */
    if (slice_ieq(f->name, slice_str("Content-Length")))
        return put_length(w, f);
    if (slice_ieq(f->name, slice_str("Expect")) && !req->expect_100)
        return; /* from an HTTP/1.0 client, which would not understand the 100 */
    if (slice_ieq(f->name, slice_str("Max-Forwards")) && http_counts_hops(head) && is_number(f->value))
        return put_fewer_hops(w, f);
    if (slice_ieq(f->name, slice_str("Transfer-Encoding")))
        return put_codings(w, head, &req->body);
    if (passes(head, o, f))
        put_field(w, f->name, f->value);
}

/* The most bytes that a head can grow to. Each bare LF may get a CR, each name a blank, and lines are added.
 */
static size_t most_of(const struct http_head *head, const char *pseudonym)
{
    enum { ADDED_MAX = 128 };
    return head->consumed + 3 * head->n_fields + strlen(pseudonym) + ADDED_MAX;
}

int http_write_request(struct buf *out, const struct http_head *head, const struct http_request *req,
                       const char *pseudonym)
{
    struct writer w = writer_over(out, most_of(head, pseudonym) + req->authority.len);
    struct options options;

    w.measured = true;
    w.coded = req->body.kind == HTTP_BODY_CHUNKED;
    read_options(&options, head);
    put(&w, head->method);
    put_str(&w, " ");
    if (req->path.len > 0 && req->path.data[0] == '?')
        put_str(&w, "/");
    put(&w, req->path);
    put_str(&w, " HTTP/1.1\r\n");
    put_field(&w, slice_str("Host"), req->authority);
    for (size_t i = 0; i < head->n_fields; i++)
        put_request_field(&w, head, &options, &head->fields[i], req);
    put_via(&w, head, pseudonym);
    if (req->upgrade)
        put_upgrade(&w, head);
    put_str(&w, "\r\n");
    return writer_end(&w);
}

enum parse http_interpret_response(struct http_response *ret, const struct http_head *head,
                                   struct slice request_method, bool upgrade_asked)
{
    struct http_body body;
    struct options options;

    if (http_body_of_response(&body, head, request_method) != PARSE_OK ||
        (head->status == 101 && !upgrade_asked))
        return PARSE_BAD;
    if (head->n_fields > HTTP_FIELDS_MAX) {
        read_options(&options, head);
        if (options.more) /* would search thousands of names in thousands of fields */
            return PARSE_BAD;
    }
    bool close = http_has_token(head, "Connection", "close"),
         keep = http_has_token(head, "Connection", "keep-alive");
    *ret = (struct http_response){
        .body = body,
        .keep_alive =
            body.kind != HTTP_BODY_UNTIL_CLOSE && !body.doubtful && !close && (head->minor >= 1 || keep),
        .switching = head->status == 101,
        .interim = head->status / 100 == 1 && head->status != 101,
    };
    return PARSE_OK;
}

/* Whether to send Content-Length. 1xx and 204 have no content (RFC 9110 8.6). */
static bool is_measured(const struct http_head *head, const struct http_response *resp)
{
    if (head->status / 100 == 1 || head->status == 204)
        return false;
    if (resp->body.kind == HTTP_BODY_NONE)
        return !http_has_token(head, "Transfer-Encoding", "chunked");
    return resp->body.kind == HTTP_BODY_LENGTH;
}

/* A body that ends with the connection may have codings other than chunked. */
static bool is_coded(const struct http_response *resp, int client_minor)
{
    return client_minor > 0 && (resp->body.kind == HTTP_BODY_CHUNKED || resp->body.coded);
}

static void put_response_field(struct writer *w, const struct http_head *head, const struct options *o,
                               const struct http_field *f, const struct http_body *body)
{
    if (slice_ieq(f->name, slice_str("Content-Length")))
        put_length(w, f);
    else if (slice_ieq(f->name, slice_str("Transfer-Encoding")))
        put_codings(w, head, body);
    else if (passes(head, o, f))
        put_field(w, f->name, f->value);
}

int http_write_response(struct buf *out, const struct http_head *head, const struct http_response *resp,
                        int client_minor, bool keep_alive, const char *pseudonym)
{
    struct writer w = writer_over(out, most_of(head, pseudonym));
    char status[] = "HTTP/1.1 000 ";
    struct options options;

    read_options(&options, head);
    w.unclean = head->unclean;
    w.measured = is_measured(head, resp);
    w.coded = is_coded(resp, client_minor);
    for (int i = 0, left = head->status; i < 3; i++, left /= 10)
        status[sizeof "HTTP/1.1 00" - 1 - (size_t)i] = (char)('0' + left % 10);
    put_str(&w, status);
    put_text(&w, head->phrase);
    put_str(&w, "\r\n");
    for (size_t i = 0; i < head->n_fields; i++)
        put_response_field(&w, head, &options, &head->fields[i], &resp->body);
    put_via(&w, head, pseudonym);
    if (resp->switching)
        put_upgrade(&w, head);
    else if (!resp->interim && !keep_alive)
        put_str(&w, "Connection: close\r\n");
    else if (!resp->interim && client_minor == 0)
        put_str(&w, "Connection: keep-alive\r\n");
    put_str(&w, "\r\n");
    return writer_end(&w);
}

bool http_may_trail(struct slice name)
{
    return !is_protected(name) && !is_hop_by_hop(name) && !slice_ieq(name, slice_str("Trailer"));
}

int http_write_trailers(struct buf *out, struct slice trailers)
{
    struct http_head head;

    if (http_lenient_trailers(&head, trailers.data, trailers.len) != PARSE_OK)
        return -EINVAL;
    struct writer w = writer_over(out, trailers.len + 3 * head.n_fields + 2);
    w.unclean = head.unclean;
    for (size_t i = 0; i < head.n_fields; i++)
        if (http_may_trail(head.fields[i].name))
            put_field(&w, head.fields[i].name, head.fields[i].value);
    put_str(&w, "\r\n");
    return writer_end(&w);
}

int http_write_error(struct buf *out, int status, const char *error, const char *text, bool keep_alive,
                     bool head_only)
{
    enum { HEAD_MAX = 512 };
    struct writer w = writer_over(out, HEAD_MAX + strlen(text));
    char line[160];

    (void)snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\n", status, http_phrase(status));
    put_str(&w, line);
    if (status == 407)
        put_str(&w, "Proxy-Authenticate: Basic realm=\"Steerway\"\r\n");
    if (error) {
        (void)snprintf(line, sizeof line, "Proxy-Status: steerway; error=%s\r\n", error);
        put_str(&w, line);
    }
    (void)snprintf(line, sizeof line, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n",
                   strlen(text) + 1);
    put_str(&w, line);
    put_str(&w, keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
    if (!head_only) {
        put_str(&w, text);
        put_str(&w, "\n");
    }
    return writer_end(&w);
}

const char *http_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {400, "Bad Request"},
        {403, "Forbidden"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Error";
}
