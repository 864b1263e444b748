#include "proto/http_head.h"

#include "exact.h"

static enum parse parse_request(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    struct http_head *h = ret;
    enum parse p = http_parse_request(h, data, len);
    if (p == PARSE_OK)
        *ret_consumed = h->consumed;
    return p;
}

static enum parse parse_response(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    struct http_head *h = ret;
    enum parse p = http_parse_response(h, data, len);
    if (p == PARSE_OK)
        *ret_consumed = h->consumed;
    return p;
}

/* The fields as "[name|value]" each. */
static size_t describe_fields(char *out, size_t size, const struct http_head *h)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_fields && n < size; i++) {
        const struct http_field *f = &h->fields[i];
        n += (size_t)snprintf(out + n, size - n, "[%.*s|%.*s]", (int)f->name.len, f->name.data,
                              (int)f->value.len, f->value.data);
    }
    return n;
}

static const char *describe_request(const struct http_head *h)
{
    static char text[2048];
    int n = snprintf(text, sizeof text, "%.*s %.*s %d ", (int)h->method.len, h->method.data,
                     (int)h->target.len, h->target.data, h->minor);

    (void)describe_fields(text + n, sizeof text - (size_t)n, h);
    return text;
}

static const char *describe_response(const struct http_head *h)
{
    static char text[2048];
    int n =
        snprintf(text, sizeof text, "%d %d (%.*s) ", h->minor, h->status, (int)h->phrase.len, h->phrase.data);

    (void)describe_fields(text + n, sizeof text - (size_t)n, h);
    return text;
}

