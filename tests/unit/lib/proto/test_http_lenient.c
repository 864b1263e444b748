/* Answers of servers that break the rules: what clients accept is accepted, and the client receives
 * correct messages, byte for byte. Messages that clients could read in two ways are not passed on. */
#include "proto/http_lenient.h"

#include "heads.h"
#include "proto/http_forward.h"

static enum parse parse_response(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    struct http_head *h = ret;
    enum parse p = http_parse_response(h, data, len);
    if (p == PARSE_OK)
        *ret_consumed = h->consumed;
    return p;
}

struct row {
    struct slice response;
    const char *expected;
    enum http_body_kind body;
    bool keep; /* the server's connection */
};

#define OK_11 "HTTP/1.1 200 OK\r\n"
#define TWO "Content-Length: 2\r\n"
#define VIA "Via: 1.1 steerway\r\n"
#define VIA_10 "Via: 1.0 steerway\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static void assert_row(const struct row *row, const char *method)
{
    static struct http_head h; /* points into itself */
    struct http_response r;
    struct buf b;

    exact_accepts(parse_response, &h, row->response.data, row->response.len);
    assert_int_equal(http_interpret_response(&r, &h, slice_str(method), false), PARSE_OK);
    buf_init(&b, 1 << 20);
    assert_int_equal(http_write_response(&b, &h, &r, 1, true, "steerway"), 0);
    head_written(&b, row->response.data, row->expected);
    if (r.body.kind != row->body || r.keep_alive != row->keep)
        fail_msg("body %d, keep %d: \"%s\"", (int)r.body.kind, r.keep_alive,
                 exact_show(row->response.data, row->response.len));
    buf_done(&b);
}

