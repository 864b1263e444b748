#include "proto/http_body.h"

#include "heads.h"

/* --- requests: the length of the body
 * -------------------------------------------------------------------- */

#define POST_11 "POST http://h/ HTTP/1.1\r\nHost: h\r\n"
#define POST_10 "POST http://h/ HTTP/1.0\r\n"

/* The verdict as a word, and a length for HTTP_BODY_LENGTH. */
static const char *describe(enum parse p, const struct http_body *b)
{
    static const char *const kinds[] = {[HTTP_BODY_NONE] = "none",
                                        [HTTP_BODY_LENGTH] = "length",
                                        [HTTP_BODY_CHUNKED] = "chunked",
                                        [HTTP_BODY_UNTIL_CLOSE] = "until close"};
    static char text[64];

    assert_int_not_equal(p, PARSE_NEED_MORE);
    if (p == PARSE_BAD)
        return "bad";
    if (b->kind == HTTP_BODY_NONE || (b->kind == HTTP_BODY_LENGTH && b->left == 0 && b->done))
        return "none";
    assert_false(b->done);
    if (b->kind != HTTP_BODY_LENGTH)
        return kinds[b->kind];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)b->left);
    return text;
}

static void assert_request_body(const char *start, const char *fields, const char *expected)
{
    char text[1024];
    struct http_head h;
    struct http_body b;

    (void)snprintf(text, sizeof text, "%s%s\r\n", start, fields);
    head_request(&h, text);
    enum parse p = http_body_of_request(&b, &h);
    if (strcmp(describe(p, &b), expected) != 0)
        fail_msg("%s instead of %s: \"%s\"", describe(p, &b), expected, exact_show(fields, strlen(fields)));
}

static void test_length_of_requests(void **state)
{
    static const char *const table[][2] = {
        {"", "none"},
        {"Content-Length: 0\r\n", "none"},
        {"Content-Length: 000\r\n", "none"},
        {"Content-Length: 5\r\n", "5"},
        {"content-LENGTH:5\r\n", "5"},
        {"Content-Length: \t 5 \t\r\n", "5"},
        {"Content-Length: 007\r\n", "7"},
        {"Content-Length: 1099511627776\r\n", "1099511627776"},
        {"X-Content-Length: 7\r\n", "none"},
        {"Content-Length-X: 7\r\n", "none"},
        /* A repeated equal number counts once (RFC 9112 6.3). */
        {"Content-Length: 5\r\nContent-Length: 5\r\n", "5"},
        {"Content-Length: 5, 5\r\n", "5"},
        {"Content-Length: 5,5 ,\t5\r\n", "5"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_request_body(POST_11, table[i][0], table[i][1]);
        assert_request_body(POST_10, table[i][0], table[i][1]);
    }
    (void)state;
}

static void test_bad_lengths(void **state)
{
    static const char *const values[] = {
        "+5",
        "-5",
        "-0",
        "0x5",
        "0X5",
        "5x",
        "x5",
        "5 5",
        "5.0",
        "5e0",
        "5;",
        "5; x=1",
        "\"5\"",
        "'5'",
        "five",
        "",
        ",",
        "5, 6",
        "5,6",
        "6, 5, 5",
        "5, x",
        "5, +5",
        "5 6",
        "5\t5",
        "\xb2",
        "0, 5",
        "5, 0",
        "18446744073709551616",
        "18446744073709551621", /* 2^64 and, after a wrap, 5 */
        "36893488147419103237",
        "99999999999999999999",
        "340282366920938463463374607431768211461",
        "00000000000000000000000000018446744073709551621",
    };

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char field[256];
        (void)snprintf(field, sizeof field, "Content-Length: %s\r\n", values[i]);
        assert_request_body(POST_11, field, "bad");
        assert_request_body(POST_10, field, "bad");
        (void)snprintf(field, sizeof field, "Content-Length: 5\r\nA: b\r\nContent-Length: %s\r\n", values[i]);
        assert_request_body(POST_11, field, "bad");
        (void)snprintf(field, sizeof field, "Content-Length: %s\r\ncontent-length: 5\r\n", values[i]);
        assert_request_body(POST_11, field, "bad");
    }
    (void)state;
}