static void test_requests(void **state)
{
    static const char *const table[][2] = {
        {"GET / HTTP/1.1\r\n\r\n", "GET / 1 "},
        {"GET http://h/p?q HTTP/1.0\r\n\r\n", "GET http://h/p?q 0 "},
        {"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "CONNECT [::1]:443 1 [Host|[::1]:443]"},
        {"OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS * 1 "},
        {"GET / HTTP/1.9\r\n\r\n", "GET / 1 "}, /* a higher minor counts as 1 */
        {"!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\n\r\n", "!#$%&'*+-.^_`|~09azAZ / 1 "},
        {"G !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~ HTTP/1.1\r\n\r\n",
         "G !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~ 1 "},
        {"\r\nGET / HTTP/1.1\r\n\r\n", "GET / 1 "},
        {"\n\r\n\r\n\nGET / HTTP/1.1\r\n\r\n", "GET / 1 "},
        {"GET / HTTP/1.1\n\n", "GET / 1 "},
        {"GET / HTTP/1.1\nA: b\n\n", "GET / 1 [A|b]"},
        {"GET / HTTP/1.1\nA: b\r\nC: d\n\r\n", "GET / 1 [A|b][C|d]"},
        {"GET / HTTP/1.1\r\nA:b\r\n\r\n", "GET / 1 [A|b]"},
        {"GET / HTTP/1.1\r\nA: \t b\tc  d\t \r\n\r\n", "GET / 1 [A|b\tc  d]"},
        {"GET / HTTP/1.1\r\nA:\r\nB: \r\nC:\t\t\r\n\r\n", "GET / 1 [A|][B|][C|]"},
        {"GET / HTTP/1.1\r\nA: b: c\r\nA: B\r\na:x\r\n\r\n", "GET / 1 [A|b: c][A|B][a|x]"},
        {"GET / HTTP/1.1\r\nA: \x80\xff\xc3\xbc\r\n\r\n", "GET / 1 [A|\x80\xff\xc3\xbc]"},
        {"GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ: \"(),/:;<=>?@[\\]{}\r\n\r\n",
         "GET / 1 [!#$%&'*+-.^_`|~09azAZ|\"(),/:;<=>?@[\\]{}]"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct http_head h;
        exact_accepts(parse_request, &h, table[i][0], strlen(table[i][0]));
        assert_string_equal(describe_request(&h), table[i][1]);
    }
    (void)state;
}

static void test_bad_requests(void **state)
{
    static const struct exact_bad table[] = {
        /* before and within the method */
        BAD_AT("", " GET / HTTP/1.1\r\n\r\n"),
        BAD_AT("", "\tGET / HTTP/1.1\r\n\r\n"),
        BAD_AT("\r\n", " GET / HTTP/1.1\r\n\r\n"),
        BAD_AT("\r", "GET / HTTP/1.1\r\n\r\n"),
        BAD_AT("\r", "\r\nGET / HTTP/1.1\r\n\r\n"),
        BAD_AT("", "\0GET"),
        BAD_AT("", "\x04\x01"),
        BAD_AT("", "\x16\x03\x01"), /* a TLS hello */
        BAD_AT("", ": / HTTP/1.1\r\n\r\n"),
        BAD_AT("G", "\x80T / HTTP/1.1\r\n\r\n"),
        BAD_AT("GET", "\t/ HTTP/1.1\r\n\r\n"),
        BAD_AT("GET", "/ HTTP/1.1\r\n\r\n"),
        BAD_AT("GET", "\r\n"),
        BAD_AT("GET", "\n"),
        BAD_AT("Host", ": h\r\n\r\n"),
        /* target */
        BAD_AT("GET ", " / HTTP/1.1\r\n\r\n"),
        BAD_AT("GET ", "\t/ HTTP/1.1\r\n\r\n"),
        BAD_AT("GET ", "\r\n"),
        BAD_AT("GET /", "\r\n"),
        BAD_AT("GET /", "\n"),
        BAD_AT("GET /a", "\tb HTTP/1.1\r\n\r\n"),
        BAD_AT("GET /a ", "b HTTP/1.1\r\n\r\n"),
        BAD_AT("GET /a", "\0 HTTP/1.1\r\n\r\n"),
        BAD_AT("GET /a", "\x01 HTTP/1.1\r\n\r\n"),
        BAD_AT("GET /a", "\x7f HTTP/1.1\r\n\r\n"),
        /* version */
        BAD_AT("GET / ", " HTTP/1.1\r\n\r\n"),
        BAD_AT("GET / ", "\r\n\r\n"),
        BAD_AT("GET / ", "http/1.1\r\n\r\n"),
        BAD_AT("GET / H", "ttp/1.1\r\n\r\n"),
        BAD_AT("GET / HTTP", " 1.1\r\n\r\n"),
        BAD_AT("GET / HTTP/", "2.0\r\n\r\n"),
        BAD_AT("GET / HTTP/", "0.9\r\n\r\n"),
        BAD_AT("GET / HTTP/", ".1\r\n\r\n"),
        BAD_AT("GET / HTTP/1", "1.1\r\n\r\n"),
        BAD_AT("GET / HTTP/1", ",1\r\n\r\n"),
        BAD_AT("GET / HTTP/1.", "x\r\n\r\n"),
        BAD_AT("GET / HTTP/1.", "\r\n\r\n"),
        BAD_AT("GET / HTTP/1.1", "0\r\n\r\n"),
        BAD_AT("GET / HTTP/1.1", " \r\n\r\n"),
        BAD_AT("GET / HTTP/1.1", "\t\r\n\r\n"),
        BAD_AT("GET / HTTP/1.1\r", "A: b\r\n\r\n"),
        BAD_AT("GET / HTTP/1.1\r", "\r\n\r\n"),
    };
    struct http_head h;

    exact_refuses_all(parse_request, &h, table, ARRAY_LEN(table));
    (void)state;
}

#define START "GET / HTTP/1.1\r\n"

static void test_bad_fields(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", " A: b\r\n\r\n"),
        BAD_AT("", "\tA: b\r\n\r\n"),
        BAD_AT("", ": b\r\n\r\n"),
        BAD_AT("A", " : b\r\n\r\n"),
        BAD_AT("A", "\t: b\r\n\r\n"),
        BAD_AT("A", " B: c\r\n\r\n"),
        BAD_AT("A", "\r\n\r\n"),
        BAD_AT("A", "\n\n"),
        BAD_AT("A", "\0: b\r\n\r\n"),
        BAD_AT("A", "\x7f: b\r\n\r\n"),
        BAD_AT("A", "\x80: b\r\n\r\n"),
        BAD_AT("A", "\xc5\xbf: b\r\n\r\n"),
        BAD_AT("A", "(x): b\r\n\r\n"),
        BAD_AT("", "\"A\": b\r\n\r\n"),
        BAD_AT("", "\x0b: b\r\n\r\n"),
        /* values */
        BAD_AT("A: b", "\0\r\n\r\n"),
        BAD_AT("A: ", "\x01\r\n\r\n"),
        BAD_AT("A: b", "\x0b\r\n\r\n"),
        BAD_AT("A: b", "\x0c\r\n\r\n"),
        BAD_AT("A: b", "\x1b[0m\r\n\r\n"),
        BAD_AT("A: b", "\x7f\r\n\r\n"),
        /* bare CR */
        BAD_AT("A: b\r", "C: d\r\n\r\n"),
        BAD_AT("A: b\r", " c\r\n\r\n"),
        BAD_AT("A: b\r", "\r\n\r\n"),
        BAD_AT("A:\r", "b\r\n\r\n"),
        /* a value carried on in the next line, also in an empty-looking one */
        BAD_AT("A: b\r\n", " c\r\n\r\n"),
        BAD_AT("A: b\r\n", "\tc\r\n\r\n"),
        BAD_AT("A: b\n", " c\n\n"),
        BAD_AT("A: b\r\n", " \r\n\r\n"),
        BAD_AT("A:\r\n", " b\r\n\r\n"),
        /* the empty line */
        BAD_AT("A: b\r\n\r", "C: d\r\n\r\n"),
        BAD_AT("\r", "x"),
        BAD_AT("\r", "\r\n"),
    };
    static const char *const starts[] = {"GET / HTTP/1.1\r\n",
                                         "GET / HTTP/1.0\n"}; /* test_http_lenient.c has responses */

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        for (size_t k = 0; k < ARRAY_LEN(starts); k++) {
            char good[128];
            struct http_head h;
            size_t n = strlen(starts[k]);
            memcpy(good, starts[k], n);
            memcpy(good + n, table[i].good.data, table[i].good.len);
            exact_refuses(parse_request, &h, slice_of(good, n + table[i].good.len), table[i].wrong);
        }
    }
    (void)state;
}

