#include "peek/peek.h"

#include "hello.h"
#include "recorded.h"

static enum parse parse(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    enum parse p = peek_name(slice_of(data, len), ret);
    if (p == PARSE_OK) /* for exact_accepts, which makes messages longer */
        *ret_consumed = (size_t)((const char *)memmem(data, len, "\r\n\r\n", 4) - data) + 4;
    return p;
}

static void test_requests(void **state)
{
    static const struct {
        struct slice head;
        const char *name;
    } table[] = {
        {{BYTES("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")}, "example.com"},
        {{BYTES("POST /x?y HTTP/1.1\r\nAccept: */*\r\nhost:WWW.Example.com.:8080\r\n\r\n")},
         "www.example.com"},
        {{BYTES("GET / HTTP/1.0\r\nHost: a\r\n\r\n")}, "a"},
        {{BYTES("OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n")}, "example.com"},
        {{BYTES("GET http://one.example/ HTTP/1.1\r\nHost: two.example\r\n\r\n")}, "one.example"},
        {{BYTES("GET http://u:p@one.example:81?x HTTP/1.0\r\n\r\n")}, "one.example"},
        {{BYTES(
             "\r\nGET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")},
         "example.com"},
    };
    char host[TARGET_HOST_MAX + 1];

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        memset(host, 0x7f, sizeof host);
        exact_accepts(parse, host, table[i].head.data, table[i].head.len);
        assert_string_equal(host, table[i].name);
    }
    (void)state;
}

static void test_requests_without_a_name(void **state)
{
    static const char *const table[] = {
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: one.example\r\nA: b\r\nhOST: one.example\r\n\r\n",
        "GET http://192.0.2.1/ HTTP/1.1\r\nHost: one.example\r\n\r\n",
        "GET ftp://one.example/ HTTP/1.1\r\nHost: one.example\r\n\r\n",
        "GET one.example HTTP/1.1\r\nHost: one.example\r\n\r\n",
        "CONNECT one.example:443 HTTP/1.1\r\nHost: one.example:443\r\n\r\n",
    };
    char host[TARGET_HOST_MAX + 1] = "unchanged";

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        exact_expect(parse, host, table[i], strlen(table[i]), PARSE_BAD);
        assert_string_equal(host, "unchanged");
    }
    (void)state;
}

static void test_other_protocols(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", "\x13"
                   "BitTorrent protocol"),
        BAD_AT("", "\x00\x00\x00\x0b"),
        BAD_AT("", "\x05\x01\x00"),
        BAD_AT("", "\x80\x2e\x01"),
        BAD_AT("SSH-2.0-x", "\r\n"),
        BAD_AT("EHLO client", "\r\n"),
        BAD_AT("PRI * HTTP/", "2.0\r\n\r\nSM\r\n\r\n"),
        BAD_AT("OPTIONS rtsp://example.com/ ", "RTSP/1.0\r\n"),
    };
    char host[TARGET_HOST_MAX + 1];

    exact_refuses_all(parse, host, table, ARRAY_LEN(table));
    (void)state;
}

static void test_hello(void **state)
{
    static struct bytes message, stream;
    char host[TARGET_HOST_MAX + 1] = "";
    size_t name_end;

    hello_message(&message, &(struct hello){.name = "Example.com"}, &name_end);
    const size_t end = hello_records(&stream, &message, 100, name_end);
    for (size_t n = 0; n < end; n++)
        exact_expect(parse, host, stream.data, n, PARSE_NEED_MORE);
    assert_int_equal(peek_name(slice_of(stream.data, end), host), PARSE_OK);
    assert_string_equal(host, "example.com");
    (void)state;
}

static void test_recorded(void **state)
{
    static const char *const files[] = {"chromium", "curl_openssl", "wget_gnutls", "chromium_http"};
    static struct recorded r;
    char path[64], host[TARGET_HOST_MAX + 1];

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof path, "peek/%s", files[i]);
        recorded_open(&r, path);
        enum parse p = PARSE_NEED_MORE;
        for (size_t n = 0; n <= r.len; n++) {
            struct exact copy = exact_copy(r.data, n);
            const enum parse before = p;
            p = peek_name(slice_of(copy.data, n), host);
            free(copy.block);
            assert_true(p == PARSE_OK || (p == PARSE_NEED_MORE && before != PARSE_OK));
        }
        assert_int_equal(p, PARSE_OK);
        assert_string_equal(host, "www.example.com");
    }
    (void)state;
}

/* The verdict is due with PEEK_MAX bytes, whatever they are. */
static void test_bound(void **state)
{
    static char endless[PEEK_MAX + 1000];
    static const char hello[] = "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03";
    char host[TARGET_HOST_MAX + 1];

    memset(endless, 'x', sizeof endless);
    exact_expect(parse, host, endless, PEEK_MAX - 1, PARSE_NEED_MORE);
    exact_expect(parse, host, endless, PEEK_MAX, PARSE_BAD);
    exact_expect(parse, host, endless, sizeof endless, PARSE_BAD);
    memset(endless, 0, sizeof endless);
    memcpy(endless, hello, sizeof hello - 1);
    endless[44] = 0x30; /* as many suites as nearly fill it */
    exact_expect(parse, host, endless, PEEK_MAX, PARSE_BAD);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),        cmocka_unit_test(test_requests_without_a_name),
        cmocka_unit_test(test_other_protocols), cmocka_unit_test(test_hello),
        cmocka_unit_test(test_recorded),        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