static void test_transfer_codings_of_requests(void **state)
{
    static const char *const table[][2] = {
        {"Transfer-Encoding: chunked\r\n", "chunked"},
        {"TRANSFER-ENCODING:CHUNKED\r\n", "chunked"},
        {"Transfer-Encoding: \tChunked \r\n", "chunked"},
        /* some servers read these as no coding at all */
        {"Transfer-Encoding: gzip, chunked\r\n", "bad"},
        {"Transfer-Encoding: gzip ,\tchunked\r\n", "bad"},
        {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "bad"},
        {"Transfer-Encoding: gzip;a=\"b, chunked\r\n", "bad"},
        {"X-Transfer-Encoding: chunked\r\n", "none"},
        {"TE: chunked\r\n", "none"},
        /* chunked is not last, or not there */
        {"Transfer-Encoding: chunked, identity\r\n", "bad"},
        {"Transfer-Encoding: chunked, gzip\r\n", "bad"},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "bad"},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "bad"},
        {"Transfer-Encoding: identity\r\n", "bad"},
        {"Transfer-Encoding: gzip\r\n", "bad"},
        {"Transfer-Encoding: xchunked\r\n", "bad"},
        {"Transfer-Encoding: chunkedx\r\n", "bad"},
        {"Transfer-Encoding: x chunked\r\n", "bad"},
        {"Transfer-Encoding: chunked x\r\n", "bad"},
        {"Transfer-Encoding: chunk ed\r\n", "bad"},
        {"Transfer-Encoding: \"chunked\"\r\n", "bad"},
        {"Transfer-Encoding: 'chunked'\r\n", "bad"},
        {"Transfer-Encoding: chunked; q=1\r\n", "bad"},
        {"Transfer-Encoding: chunked;\r\n", "bad"},
        {"Transfer-Encoding: gzip;chunked\r\n", "bad"},
        {"Transfer-Encoding: chunk\xc3\xab\r\n", "bad"},
        {"Transfer-Encoding:\r\n", "bad"},
        {"Transfer-Encoding: ,\r\n", "bad"},
        {"Transfer-Encoding: ,chunked\r\n", "bad"},
        {"Transfer-Encoding: chunked,\r\n", "bad"},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", "bad"},
        /* chunked twice: some peers would decode it once, others twice */
        {"Transfer-Encoding: chunked, chunked\r\n", "bad"},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "bad"},
        {"Transfer-Encoding: chunked, gzip, chunked\r\n", "bad"},
        /* both kinds of length */
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "bad"},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "bad"},
        {"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "bad"},
        {"Content-Length: x\r\nTransfer-Encoding: chunked\r\n", "bad"},
        {"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", "bad"},
        {"Content-Length: 5\r\nTransfer-Encoding:\r\n", "bad"},
        {"Content-Length: 5\r\nTransfer-Encoding: ,\r\n", "bad"},
        {"Content-Length: 5\r\nA: b\r\nTransfer-Encoding: xchunked\r\n", "bad"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_request_body(POST_11, table[i][0], table[i][1]);
        /* HTTP/1.0 has no transfer codings, so forwarders and readers disagree. */
        assert_request_body(POST_10, table[i][0], strcmp(table[i][1], "none") == 0 ? "none" : "bad");
    }
    (void)state;
}

/* --- responses ------------------------------------------------------------------------------------------ */

static void test_length_of_responses(void **state)
{
    static const struct {
        const char *method, *start, *fields, *expected;
    } table[] = {
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", "5"},
        {"GET", "HTTP/1.0 200 OK", "Content-Length: 5\r\n", "5"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5, 5\r\n", "5"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 0\r\n", "none"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "", "until close"},
        {"GET", "HTTP/1.0 200 OK", "", "until close"},
        {"POST", "HTTP/1.1 500 Oops", "", "until close"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip\r\n", "until close"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: identity\r\n", "until close"},
        {"GET", "HTTP/1.1 206 Partial", "Content-Length: 5\r\n", "5"},
        {"OPTIONS", "HTTP/1.1 405 No", "Content-Length: 5\r\n", "5"},
        /* without a body, whatever the fields say */
        {"HEAD", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", "none"},
        {"HEAD", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\n", "none"},
        {"HEAD", "HTTP/1.1 404 Not Found", "", "none"},
        {"GET", "HTTP/1.1 100 Continue", "", "none"},
        {"GET", "HTTP/1.1 103 Early Hints", "Link: x\r\n", "none"},
        {"GET", "HTTP/1.1 101 Switching", "", "none"},
        {"GET", "HTTP/1.1 199 x", "Content-Length: 5\r\n", "none"},
        {"GET", "HTTP/1.1 204 No Content", "", "none"},
        {"GET", "HTTP/1.1 204 No Content", "Content-Length: 5\r\n", "none"},
        {"GET", "HTTP/1.1 304 Not Modified", "Content-Length: 5\r\n", "none"},
        {"CONNECT", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", "none"},
        {"CONNECT", "HTTP/1.1 299 x", "", "none"},
        {"CONNECT", "HTTP/1.1 407 Auth", "Content-Length: 5\r\n", "5"},
        {"CONNECT", "HTTP/1.1 300 x", "", "until close"},
        /* methods are case-sensitive */
        {"head", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", "5"},
        {"HEADS", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", "5"},
        {"HEA", "HTTP/1.1 200 OK", "Content-Length: 5\r\n", "5"},
        /* doubtful: clients heed the coding, whatever the length or the version */
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", "until close"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5\r\nContent-Length: 6\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5, 6\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: +5\r\n", "5"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5;\r\n", "5"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5 ; a=b, +5\r\n", "5"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5; a=b, 6\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: ++5\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: + 5\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: +\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: ;5\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 5 5\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: -5\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: ,5\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length:\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Content-Length: 18446744073709551621\r\n", "bad"},
        {"GET", "HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n", "chunked"},
        {"GET", "HTTP/1.0 200 OK", "Transfer-Encoding: gzip\r\n", "until close"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked, chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: ,chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked,\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked, identity\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: identity, chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip,, chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip, identity\r\n", "until close"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding:\r\nContent-Length: 5\r\n", "5"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: ,\r\n", "until close"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked, gzip, chunked\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked;a, chunked\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip;a=\"b, chunked\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: gzip;a=b, chunked\r\n", "chunked"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked, gzip\r\n", "bad"},
        {"GET", "HTTP/1.1 200 OK", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "bad"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char text[512];
        struct http_head h;
        struct http_body b;
        (void)snprintf(text, sizeof text, "%s\r\n%s\r\n", table[i].start, table[i].fields);
        head_response(&h, text);
        enum parse p = http_body_of_response(&b, &h, slice_str(table[i].method));
        if (strcmp(describe(p, &b), table[i].expected) != 0)
            fail_msg("%s instead of %s: %s, \"%s\"", describe(p, &b), table[i].expected, table[i].method,
                     exact_show(text, strlen(text)));
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length_of_requests),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_transfer_codings_of_requests),
        cmocka_unit_test(test_length_of_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