static void answers_are_mended(void **state)
{
    static const struct row table[] = {
        /* status lines */
        {{BYTES("\r\n" OK_11 TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES("\n\r\n\n" OK_11 TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES("http/1.1 200 OK\r\n" TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES("HTTP/1.1  200   OK\r\n" TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES("HTTP/1.1\t200\tOK\r\n" TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES("HTTP/1.1 200\nContent-Length: 2\n\n")},
         "HTTP/1.1 200 \r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES("HTTP/1.1 200 O\0\x1bK\r\n" TWO "\r\n")},
         "HTTP/1.1 200 O  K\r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES("ICY 200 OK\r\nicy-name: x\r\n\r\n")},
         OK_11 "icy-name: x\r\n" VIA_10 "\r\n",
         HTTP_BODY_UNTIL_CLOSE,
         false},
        {{BYTES("HTTP/2 200 OK\r\n" TWO "\r\n")}, OK_11 TWO VIA_10 "\r\n", HTTP_BODY_LENGTH, false},
        {{BYTES("HTTP/2.0 200\r\n" TWO "\r\n")},
         "HTTP/1.1 200 \r\n" TWO VIA_10 "\r\n",
         HTTP_BODY_LENGTH,
         false},
        {{BYTES("HTTP/1.1 200OK\r\n" TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES("HTTP/1.1 200:OK\r\n" TWO "\r\n")},
         "HTTP/1.1 200 :OK\r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        /* fields */
        {{BYTES(OK_11 "X-Foo : bar\r\n" TWO "\r\n")},
         OK_11 "X-Foo: bar\r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES(OK_11 "Content-Length \t: 2\r\n\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES(OK_11 "Connection : close, x-a\r\nX-A : 1\r\n" TWO "\r\n")},
         OK_11 TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         false},
        {{BYTES(OK_11 "X: a\r\n  b\r\n\tc\r\n" TWO "\r\n")},
         OK_11 "X: a    b  \tc\r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES(OK_11 "X: a\n b\n" TWO "\r\n")}, OK_11 "X: a  b\r\n" TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES(OK_11 "X:\r\n a\r\n" TWO "\r\n")}, OK_11 "X: a\r\n" TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES(OK_11 "X: a\r\n \r\n" TWO "\r\n")}, OK_11 "X: a\r\n" TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES(OK_11 "Content-Length:\r\n 2\r\n\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES(OK_11 " X: a\r\n" TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES(OK_11 "stray\r\n folded\r\n" TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        {{BYTES(OK_11 "stray\r\n Content-Length: 9\r\n" TWO "\r\n")},
         OK_11 TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES(OK_11 "X: a\r\nstray\r\n folded\r\n" TWO "\r\n")},
         OK_11 "X: a\r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES(OK_11 ": a\r\nX Y: b\r\n(c): d\r\nZ\0: e\r\n" TWO "\r\n")},
         OK_11 TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES(OK_11 "X: a\0b\x01\x7f"
                      "c\x1b[0m\r\n" TWO "\r\n")},
         OK_11 "X: a b  c [0m\r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES(OK_11 "X: a\rContent-Length: 9\r\n" TWO "\r\n")},
         OK_11 "X: a Content-Length: 9\r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES(OK_11 "X: a\r\r\n" TWO "\r\n")}, OK_11 "X: a\r\n" TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        /* where the body ends */
        {{BYTES(OK_11 TWO CHUNKED "\r\n")}, OK_11 CHUNKED VIA "\r\n", HTTP_BODY_CHUNKED, false},
        {{BYTES(OK_11 CHUNKED "Content-Length : 2\r\n\r\n")},
         OK_11 CHUNKED VIA "\r\n",
         HTTP_BODY_CHUNKED,
         false},
        {{BYTES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" CHUNKED "\r\n")},
         OK_11 CHUNKED VIA_10 "\r\n",
         HTTP_BODY_CHUNKED,
         false},
        {{BYTES(OK_11 "Transfer-Encoding: identity\r\n" TWO "\r\n")},
         OK_11 TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         true},
        {{BYTES(OK_11 "Transfer-Encoding: identity\r\n\r\n")},
         OK_11 VIA "\r\n",
         HTTP_BODY_UNTIL_CLOSE,
         false},
        {{BYTES(OK_11 "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n")},
         OK_11 "Content-Length: 0\r\n" VIA "\r\n",
         HTTP_BODY_NONE,
         true},
        {{BYTES(OK_11 "Transfer-Encoding: gzip\r\n" TWO "\r\n")},
         OK_11 "Transfer-Encoding: gzip\r\n" VIA "\r\n",
         HTTP_BODY_UNTIL_CLOSE,
         false},
        {{BYTES(OK_11 "Transfer-Encoding: gzip,\r\n chunked\r\n\r\n")},
         OK_11 "Transfer-Encoding: gzip, chunked\r\n" VIA "\r\n",
         HTTP_BODY_CHUNKED,
         true},
        {{BYTES(OK_11 "Content-Length: 2,\r\n 2\r\n\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, true},
        /* irregular: passed on in correct form, and the connection is not kept */
        {{BYTES(OK_11 "Content-Length: +2\r\n\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, false},
        {{BYTES(OK_11 "A: b\r\nContent-Length: 2;x=3, +2\r\nContent-Length: 2\r\n\r\n")},
         OK_11 "A: b\r\n" TWO VIA "\r\n",
         HTTP_BODY_LENGTH,
         false},
        {{BYTES(OK_11 CHUNKED CHUNKED "\r\n")}, OK_11 CHUNKED VIA "\r\n", HTTP_BODY_CHUNKED, false},
        {{BYTES(OK_11 "Transfer-Encoding: chunked, Chunked\r\n\r\n")},
         OK_11 CHUNKED VIA "\r\n",
         HTTP_BODY_CHUNKED,
         false},
        {{BYTES(OK_11 "Transfer-Encoding: identity, chunked\r\n\r\n")},
         OK_11 CHUNKED VIA "\r\n",
         HTTP_BODY_CHUNKED,
         false},
        {{BYTES(OK_11 "Transfer-Encoding: ,identity, chunked,\r\nA: b\r\n\r\n")},
         OK_11 CHUNKED "A: b\r\n" VIA "\r\n",
         HTTP_BODY_CHUNKED,
         false},
        {{BYTES(OK_11 "Transfer-Encoding: gzip;q=1,,\r\nTransfer-Encoding: br, CHUNKED\r\n\r\n")},
         OK_11 "Transfer-Encoding: gzip;q=1, br, chunked\r\n" VIA "\r\n",
         HTTP_BODY_CHUNKED,
         false},
        {{BYTES(OK_11 "Transfer-Encoding: gzip, identity\r\n\r\n")},
         OK_11 "Transfer-Encoding: gzip\r\n" VIA "\r\n",
         HTTP_BODY_UNTIL_CLOSE,
         false},
        {{BYTES(OK_11 "Transfer-Encoding:\r\n" TWO "\r\n")}, OK_11 TWO VIA "\r\n", HTTP_BODY_LENGTH, false},
        {{BYTES(OK_11 "Transfer-Encoding: ,\r\n\r\n")}, OK_11 VIA "\r\n", HTTP_BODY_UNTIL_CLOSE, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_row(&table[i], "GET");
    const struct row head = {{BYTES(OK_11 TWO CHUNKED "\r\n")}, OK_11 VIA "\r\n", HTTP_BODY_NONE, true};
    assert_row(&head, "HEAD");
}

/* Parsed, but two clients could see two bodies. */
static void the_ambiguous_is_refused(void **state)
{
    static const struct slice table[] = {
        {BYTES(OK_11 TWO "Content-Length : 3\r\n\r\n")},
        {BYTES(OK_11 TWO "Content-Length: 3\r\n" CHUNKED "\r\n")},
        {BYTES(OK_11 "Content-Length: 2\r\n 3\r\n\r\n")},
        {BYTES(OK_11 "Content-Length: 2\0\r\n\r\n")},
        {BYTES(OK_11 "Content-Length: 2\r3\r\n\r\n")},
        {BYTES(OK_11 "Content-Length: 2 0\r\n\r\n")},
        {BYTES(OK_11 "Content-Length: 2;a, 3\r\n\r\n")},
        {BYTES(OK_11 "Content-Length: 0x2\r\n\r\n")},
        {BYTES(OK_11 "Content-Length: -1\r\n\r\n")},
        {BYTES(OK_11 "Transfer-Encoding: chunked\0\r\n\r\n")},
        {BYTES(OK_11 "Transfer-Encoding: \x0b"
                     "chunked\r\n\r\n")},
        {BYTES(OK_11 "Transfer-Encoding: chun\rked\r\n\r\n")},
        {BYTES(OK_11 "Transfer-Encoding: chunked;a=b\r\n\r\n")},
        {BYTES(OK_11 "Transfer-Encoding: chunked b\r\n\r\n")},
        {BYTES(OK_11 "Transfer-Encoding: chunked, gzip\r\n\r\n")},
        {BYTES(OK_11 CHUNKED "Transfer-Encoding : gzip\r\n\r\n")},
        {BYTES(OK_11 "Transfer-Encoding: identity\0\r\n\r\n")},
        {BYTES(OK_11 "Transfer-Encoding: \"chunked\"\r\n\r\n")},
    };
    static struct http_head h;
    struct http_response r;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        exact_accepts(parse_response, &h, table[i].data, table[i].len);
        if (http_interpret_response(&r, &h, slice_str("GET"), false) != PARSE_BAD)
            fail_msg("taken: \"%s\"", exact_show(table[i].data, table[i].len));
    }
}

/* Clients disagree about the end of such a head, or that it is one. */
static void what_is_no_head_is_refused(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", "<html>"),
        BAD_AT("", " HTTP/1.1 200 OK\r\n\r\n"),
        BAD_AT("\r", "x"),
        BAD_AT("\r\n", "x"),
        BAD_AT("IC", "X 200 OK\r\n\r\n"),
        BAD_AT("ICY", "200 OK\r\n\r\n"),
        BAD_AT("ICY ", "OK\r\n\r\n"),
        BAD_AT("HTTP/", "3 200 OK\r\n\r\n"),
        BAD_AT("HTTP/2", "0 200 OK\r\n\r\n"),
        BAD_AT("HTTP/2.", "1 200 OK\r\n\r\n"),
        BAD_AT("HTTP/2", "200 OK\r\n\r\n"),
        BAD_AT("HTTP/1.1", "200 OK\r\n\r\n"),
        BAD_AT("HTTP/1.1 20", "x OK\r\n\r\n"),
        BAD_AT("HTTP/1.1 20", " OK\r\n\r\n"),
        BAD_AT("HTTP/1.1 200", "0 OK\r\n\r\n"),
        BAD_AT("HTTP/1.1  ", "OK\r\n\r\n"),
        BAD_AT(OK_11 "X : a\r\n\r", "\r\n"),
        BAD_AT(OK_11 "X : a\r\n\r", "Y: b\r\n\r\n"),
        BAD_AT(OK_11 "stray\r\n\r", " b\r\n\r\n"),
    };
    static struct http_head h;

    (void)state;
    exact_refuses_all(parse_response, &h, table, ARRAY_LEN(table));
}

/* As many fields as a head can hold; clients have no limit of their own. */
static void many_fields_go_on(void **state)
{
    enum { MOST = HTTP_ANSWER_HEAD_MAX / 3 };
    static struct http_field room[MOST];
    static char text[HTTP_ANSWER_HEAD_MAX + 1];
    static struct http_head h;
    struct http_response r;
    struct buf b;
    size_t n = (size_t)snprintf(text, sizeof text, "%s", "HTTP/1.1 200 OK\nContent-Length:2\nConnection:x\n"),
           fields = 2;

    (void)state;
    for (; n + 4 <= HTTP_ANSWER_HEAD_MAX; n += 3, fields++)
        memcpy(text + n, "a:\n", 3);
    text[n++] = '\n';
    assert_int_equal(http_parse_response(&h, text, n), PARSE_BAD);
    assert_true(h.crowded);
    assert_int_equal(http_parse_response_in(&h, text, n - 1, room, MOST), PARSE_NEED_MORE);
    assert_int_equal(http_parse_response_in(&h, text, n, room, fields - 1), PARSE_BAD);
    assert_true(h.crowded);
    assert_int_equal(http_parse_response_in(&h, text, n, room, fields), PARSE_OK);
    assert_int_equal(h.n_fields, fields);
    assert_int_equal(http_interpret_response(&r, &h, slice_str("GET"), false), PARSE_OK);
    assert_true(r.keep_alive);
    buf_init(&b, 2 * HTTP_ANSWER_HEAD_MAX + 2 * 64 * 1024); /* as for a session */
    assert_int_equal(http_write_response(&b, &h, &r, 1, true, "steerway"), 0);
    assert_int_equal(b.len, strlen(OK_11 TWO VIA) + 5 * (fields - 2) + 2);
    buf_done(&b);
    /* Thousands of names in Connection make each of thousands of fields expensive to check. */
    char *connection = memchr(text, 'x', 64);
    for (int i = 0; i < 33; i++)
        memcpy(connection + 2 * i, "x,", 2);
    memcpy(connection + 66, "\na", 2);
    assert_int_equal(http_parse_response_in(&h, text, n, room, MOST), PARSE_OK);
    assert_int_equal(http_interpret_response(&r, &h, slice_str("GET"), false), PARSE_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_mended),
        cmocka_unit_test(the_ambiguous_is_refused),
        cmocka_unit_test(what_is_no_head_is_refused),
        cmocka_unit_test(many_fields_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
