#include "proto/http_forward.h"

#include "heads.h"

#include <errno.h>

static void assert_forwarded(const char *request, const char *expected)
{
    struct http_head h;
    struct http_request r;
    struct buf b;

    head_request(&h, request);
    assert_int_equal(http_interpret(&r, &h), HTTP_FINE);
    buf_init(&b, 1 << 16);
    assert_int_equal(http_write_request(&b, &h, &r, "steerway"), 0);
    head_written(&b, request, expected);
    buf_done(&b);
}

static void test_request_lines(void **state)
{
    static const char *const table[][2] = {
        {"GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET /a?b HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n"},
        {"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n"},
        {"GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET /?q HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n"},
        {"GET http://h? HTTP/1.1\r\nHost: h\r\n\r\n",
         "GET /? HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n"},
        {"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n",
         "OPTIONS * HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n"},
        {"OPTIONS http://h?q HTTP/1.1\r\nHost: h\r\n\r\n",
         "OPTIONS /?q HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n"},
        {"GET http://h/ HTTP/1.0\n\n", "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 steerway\r\n\r\n"},
        {"x!y http://h/ HTTP/1.7\r\nHost: h\r\n\r\n",
         "x!y / HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n"},
        /* Host says what the target says, wherever the client had it or not (RFC 9112 3.2.2). */
        {"GET http://H:8080/ HTTP/1.1\r\nA: b\r\nHost: other\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: H:8080\r\nA: b\r\nVia: 1.1 steerway\r\n\r\n"},
        {"GET http://u:p@[::1]:81/ HTTP/1.1\r\nhost: x\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: [::1]:81\r\nVia: 1.1 steerway\r\n\r\n"},
        {"GET http://h/ HTTP/1.1\r\nConnection: host\r\nHost: h\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_forwarded(table[i][0], table[i][1]);
    (void)state;
}

#define FROM(fields) "POST http://h/ HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define TO(fields) "POST / HTTP/1.1\r\nHost: h\r\n" fields "Via: 1.1 steerway\r\n\r\n"

static void test_request_fields(void **state)
{
    static const char *const table[][2] = {
        {FROM(""), TO("")},
        /* End-to-end fields stay in their order, bare LF and blanks become regular. */
        {FROM("B:  2 \nA:1\r\nb: 3\r\nEmpty:\r\n"), TO("B: 2\r\nA: 1\r\nb: 3\r\nEmpty: \r\n")},
        {FROM("Authorization: Basic dTpw\r\nCookie: c\r\nTrailer: X\r\nRange: bytes=0-\r\n"),
         TO("Authorization: Basic dTpw\r\nCookie: c\r\nTrailer: X\r\nRange: bytes=0-\r\n")},
        /* Hop-by-hop fields go, with or without a Connection field (RFC 9110 7.6.1). */
        {FROM("Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nA: b\r\n"),
         TO("A: b\r\n")},
        {FROM("TE: trailers\r\nUpgrade: websocket\r\nProxy-Authorization: Basic dTpw\r\nA: b\r\n"),
         TO("A: b\r\n")},
        {FROM("Proxy-Authenticate: Basic realm=x\r\nkeep-alive: x\r\nPROXY-CONNECTION: y\r\nA: b\r\n"),
         TO("A: b\r\n")},
        {FROM("A: 1\r\nB: 2\r\nConnection: a, x-c ,\r\nX-C: 3\r\nAA: 4\r\na: 5\r\n"),
         TO("B: 2\r\nAA: 4\r\n")},
        {FROM("Connection: a\r\nA: 1\r\nConnection: b\r\nB: 2\r\nC: 3\r\n"), TO("C: 3\r\n")},
        {FROM("Connection: close\r\nClose: x\r\nC: d\r\n"), TO("C: d\r\n")},
        {FROM("Proxy-Connection: a\r\nA: b\r\n"), TO("A: b\r\n")},
        /* What frames the body stays, whatever Connection says. */
        {FROM("Content-Length: 5\r\nConnection: content-length\r\n"), TO("Content-Length: 5\r\n")},
        {FROM("Transfer-Encoding: chunked\r\n"), TO("Transfer-Encoding: chunked\r\n")},
        {FROM("Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n"),
         TO("Transfer-Encoding: chunked\r\n")},
        {FROM("transfer-encoding:\tCHUNKED\r\nA: b\r\n"), TO("Transfer-Encoding: chunked\r\nA: b\r\n")},
        {FROM("Content-Length: 0010\r\n"), TO("Content-Length: 10\r\n")}, /* to some it is 8 */
        {FROM("Content-Length: 000\r\n"), TO("Content-Length: 0\r\n")},
        /* A length said more than once is said once (RFC 9112 6.3). */
        {FROM("Content-Length: 5\r\nA: b\r\nContent-Length: 5\r\n"), TO("Content-Length: 5\r\nA: b\r\n")},
        {FROM("Content-Length: 5, 5\r\ncontent-length: 5\r\n"), TO("Content-Length: 5\r\n")},
        /* Via is carried on (RFC 9110 7.6.3). */
        {FROM("Via: 1.0 fred, 1.1 p.example\r\nA: b\r\n"), TO("Via: 1.0 fred, 1.1 p.example\r\nA: b\r\n")},
        {FROM("Expect: 100-continue\r\nContent-Length: 1\r\n"),
         TO("Expect: 100-continue\r\nContent-Length: 1\r\n")},
        /* Max-Forwards counts in OPTIONS and TRACE alone. */
        {FROM("Max-Forwards: 5\r\n"), TO("Max-Forwards: 5\r\n")},
        {FROM("Max-Forwards: 0\r\n"), TO("Max-Forwards: 0\r\n")},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_forwarded(table[i][0], table[i][1]);
    (void)state;
}

static void test_upgrade_is_put_back(void **state)
{
    assert_forwarded(
        "GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, x\r\nX: y\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: k\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: k\r\nVia: 1.1 steerway\r\n"
        "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_forwarded(
        "GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 steerway\r\n\r\n");
    assert_forwarded("GET http://h/ HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                     "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 steerway\r\n\r\n");
    (void)state;
}

/* A client of HTTP/1.0 would not understand a 100 (Continue). */
static void test_expectation_of_an_old_client_goes(void **state)
{
    assert_forwarded("POST http://h/ HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nVia: 1.0 steerway\r\n\r\n");
    (void)state;
}

static void test_hops_are_counted(void **state)
{
    static const char *const table[][2] = {
        {"5", "4"},
        {"1", "0"},
        {"10", "9"},
        {"100", "99"},
        {"007", "6"},
        {"x", "x"},
        {"1000000", "999999"},
        {"9", "8"},
        {"5x", "5x"},
        {"99999999999999999999", "9999998"},
        {"", ""},
    };
    static const char *const methods[] = {"OPTIONS", "TRACE"};

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
            char from[128], to[128];
            (void)snprintf(from, sizeof from, "%s http://h/ HTTP/1.1\r\nHost: h\r\nmax-forwards: %s\r\n\r\n",
                           methods[m], table[i][0]);
            (void)snprintf(to, sizeof to,
                           "%s / HTTP/1.1\r\nHost: h\r\nmax-forwards: %s\r\nVia: 1.1 steerway\r\n\r\n",
                           methods[m], table[i][1]);
            assert_forwarded(from, to);
        }
    }
    (void)state;
}

/* An accepted head can always be sent on, with all its fields. */
static void test_full_head(void **state)
{
    char request[4096], expected[4096];
    int n = snprintf(request, sizeof request, "GET http://h/ HTTP/1.1\r\nHost: h\r\n");
    int m = snprintf(expected, sizeof expected, "GET / HTTP/1.1\r\nHost: h\r\n");

    for (int i = 1; i < HTTP_FIELDS_MAX; i++) {
        n += snprintf(request + n, sizeof request - (size_t)n, "F%d: v%d\r\n", i, i);
        m += snprintf(expected + m, sizeof expected - (size_t)m, "F%d: v%d\r\n", i, i);
    }
    (void)snprintf(request + n, sizeof request - (size_t)n, "\r\n");
    (void)snprintf(expected + m, sizeof expected - (size_t)m, "Via: 1.1 steerway\r\n\r\n");
    assert_forwarded(request, expected);
    (void)state;
}

/* With any room, the result is a whole head or an error. */
static void test_too_little_room(void **state)
{
    static const char request[] =
        "GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: w\r\nA: b\r\n\r\n",
                      response[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n";
    struct http_head q, s;
    struct http_request r;
    struct http_response p;
    struct buf b;
    size_t whole[3];

    head_request(&q, request);
    head_response(&s, response);
    assert_int_equal(http_interpret(&r, &q), HTTP_FINE);
    assert_int_equal(http_interpret_response(&p, &s, slice_str("GET"), false), PARSE_OK);
    buf_init(&b, 4096);
    assert_int_equal(http_write_request(&b, &q, &r, "steerway"), 0);
    whole[0] = b.len;
    assert_int_equal(http_write_response(&b, &s, &p, 1, false, "steerway"), 0);
    whole[1] = b.len - whole[0];
    assert_int_equal(http_write_error(&b, 502, "dns_error", "No.", false, false), 0);
    whole[2] = b.len - whole[0] - whole[1];
    buf_done(&b);
    for (size_t room = 0; room <= whole[0] || room <= whole[1] || room <= whole[2]; room++) {
        buf_init(&b, room);
        assert_int_equal(http_write_request(&b, &q, &r, "steerway"), room < whole[0] ? -ENOBUFS : 0);
        buf_done(&b);
        assert_int_equal(http_write_response(&b, &s, &p, 1, false, "steerway"),
                         room < whole[1] ? -ENOBUFS : 0);
        buf_done(&b);
        assert_int_equal(http_write_error(&b, 502, "dns_error", "No.", false, false),
                         room < whole[2] ? -ENOBUFS : 0);
        buf_done(&b);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_lines),       cmocka_unit_test(test_request_fields),
        cmocka_unit_test(test_upgrade_is_put_back), cmocka_unit_test(test_expectation_of_an_old_client_goes),
        cmocka_unit_test(test_hops_are_counted),    cmocka_unit_test(test_full_head),
        cmocka_unit_test(test_too_little_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
