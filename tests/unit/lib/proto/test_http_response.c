#include "proto/http_forward.h"

#include "heads.h"

/* --- interpreting --------------------------------------------------------------------------------------- */

static void test_reuse_of_the_parent(void **state)
{
    static const struct {
        const char *method, *response;
        bool keep;
    } table[] = {
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true},
        {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n", true},
        {"HEAD", "HTTP/1.1 200 OK\r\n\r\n", true},
        {"GET", "HTTP/1.1 200 OK\r\n\r\n", false}, /* its end is the connection's end */
        {"GET", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", false},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", false},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, Close\r\n\r\n", false},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: closed\r\n\r\n", true},
        {"HEAD", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", false},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct http_head h;
        struct http_response r;
        head_response(&h, table[i].response);
        assert_int_equal(http_interpret_response(&r, &h, slice_str(table[i].method), false), PARSE_OK);
        if (r.keep_alive != table[i].keep)
            fail_msg("keep_alive is not %d: %s %s", table[i].keep, table[i].method, table[i].response);
        assert_false(r.switching);
        assert_false(r.interim);
    }
    (void)state;
}

static void test_interim_and_switching(void **state)
{
    for (int status = 100; status < 1000; status++) {
        char text[64];
        struct http_head h;
        struct http_response r;
        (void)snprintf(text, sizeof text, "HTTP/1.1 %d x\r\n\r\n", status);
        head_response(&h, text);
        for (int asked = 0; asked < 2; asked++) {
            enum parse p = http_interpret_response(&r, &h, slice_str("GET"), asked);
            assert_int_equal(p, status == 101 && !asked ? PARSE_BAD : PARSE_OK);
            if (p == PARSE_BAD)
                continue;
            assert_int_equal(r.switching, status == 101);
            assert_int_equal(r.interim, status < 200 && status != 101);
        }
    }
    (void)state;
}

