#include "proto/http_forward.h"

#include "heads.h"

/* --- targets -------------------------------------------------------------------------------------------- */

/* The objection as its number, or "connect|forward host port authority path". */
static const char *describe(const char *start, const char *fields)
{
    static char text[512];
    char head[512];
    struct http_head h;
    struct http_request r;

    (void)snprintf(head, sizeof head, "%s\r\n%s\r\n", start, fields);
    head_request(&h, head);
    enum http_objection why = http_interpret(&r, &h);
    if (why != HTTP_FINE)
        (void)snprintf(text, sizeof text, "%d", (int)why);
    else
        (void)snprintf(text, sizeof text, "%s %s %d %.*s %.*s",
                       r.kind == HTTP_CONNECT ? "connect" : "forward", r.target.host, r.target.port,
                       (int)r.authority.len, r.authority.data, (int)r.path.len, r.path.data);
    return text;
}

static void assert_interpreted(const char *start, const char *fields, const char *expected)
{
    const char *text = describe(start, fields);
    if (strcmp(text, expected) != 0)
        fail_msg("\"%s\" instead of \"%s\": %s, %s", text, expected, start, fields);
}

static void test_absolute_forms(void **state)
{
    static const char *const table[][2] = {
        {"GET http://h/ HTTP/1.1", "forward h 80 h /"},
        {"GET http://h HTTP/1.1", "forward h 80 h /"},
        {"GET http://h?x HTTP/1.1", "forward h 80 h ?x"},
        {"GET http://h/?x HTTP/1.1", "forward h 80 h /?x"},
        {"GET http://h:80/ HTTP/1.1", "forward h 80 h:80 /"},
        {"GET http://h:/ HTTP/1.1", "forward h 80 h: /"},
        {"GET http://h:8080/a/b?c=d/e?f HTTP/1.1", "forward h 8080 h:8080 /a/b?c=d/e?f"},
        {"GET HTTP://Example.COM/A HTTP/1.1", "forward example.com 80 Example.COM /A"},
        {"GET hTtP://h/ HTTP/1.1", "forward h 80 h /"},
        {"GET http://example.com./ HTTP/1.1", "forward example.com 80 example.com. /"},
        {"GET http://192.0.2.1:81/ HTTP/1.1", "forward 192.0.2.1 81 192.0.2.1:81 /"},
        {"GET http://[2001:DB8::1]/ HTTP/1.1", "forward 2001:db8::1 80 [2001:DB8::1] /"},
        {"GET http://[::1]:8080?q HTTP/1.1", "forward ::1 8080 [::1]:8080 ?q"},
        {"GET http://h//a//b HTTP/1.1", "forward h 80 h //a//b"},
        {"GET http://h/http://other/ HTTP/1.1", "forward h 80 h /http://other/"},
        {"GET http://h/a@b:c HTTP/1.1", "forward h 80 h /a@b:c"},
        {"GET http://h?a@b/c HTTP/1.1", "forward h 80 h ?a@b/c"},
        /* a fragment is cut off, before anything else is looked for */
        {"GET http://h/p#f HTTP/1.1", "forward h 80 h /p"},
        {"GET http://h/p?q#f?r/s HTTP/1.1", "forward h 80 h /p?q"},
        {"GET http://h/# HTTP/1.1", "forward h 80 h /"},
        {"GET http://h#f HTTP/1.1", "forward h 80 h /"},
        {"GET http://h#@other/ HTTP/1.1", "forward h 80 h /"},
        {"GET http://h:81#:82/ HTTP/1.1", "forward h 81 h:81 /"},
        {"OPTIONS http://h#f HTTP/1.1", "forward h 80 h *"},
        /* userinfo is cut off */
        {"GET http://u@h/ HTTP/1.1", "forward h 80 h /"},
        {"GET http://u:p@h:81/ HTTP/1.1", "forward h 81 h:81 /"},
        {"GET http://@h/ HTTP/1.1", "forward h 80 h /"},
        {"GET http://aA-._~%41!$&'()*+,;=:Z9@h/ HTTP/1.1", "forward h 80 h /"},
        {"GET http://good.example:80@h/ HTTP/1.1", "forward h 80 h /"},
        /* OPTIONS for a server as a whole (RFC 9112 3.2.4) */
        {"OPTIONS http://h HTTP/1.1", "forward h 80 h *"},
        {"OPTIONS http://h:81 HTTP/1.1", "forward h 81 h:81 *"},
        {"OPTIONS http://h/ HTTP/1.1", "forward h 80 h /"},
        {"OPTIONS http://h?x HTTP/1.1", "forward h 80 h ?x"},
        {"options http://h HTTP/1.1", "forward h 80 h /"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_interpreted(table[i][0], "Host: h\r\n", table[i][1]);
    (void)state;
}

static void test_bad_targets(void **state)
{
    static const char *const bad[] = {
        "http://",
        "http:///",
        "http:///p",
        "http://?x",
        "http://:80/",
        "http://u@/",
        "http://u:p@:80/",
        "http:/h/",
        "http:h",
        "http:",
        "http",
        "h",
        "h/p",
        "//h/p",
        "://h/",
        "1http://h/",
        "ht_tp://h/",
        "?x",
        "h?http://h/",
        "\\\\h\\p",
        "http://h:x/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:4294967376/",
        "http://h:80:80/",
        "http://h:-80/",
        "http://h:80x/",
        "http://h\\@x/",
        "http://h[]@x/",
        "http://\xff@x/",
        "http://a@b@h/",
        "http://h\\/",
        "http://h%2f/",
        "http://h%00/",
        "http://h,x/",
        "http://.h/",
        "http://h../",
        "http://1.2.3/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[h]/",
        "http://[fe80::1%25eth0]/",
        "http://\xc3\xbc/",
        "http://#h/",
        "http:#//h/",
        "#http://h/",
    };
    char start[128];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        (void)snprintf(start, sizeof start, "GET %s HTTP/1.1", bad[i]);
        /* A path alone asks the proxy itself. */
        assert_interpreted(start, "Host: h\r\n", bad[i][0] == '/' ? "421" : "400");
    }
    (void)state;
}

static void test_requests_for_others(void **state)
{
    assert_interpreted("GET / HTTP/1.1", "Host: h\r\n", "421");
    assert_interpreted("GET /x?http://h/ HTTP/1.1", "Host: h\r\n", "421");
    assert_interpreted("OPTIONS * HTTP/1.1", "Host: h\r\n", "421");
    assert_interpreted("POST /x HTTP/1.0", "", "421");
    assert_interpreted("GET https://h/ HTTP/1.1", "Host: h\r\n", "501");
    assert_interpreted("GET ftp://h/ HTTP/1.1", "Host: h\r\n", "501");
    assert_interpreted("GET x+y-z.0123456789://h/ HTTP/1.1", "Host: h\r\n", "501");
    assert_interpreted("GET httpx://h/ HTTP/1.1", "Host: h\r\n", "501");
    (void)state;
}

static void test_connect(void **state)
{
    static const char *const table[][2] = {
        {"CONNECT h:443 HTTP/1.1", "connect h 443 h:443 "},
        {"CONNECT Example.COM:8443 HTTP/1.0", "connect example.com 8443 Example.COM:8443 "},
        {"CONNECT 192.0.2.1:443 HTTP/1.1", "connect 192.0.2.1 443 192.0.2.1:443 "},
        {"CONNECT [2001:db8::1]:443 HTTP/1.1", "connect 2001:db8::1 443 [2001:db8::1]:443 "},
        {"CONNECT h HTTP/1.1", "400"},
        {"CONNECT h: HTTP/1.1", "400"},
        {"CONNECT :443 HTTP/1.1", "400"},
        {"CONNECT h:0 HTTP/1.1", "400"},
        {"CONNECT h:65536 HTTP/1.1", "400"},
        {"CONNECT h:https HTTP/1.1", "400"},
        {"CONNECT u@h:443 HTTP/1.1", "400"},
        {"CONNECT u:p@h:443 HTTP/1.1", "400"},
        {"CONNECT http://h:443 HTTP/1.1", "400"},
        {"CONNECT http://h/ HTTP/1.1", "400"},
        {"CONNECT h:443/ HTTP/1.1", "400"},
        {"CONNECT /h:443 HTTP/1.1", "400"},
        {"CONNECT * HTTP/1.1", "400"},
        {"CONNECT ::1:443 HTTP/1.1", "400"},
        {"CONNECT [::1]:443x HTTP/1.1", "400"},
        {"connect h:443 HTTP/1.1", "400"}, /* methods are case-sensitive, so this is another one */
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_interpreted(table[i][0], "Host: h\r\n", table[i][1]);
        assert_interpreted(table[i][0], "Host: other:1\r\nContent-Length: 0\r\n", table[i][1]);
    }
    assert_interpreted("CONNECT h:443 HTTP/1.1", "", "400"); /* RFC 9112 3.2 */
    assert_interpreted("CONNECT h:443 HTTP/1.0", "", "connect h 443 h:443 ");
    assert_interpreted("CONNECT h:443#f HTTP/1.1", "Host: h\r\n", "400");
    assert_interpreted("CONNECT h:443 HTTP/1.1", "Host: h\r\nContent-Length: 5\r\n", "400");
    assert_interpreted("CONNECT h:443 HTTP/1.1", "Host: h\r\nTransfer-Encoding: chunked\r\n", "400");
    assert_interpreted("CONNECT h:443 HTTP/1.1", "Host: h\r\nHost: h\r\n", "400");
    (void)state;
}

/* --- fields --------------------------------------------------------------------------------------------- */

#define GET_11 "GET http://h/ HTTP/1.1"
#define GET_10 "GET http://h/ HTTP/1.0"
#define FINE "forward h 80 h /"

static void test_host_rules(void **state)
{
    static const char *const bad_values[] = {"a b",  "a/b",  "u@h",     "h:x",  "h:65536", "h,i", "http://h",
                                             "[::1", "\xff", "h:80:80", "h\\i", "*",       ":80"};

    assert_interpreted(GET_11, "Host: h\r\n", FINE);
    assert_interpreted(GET_11, "hOST:h:80\r\n", FINE);
    assert_interpreted(GET_11, "", "400");
    assert_interpreted(GET_11, "X-Host: h\r\n", "400");
    assert_interpreted(GET_10, "", FINE);
    /* The target's authority rules. */
    assert_interpreted(GET_11, "Host: other.example:81\r\n", FINE);
    assert_interpreted(GET_11, "Host: [::1]:81\r\n", FINE);
    assert_interpreted(GET_11, "Host:\r\n", FINE);
    for (int minor = 0; minor < 2; minor++) {
        const char *start = minor ? GET_11 : GET_10;
        assert_interpreted(start, "Host: h\r\nHost: h\r\n", "400");
        assert_interpreted(start, "Host: h\r\nA: b\r\nhost: other\r\n", "400");
        assert_interpreted(start, "Host:\r\nHost: h\r\n", "400");
        for (size_t i = 0; i < ARRAY_LEN(bad_values); i++) {
            char field[64];
            (void)snprintf(field, sizeof field, "Host: %s\r\n", bad_values[i]);
            assert_interpreted(start, field, "400");
        }
    }
    (void)state;
}

static void interpret(const char *start, const char *fields, enum http_objection expected,
                      struct http_request *ret)
{
    char head[2048];
    struct http_head h;

    (void)snprintf(head, sizeof head, "%s\r\n%s\r\n", start, fields);
    head_request(&h, head);
    memset(ret, 0xa5, sizeof *ret);
    enum http_objection why = http_interpret(ret, &h);
    if (why != expected)
        fail_msg("%d instead of %d: %s, %s", (int)why, (int)expected, start, fields);
}

static void test_ambiguous_length(void **state)
{
    struct http_request r;

    interpret("POST http://h/ HTTP/1.1", "Host: h\r\nContent-Length: 5\r\n", HTTP_FINE, &r);
    assert_int_equal(r.body.kind, HTTP_BODY_LENGTH);
    assert_int_equal(r.body.left, 5);
    interpret("POST http://h/ HTTP/1.1", "Host: h\r\nTransfer-Encoding: chunked\r\n", HTTP_FINE, &r);
    assert_int_equal(r.body.kind, HTTP_BODY_CHUNKED);
    interpret("POST http://h/ HTTP/1.1", "Host: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
              HTTP_BAD_REQUEST, &r);
    assert_int_equal(r.body.kind, HTTP_BODY_NONE); /* nobody can say where it ends */
    assert_true(r.body.done);
    interpret("POST http://h/ HTTP/1.0", "Transfer-Encoding: chunked\r\n", HTTP_BAD_REQUEST, &r);
    interpret("POST http://h/ HTTP/1.1", "Host: h\r\nContent-Length: 5, 6\r\n", HTTP_BAD_REQUEST, &r);
    (void)state;
}

static void test_keep_alive(void **state)
{
    static const struct {
        const char *start, *fields;
        bool keep;
    } table[] = {
        {GET_11, "", true},
        {GET_11, "Connection: close\r\n", false},
        {GET_11, "Connection: CLOSE\r\n", false},
        {GET_11, "Connection: x, close , y\r\n", false},
        {GET_11, "Connection: x\r\nConnection: close\r\n", false},
        {GET_11, "Connection: closed\r\n", true},
        {GET_11, "Connection: keep-alive\r\n", true},
        {GET_11, "Connection: keep-alive, close\r\n", false},
        {GET_11, "Proxy-Connection: close\r\n", false},
        {GET_11, "Proxy-Connection: keep-alive\r\n", true},
        {GET_11, "X-Connection: close\r\n", true},
        {GET_10, "", false},
        {GET_10, "Connection: keep-alive\r\n", false}, /* RFC 9112 9.3 */
        {GET_10, "Proxy-Connection: keep-alive\r\n", false},
        {GET_10, "Connection: close, keep-alive\r\n", false},
        {GET_10, "Connection: x\r\n", false},
        {GET_10, "Keep-Alive: timeout=5\r\n", false},
        {"CONNECT h:1 HTTP/1.1", "", true},
        {"CONNECT h:1 HTTP/1.0", "", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char fields[256];
        struct http_request r;
        (void)snprintf(fields, sizeof fields, "Host: h\r\n%s", table[i].fields);
        interpret(table[i].start, fields, HTTP_FINE, &r);
        if (r.keep_alive != table[i].keep)
            fail_msg("keep_alive is not %d: %s, %s", table[i].keep, table[i].start, table[i].fields);
    }
    (void)state;
}

/* RFC 9112 6.1; but where the end is not told either, 6.3 comes first. */
static void test_transfer_codings_that_nobody_here_knows(void **state)
{
    static const char *const table[][2] = {
        {"Host: h\r\nTransfer-Encoding: gzip, chunked\r\n", "501"},
        {"Host: h\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "501"},
        {"Host: h\r\nTransfer-Encoding: gzip\r\n", "400"},
        {"Host: h\r\nTransfer-Encoding: xchunked\r\n", "400"},
        {"Host: h\r\nTransfer-Encoding: chunked, gzip\r\n", "400"},
        {"Host: h\r\nTransfer-Encoding: identity, chunked\r\n", "400"},
        {"Host: h\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n", "400"},
    };
    struct http_request r;

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_interpreted("POST http://h/ HTTP/1.1", table[i][0], table[i][1]);
    assert_interpreted("POST http://h/ HTTP/1.0", table[0][0], "400");
    interpret("POST http://h/ HTTP/1.1", table[0][0], HTTP_NOT_SUPPORTED, &r);
    assert_true(r.body.coded);
    (void)state;
}

/* The proxy answers an objection itself, and must know whether its connection can be kept. */
static void test_objections_tell_what_an_answer_needs(void **state)
{
    struct http_request r;

    interpret("GET https://h/ HTTP/1.1", "Host: h\r\n", HTTP_NOT_SUPPORTED, &r);
    assert_int_equal(r.keep_alive, true);
    assert_int_equal(r.body.kind, HTTP_BODY_NONE);
    assert_true(r.body.done);
    interpret("POST ftp://h/ HTTP/1.0", "Content-Length: 5\r\nProxy-Authorization: Basic dTpw\r\n",
              HTTP_NOT_SUPPORTED, &r);
    assert_int_equal(r.keep_alive, false);
    assert_int_equal(r.body.kind, HTTP_BODY_LENGTH);
    assert_int_equal(r.body.left, 5);
    assert_true(slice_eq(r.user, slice_of("u", 1)));
    interpret("GET / HTTP/1.1", "Connection: close\r\nHost: h\r\n", HTTP_NOT_A_PROXY_REQUEST, &r);
    assert_int_equal(r.keep_alive, false);
    (void)state;
}

static void test_upgrade(void **state)
{
    static const struct {
        const char *start, *fields;
        bool upgrade;
    } table[] = {
        {GET_11, "Connection: upgrade\r\nUpgrade: websocket\r\n", true},
        {GET_11, "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", true},
        {GET_11, "Upgrade: websocket\r\n", false},
        {GET_11, "Connection: upgrade\r\n", false},
        {GET_11, "Connection: upgraded\r\nUpgrade: websocket\r\n", false},
        {GET_11, "Proxy-Connection: upgrade\r\nUpgrade: websocket\r\n", false},
        {GET_11, "Connection: upgrade\r\nX-Upgrade: websocket\r\n", false},
        {GET_11, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n", false},
        {GET_10, "Connection: upgrade\r\nUpgrade: websocket\r\n", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char fields[256];
        struct http_request r;
        (void)snprintf(fields, sizeof fields, "Host: h\r\n%s", table[i].fields);
        interpret(table[i].start, fields, HTTP_FINE, &r);
        if (r.upgrade != table[i].upgrade)
            fail_msg("upgrade is not %d: %s, %s", table[i].upgrade, table[i].start, table[i].fields);
    }
    (void)state;
}

static void test_expectations(void **state)
{
    struct http_request r;

    interpret(GET_11, "Host: h\r\n", HTTP_FINE, &r);
    assert_int_equal(r.expect_100, false);
    interpret(GET_11, "Host: h\r\nExpect: 100-continue\r\n", HTTP_FINE, &r);
    assert_int_equal(r.expect_100, true);
    interpret(GET_11, "Host: h\r\nexpect: 100-Continue\r\n", HTTP_FINE, &r);
    assert_int_equal(r.expect_100, true);
    interpret(GET_11, "Expect: 100-continue\r\nHost: h\r\n", HTTP_FINE, &r);
    assert_int_equal(r.expect_100, true);
    interpret(GET_11, "Host: h\r\nExpect: 200-ok\r\n", HTTP_BAD_EXPECTATION, &r);
    interpret(GET_11, "Host: h\r\nExpect: 100-continued\r\n", HTTP_BAD_EXPECTATION, &r);
    interpret(GET_11, "Host: h\r\nExpect: 100-continue, x\r\n", HTTP_BAD_EXPECTATION, &r);
    interpret(GET_11, "Host: h\r\nExpect: 100-continue\r\nExpect: x\r\n", HTTP_BAD_EXPECTATION, &r);
    /* in HTTP/1.0 an expectation is ignored (RFC 9110 10.1.1) */
    interpret(GET_10, "Expect: 100-continue\r\n", HTTP_FINE, &r);
    assert_int_equal(r.expect_100, false);
    (void)state;
}

static void test_credentials(void **state)
{
    static const struct {
        const char *value, *user, *pass;
    } table[] = {
        {"Basic dXNlcjpwYXNz", "user", "pass"},
        {"basic dXNlcjpwYXNz", "user", "pass"},
        {"BASIC   dXNlcjpwYXNz", "user", "pass"},
        {"Basic dXNlcjpwYTpzcw==", "user", "pa:ss"}, /* the first colon divides */
        {"Basic dXNlcjo=", "user", ""},
        {"Basic Zm9v", "", ""}, /* no colon */
        {"Basic dXNlcjpwYXN", "", ""},
        {"Basic dXNlcjpwYXNz=", "", ""},
        {"Basic dXNl cjpwYXNz", "", ""},
        {"Basic *", "", ""},
        {"Basic", "", ""},
        {"Basic ", "", ""},
        {"BasicdXNlcjpwYXNz", "", ""},
        {"Basicx dXNlcjpwYXNz", "", ""},
        {"Bearer dXNlcjpwYXNz", "", ""},
        {"dXNlcjpwYXNz", "", ""},
        {"", "", ""},
    };
    struct http_request r;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char fields[128];
        (void)snprintf(fields, sizeof fields, "Host: h\r\nProxy-Authorization: %s\r\n", table[i].value);
        interpret(GET_11, fields, HTTP_FINE, &r);
        assert_int_equal(r.has_auth, true);
        if (!slice_eq(r.user, slice_str(table[i].user)) || !slice_eq(r.pass, slice_str(table[i].pass)))
            fail_msg("not user \"%s\", password \"%s\": %s", table[i].user, table[i].pass, table[i].value);
    }
    interpret(GET_11, "Host: h\r\nAuthorization: Basic dXNlcjpwYXNz\r\n", HTTP_FINE, &r);
    assert_int_equal(r.has_auth, false);
    assert_int_equal(r.user.len, 0);
    assert_int_equal(r.pass.len, 0);
    (void)state;
}

/* Credentials as long as their room, and longer. */
static void test_long_credentials(void **state)
{
    char fields[1024];
    struct http_request r;

    for (size_t groups = 160; groups < 180; groups++) {
        int n = snprintf(fields, sizeof fields, "Host: h\r\nProxy-Authorization: Basic dXNlcjpw");
        for (size_t i = 2; i < groups; i++)
            n += snprintf(fields + n, sizeof fields - (size_t)n, "eHh4");
        (void)snprintf(fields + n, sizeof fields - (size_t)n, "\r\n");
        interpret(GET_11, fields, HTTP_FINE, &r);
        assert_int_equal(r.has_auth, true);
        bool fits = groups * 3 <= sizeof r.credentials;
        assert_int_equal(r.user.len, fits ? 4 : 0);
        assert_int_equal(r.pass.len, fits ? groups * 3 - 5 : 0);
    }
    (void)state;
}

static void test_counted_hops(void **state)
{
    static const char last[] = "Host: h\r\nMax-Forwards: 0\r\n", more[] = "Host: h\r\nMax-Forwards: 1\r\n";
    struct http_request r;

    interpret("TRACE http://h/ HTTP/1.1", last, HTTP_NOT_SUPPORTED, &r);
    interpret("OPTIONS http://h/ HTTP/1.1", last, HTTP_NOT_SUPPORTED, &r);
    interpret("TRACE http://h/ HTTP/1.1", "Host: h\r\nMax-Forwards: 00\r\n", HTTP_NOT_SUPPORTED, &r);
    interpret("TRACE http://h/ HTTP/1.1", more, HTTP_FINE, &r);
    interpret("OPTIONS http://h/ HTTP/1.1", more, HTTP_FINE, &r);
    interpret("OPTIONS http://h/ HTTP/1.1", "Host: h\r\n", HTTP_FINE, &r);
    interpret(GET_11, last, HTTP_FINE, &r);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absolute_forms),
        cmocka_unit_test(test_bad_targets),
        cmocka_unit_test(test_requests_for_others),
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_host_rules),
        cmocka_unit_test(test_ambiguous_length),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_transfer_codings_that_nobody_here_knows),
        cmocka_unit_test(test_objections_tell_what_an_answer_needs),
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_long_credentials),
        cmocka_unit_test(test_counted_hops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