static void test_responses(void **state)
{
    static const char *const table[][2] = {
        {"HTTP/1.1 200 OK\r\n\r\n", "1 200 (OK) "},
        {"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n", "0 404 (Not Found) [A|b]"},
        {"HTTP/1.1 200 \r\n\r\n", "1 200 () "},
        {"HTTP/1.1 200\r\n\r\n", "1 200 () "}, /* not quite valid, but common */
        {"HTTP/1.1 100 Continue\n\n", "1 100 (Continue) "},
        {"HTTP/1.1 999 x\r\n\r\n", "1 999 (x) "},
        {"HTTP/1.7 200 OK\r\n\r\n", "1 200 (OK) "},
        {"HTTP/1.1 200 \x80\xff \tok\r\nB:\r\n\r\n", "1 200 (\x80\xff \tok) [B|]"},
        {"HTTP/1.1 200 200 OK: fine\r\n\r\n", "1 200 (200 OK: fine) "},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct http_head h;
        exact_accepts(parse_response, &h, table[i][0], strlen(table[i][0]));
        assert_string_equal(describe_response(&h), table[i][1]);
    }
    (void)state;
}

static void test_bad_responses(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", "GET / HTTP/1.1\r\n\r\n"),   BAD_AT("", "<html>"),
        BAD_AT("", " HTTP/1.1 200 OK\r\n\r\n"), BAD_AT("", "\0"),
        BAD_AT("HTTP/2.", "1 200 OK\r\n\r\n"),  BAD_AT("HTTP/", "0.9 200 OK\r\n\r\n"),
        BAD_AT("HTTP/1.1", "1 200 OK\r\n\r\n"), BAD_AT("HTTP/1.1", "\r\n\r\n"),
        BAD_AT("HTTP/1.1 ", "\r\n\r\n"),        BAD_AT("HTTP/1.1 ", "OK\r\n\r\n"),
        BAD_AT("HTTP/1.1 ", "099 OK\r\n\r\n"),  BAD_AT("HTTP/1.1 ", "-200 OK\r\n\r\n"),
        BAD_AT("HTTP/1.1 20", " OK\r\n\r\n"),   BAD_AT("HTTP/1.1 20", "x OK\r\n\r\n"),
        BAD_AT("HTTP/1.1 20", "\r\n\r\n"),      BAD_AT("HTTP/1.1 200", "0 OK\r\n\r\n"),
    };
    struct http_head h;

    exact_refuses_all(parse_response, &h, table, ARRAY_LEN(table));
    (void)state;
}

static void test_field_count(void **state)
{
    char data[sizeof START + (HTTP_FIELDS_MAX + 1) * 5 + 2] = START;
    size_t len = strlen(data);
    struct http_head h;

    for (int i = 0; i < HTTP_FIELDS_MAX; i++, len += 5)
        memcpy(data + len, "A:b\r\n", 5);
    memcpy(data + len, "\r\n", 2);
    exact_accepts(parse_request, &h, data, len + 2);
    assert_int_equal(h.n_fields, HTTP_FIELDS_MAX);
    exact_refuses(parse_request, &h, slice_of(data, len), slice_str("C:d\r\n\r\n"));
    (void)state;
}