static void test_ambiguous_responses(void **state)
{
    struct http_head h;
    struct http_response r;

    head_response(&h, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n");
    assert_int_equal(http_interpret_response(&r, &h, slice_str("GET"), false), PARSE_BAD);
    (void)state;
}

/* --- writing -------------------------------------------------------------------------------------------- */

struct passing {
    const char *method, *response;
    int client_minor;
    bool keep_alive;
    const char *expected;
};

static void assert_passed(const struct passing *row)
{
    struct http_head h;
    struct http_response r;
    struct buf b;

    head_response(&h, row->response);
    assert_int_equal(http_interpret_response(&r, &h, slice_str(row->method), h.status == 101), PARSE_OK);
    buf_init(&b, 1 << 16);
    assert_int_equal(http_write_response(&b, &h, &r, row->client_minor, row->keep_alive, "steerway"), 0);
    head_written(&b, row->response, row->expected);
    buf_done(&b);
}

#define OK_11 "HTTP/1.1 200 OK\r\n"
#define VIA "Via: 1.1 steerway\r\n"

static void test_heads_to_the_client(void **state)
{
    static const struct passing table[] = {
        {"GET", OK_11 "Content-Length: 5\r\n\r\n", 1, true, OK_11 "Content-Length: 5\r\n" VIA "\r\n"},
        {"GET", OK_11 "Content-Length: 5\r\n\r\n", 1, false,
         OK_11 "Content-Length: 5\r\n" VIA "Connection: close\r\n\r\n"},
        {"GET", OK_11 "Content-Length: 5\r\n\r\n", 0, true,
         OK_11 "Content-Length: 5\r\n" VIA "Connection: keep-alive\r\n\r\n"},
        {"GET", OK_11 "Content-Length: 5\r\n\r\n", 0, false,
         OK_11 "Content-Length: 5\r\n" VIA "Connection: close\r\n\r\n"},
        /* the start line, and the version that Via tells */
        {"GET", "HTTP/1.0 404 Not  here \r\nContent-Length: 5\r\n\r\n", 1, true,
         "HTTP/1.1 404 Not  here\r\nContent-Length: 5\r\nVia: 1.0 steerway\r\n\r\n"},
        {"GET", "HTTP/1.1 299\nContent-Length:5\n\n", 1, true,
         "HTTP/1.1 299 \r\nContent-Length: 5\r\n" VIA "\r\n"},
        {"GET", "HTTP/1.9 200 OK\r\nContent-Length: 5\r\n\r\n", 1, true,
         OK_11 "Content-Length: 5\r\n" VIA "\r\n"},
        /* hop-by-hop fields */
        {"GET",
         OK_11
         "Connection: Keep-Alive, x-a\r\nKeep-Alive: timeout=5\r\nX-A: 1\r\nProxy-Connection: keep-alive\r\n"
         "Content-Length: 5\r\nProxy-Authenticate: Basic realm=x\r\nTE: x\r\nUpgrade: h2, h2c\r\nX-B: "
         "2\r\n\r\n",
         1, true, OK_11 "Content-Length: 5\r\nX-B: 2\r\n" VIA "\r\n"},
        {"GET", OK_11 "Connection: content-length, close\r\nContent-Length: 5\r\n\r\n", 1, true,
         OK_11 "Content-Length: 5\r\n" VIA "\r\n"},
        {"GET", OK_11 "Set-Cookie: a=1\r\nVia: 1.0 fred\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n", 1,
         true,
         OK_11 "Set-Cookie: a=1\r\nVia: 1.0 fred\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n" VIA "\r\n"},
        {"GET", OK_11 "WWW-Authenticate: Basic realm=x\r\nTrailer: X\r\nServer: s\r\n\r\n", 1, false,
         OK_11 "WWW-Authenticate: Basic realm=x\r\nTrailer: X\r\nServer: s\r\n" VIA
               "Connection: close\r\n\r\n"},
        {"GET", OK_11 "Content-Length: 5\r\ncontent-length: 5, 5\r\n\r\n", 1, true,
         OK_11 "Content-Length: 5\r\n" VIA "\r\n"},
        /* transfer codings */
        {"GET", OK_11 "Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n\r\n", 1, true,
         OK_11 "Transfer-Encoding: chunked\r\n" VIA "\r\n"},
        {"GET", OK_11 "Transfer-Encoding: chunked\r\nA: b\r\n\r\n", 0, false,
         OK_11 "A: b\r\n" VIA "Connection: close\r\n\r\n"},
        {"GET", OK_11 "Transfer-Encoding: gzip\r\n\r\n", 1, false,
         OK_11 "Transfer-Encoding: gzip\r\n" VIA "Connection: close\r\n\r\n"},
        /* lengths of what is not sent */
        {"HEAD", OK_11 "Content-Length: 5\r\n\r\n", 1, true, OK_11 "Content-Length: 5\r\n" VIA "\r\n"},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 1, true,
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n" VIA "\r\n"},
        {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 1, true,
         "HTTP/1.1 204 No Content\r\n" VIA "\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_passed(&table[i]);
    (void)state;
}

/* The connection goes on after these, whatever the final response will say. */
static void test_interim_heads(void **state)
{
    for (int keep = 0; keep < 2; keep++) {
        const struct passing hints = {"GET",
                                      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n",
                                      1, keep, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n" VIA "\r\n"};
        const struct passing go_on = {"POST", "HTTP/1.1 100 Continue\r\n\r\n", 1, keep,
                                      "HTTP/1.1 100 Continue\r\n" VIA "\r\n"};
        const struct passing socket = {
            "GET",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nA: b\r\n\r\n",
            1, keep,
            "HTTP/1.1 101 Switching Protocols\r\nA: b\r\n" VIA
            "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"};
        assert_passed(&hints);
        assert_passed(&go_on);
        assert_passed(&socket);
    }
    (void)state;
}

/* --- the proxy's own ------------------------------------------------------------------------------------ */

static void assert_error(int status, const char *error, const char *text, bool keep, bool head_only,
                         const char *expected)
{
    struct buf b;
    struct http_head h;
    struct http_body body;
    size_t used;

    buf_init(&b, 4096);
    assert_int_equal(http_write_error(&b, status, error, text, keep, head_only), 0);
    struct slice s = buf_slice(&b);
    assert_int_equal(http_parse_response(&h, s.data, s.len), PARSE_OK);
    assert_int_equal(h.status, status);
    assert_int_equal(http_body_of_response(&body, &h, slice_str(head_only ? "HEAD" : "GET")), PARSE_OK);
    assert_int_equal(http_body_advance(&body, s.data + h.consumed, s.len - h.consumed, &used), PARSE_OK);
    assert_int_equal(used, s.len - h.consumed);
    head_written(&b, text, expected);
    buf_done(&b);
}

static void test_errors(void **state)
{
    assert_error(502, "connection_refused", "Refused.", false, false,
                 "HTTP/1.1 502 Bad Gateway\r\n"
                 "Proxy-Status: steerway; error=connection_refused\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: 9\r\n"
                 "Connection: close\r\n\r\n"
                 "Refused.\n");
    assert_error(504, "connection_timeout", "Too late.", true, true,
                 "HTTP/1.1 504 Gateway Timeout\r\n"
                 "Proxy-Status: steerway; error=connection_timeout\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: 10\r\n"
                 "Connection: keep-alive\r\n\r\n");
    assert_error(407, NULL, "Who?", true, false,
                 "HTTP/1.1 407 Proxy Authentication Required\r\n"
                 "Proxy-Authenticate: Basic realm=\"Steerway\"\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: 5\r\n"
                 "Connection: keep-alive\r\n\r\n"
                 "Who?\n");
    assert_error(599, NULL, "", false, false,
                 "HTTP/1.1 599 Error\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Length: 1\r\n"
                 "Connection: close\r\n\r\n"
                 "\n");
    (void)state;
}

/* The longest error type of RFC 9209, and a text of any length. */
static void test_long_errors(void **state)
{
    char text[1024];
    struct buf b;
    struct http_head h;

    memset(text, 't', sizeof text);
    text[sizeof text - 1] = '\0';
    buf_init(&b, 4096);
    assert_int_equal(http_write_error(&b, 502, "http_response_transfer_coding", text, false, false), 0);
    struct slice s = buf_slice(&b);
    assert_int_equal(http_parse_response(&h, s.data, s.len), PARSE_OK);
    assert_true(slice_eq(http_find(&h, "Proxy-Status")->value,
                         slice_str("steerway; error=http_response_transfer_coding")));
    assert_int_equal(s.len - h.consumed, sizeof text);
    assert_memory_equal(s.data + h.consumed, text, sizeof text - 1);
    buf_done(&b);
    (void)state;
}

static void test_phrases(void **state)
{
    static const struct {
        int status;
        const char *phrase;
    } table[] = {
        {400, "Bad Request"},
        {403, "Forbidden"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {299, "Error"},
        {0, "Error"},
        {-1, "Error"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_string_equal(http_phrase(table[i].status), table[i].phrase);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reuse_of_the_parent), cmocka_unit_test(test_interim_and_switching),
        cmocka_unit_test(test_ambiguous_responses), cmocka_unit_test(test_heads_to_the_client),
        cmocka_unit_test(test_interim_heads),       cmocka_unit_test(test_errors),
        cmocka_unit_test(test_long_errors),         cmocka_unit_test(test_phrases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