/* A head may have that length and no more, whatever its content. */
static void assert_length_limit(exact_parser parse, size_t max, const char *start, char filler,
                                const char *end)
{
    size_t start_len = strlen(start), end_len = strlen(end);
    char *data = malloc(max + 16);
    struct http_head h;
    size_t consumed = 0;

    assert_non_null(data);
    memset(data, filler, max + 16);
    memcpy(data, start, start_len);
    exact_expect(parse, &h, data, max - 1, PARSE_NEED_MORE);
    exact_expect(parse, &h, data, max, PARSE_BAD);
    exact_expect(parse, &h, data, max + 1, PARSE_BAD);
    /* the end one byte too late */
    memcpy(data + max + 1 - end_len, end, end_len);
    exact_expect(parse, &h, data, max - 1, PARSE_NEED_MORE);
    exact_expect(parse, &h, data, max, PARSE_BAD);
    exact_expect(parse, &h, data, max + 1, PARSE_BAD);
    /* and just in time */
    memcpy(data + max - end_len, end, end_len);
    exact_expect(parse, &h, data, max - 1, PARSE_NEED_MORE);
    exact_expect(parse, &h, data, max, PARSE_OK);
    assert_int_equal(exact_parse(parse, &h, data, max + 9, &consumed), PARSE_OK);
    assert_int_equal(consumed, max);
    free(data);
}

static void test_head_length(void **state)
{
    const size_t request = HTTP_HEAD_MAX, answer = HTTP_ANSWER_HEAD_MAX;

    assert_length_limit(parse_request, request, START "A: ", 'x', "\r\n\r\n");
    assert_length_limit(parse_request, request, START "A: ", ' ', "\n\n");
    assert_length_limit(parse_request, request, START, 'x', ": y\r\n\r\n");
    assert_length_limit(parse_request, request, "GET /", 'x', " HTTP/1.1\r\n\r\n");
    assert_length_limit(parse_request, request, "", 'G', " / HTTP/1.1\r\n\r\n");
    assert_length_limit(parse_request, request, "", '\n', "GET / HTTP/1.1\r\n\r\n");
    assert_length_limit(parse_response, answer, "HTTP/1.1 200 ", 'x', "\r\n\r\n");
    assert_length_limit(parse_response, answer, "HTTP/1.1 200 OK\r\nA: ", 'x', "\r\n\r\n");
    assert_length_limit(parse_response, answer, "HTTP/1.1 200 OK\r\nA : ", 'x', "\r\n\r\n");
    (void)state;
}

/* The bytes after a short head may have any length. */
static void test_long_body_behind_a_head(void **state)
{
    char *data = calloc(1, HTTP_HEAD_MAX * 2);
    struct http_head h;
    size_t consumed = 0;

    assert_non_null(data);
    memcpy(data, START "\r\n", sizeof START + 1);
    assert_int_equal(exact_parse(parse_request, &h, data, HTTP_HEAD_MAX * 2, &consumed), PARSE_OK);
    assert_int_equal(consumed, sizeof START + 1);
    free(data);
    (void)state;
}

static void test_find(void **state)
{
    static const char head[] = START "Aa: 1\r\nB: 2\r\nAA: 3\r\nAab: 4\r\n\r\n";
    struct http_head h;

    exact_accepts(parse_request, &h, BYTES(head));
    assert_ptr_equal(http_find(&h, "aa"), &h.fields[0]);
    assert_ptr_equal(http_find(&h, "AAB"), &h.fields[3]);
    assert_ptr_equal(http_find(&h, "B"), &h.fields[1]);
    assert_null(http_find(&h, "A"));
    assert_null(http_find(&h, "Aabc"));
    assert_null(http_find(&h, ""));
    (void)state;
}

static void test_tokens(void **state)
{
    static const char head[] = START "Connection: close,Keep-Alive ,\t upgrade\r\n"
                                     "X: other\r\n"
                                     "connection: , x-y,, z\r\n"
                                     "Connection:\r\n"
                                     "Connection: two words, \"quoted\", last\r\n\r\n";
    static const char *const there[] = {"close", "CLOSE", "keep-alive", "Upgrade", "x-y", "z", "last"};
    static const char *const not_there[] = {"clos",  "closed", "keep",       "alive",  "other",  "y", "two",
                                            "words", "x",      "Connection", "lastly", "quoted", "w"};
    struct http_head h;

    exact_accepts(parse_request, &h, BYTES(head));
    for (size_t i = 0; i < ARRAY_LEN(there); i++) {
        assert_true(http_has_token(&h, "Connection", there[i]));
        assert_true(http_lists(&h, "CONNECTION", slice_str(there[i])));
        assert_false(http_has_token(&h, "Other", there[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(not_there); i++) {
        if (http_has_token(&h, "Connection", not_there[i]))
            fail_msg("%s is not listed", not_there[i]);
        assert_false(http_lists(&h, "Connection", slice_str(not_there[i])));
    }
    (void)state;
}

static void test_token_characters(void **state)
{
    static const char good[] =
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (int c = 0; c < 256; c++)
        assert_int_equal(http_is_token_char((unsigned char)c), c != 0 && strchr(good, c) != NULL);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_bad_fields),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_bad_responses),
        cmocka_unit_test(test_field_count),
        cmocka_unit_test(test_head_length),
        cmocka_unit_test(test_long_body_behind_a_head),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_token_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
