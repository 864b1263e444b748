/* The streaming half of engine/proto/http_body.c: where a body ends, however it arrives. */
#include "heads.h"
#include "proto/http_body.h"

struct body_stream {
    struct exact_stream stream;
    struct http_body fresh, now;
    bool content_only; /* by http_body_next */
};

static void restart(struct exact_stream *stream)
{
    struct body_stream *s = container_of(stream, struct body_stream, stream);
    s->now = s->fresh;
}

static enum parse advance(struct body_stream *s, const char *data, size_t len, size_t *ret_used)
{
    enum parse p = http_body_advance(&s->now, data, len, ret_used);
    if (p != PARSE_BAD)
        exact_content(&s->stream, slice_of(data, *ret_used));
    return p;
}

/* Takes a piece of content after another until the input is used up or the body ends. */
static enum parse next(struct body_stream *s, const char *data, size_t len, size_t *ret_used)
{
    size_t at = 0;

    for (;;) {
        size_t used = SIZE_MAX;
        struct slice content = {0};
        enum parse p = http_body_next(&s->now, data + at, len - at, &used, &content);
        if (p == PARSE_BAD)
            return p;
        assert_true(used <= len - at);
        if (content.len > 0) {
            assert_true(content.data >= data + at);
            assert_true(content.data + content.len <= data + at + used);
        }
        exact_content(&s->stream, content);
        at += used;
        *ret_used = at;
        if (p == PARSE_OK || at == len)
            return p;
        assert_true(used > 0);
    }
}

static enum parse feed(struct exact_stream *stream, const char *data, size_t len, size_t *ret_used)
{
    struct body_stream *s = container_of(stream, struct body_stream, stream);
    enum parse p = s->content_only ? next(s, data, len, ret_used) : advance(s, data, len, ret_used);
    if (p != PARSE_BAD)
        assert_int_equal(s->now.done, p == PARSE_OK);
    return p;
}

static struct body_stream stream_of(const char *response, bool content_only)
{
    struct body_stream s = {.stream = {.restart = restart, .feed = feed}, .content_only = content_only};
    struct http_head h;

    head_response(&h, response);
    assert_int_equal(http_body_of_response(&s.fresh, &h, slice_str("GET")), PARSE_OK);
    return s;
}

static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/* The body must end with the last octet of data; its content is told. */
static void assert_body(const char *response, struct slice data, struct slice content)
{
    static const struct slice trailing[] = {
        {BYTES("")}, {BYTES("\r\n")}, {BYTES("0\r\n\r\n")}, {BYTES("x")}, {BYTES("HTTP/1.1 200 OK\r\n\r\n")}};

    for (int content_only = 0; content_only < 2; content_only++) {
        struct body_stream s = stream_of(response, content_only);
        struct slice expected = content_only ? content : data;
        for (size_t n = 0; n < data.len; n++)
            if (exact_stream(&s.stream, data.data, n) != PARSE_NEED_MORE)
                fail_msg("not NEED_MORE after %zu octets: \"%s\"", n, exact_show(data.data, data.len));
        for (size_t i = 0; i < ARRAY_LEN(trailing); i++) {
            char whole[1024];
            assert_true(data.len + trailing[i].len <= sizeof whole);
            memcpy(whole, data.data, data.len);
            memcpy(whole + data.len, trailing[i].data, trailing[i].len);
            if (exact_stream(&s.stream, whole, data.len + trailing[i].len) != PARSE_OK)
                fail_msg("no body: \"%s\"", exact_show(whole, data.len + trailing[i].len));
            assert_int_equal(s.stream.used, data.len);
            assert_true(slice_eq(slice_of(s.stream.content, s.stream.content_len), expected));
        }
    }
}

static void test_length(void **state)
{
    assert_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", slice_str("hello"), slice_str("hello"));
    assert_body("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", slice_of("\0", 1), slice_of("\0", 1));
    (void)state;
}

/* Without a body the end is where the head ended, also when asked again. */
static void test_no_body(void **state)
{
    static const char *const heads[] = {"HTTP/1.1 204 No Content\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct body_stream s = stream_of(heads[i], false);
        struct http_body b = s.fresh;
        struct slice content;
        size_t used = 9;
        assert_int_equal(http_body_advance(&b, "abc", 3, &used), PARSE_OK);
        assert_int_equal(used, 0);
        used = 9;
        assert_int_equal(http_body_next(&b, "abc", 3, &used, &content), PARSE_OK);
        assert_int_equal(used, 0);
        assert_int_equal(content.len, 0);
    }
    (void)state;
}

static void test_ended_body_takes_no_more(void **state)
{
    struct body_stream s = stream_of(chunked, false);
    struct http_body b = s.fresh;
    size_t used;

    assert_int_equal(http_body_advance(&b, BYTES("1\r\nx\r\n0\r\n\r\n"), &used), PARSE_OK);
    assert_true(b.done);
    used = 9;
    assert_int_equal(http_body_advance(&b, BYTES("1\r\nx\r\n0\r\n\r\n"), &used), PARSE_OK);
    assert_int_equal(used, 0);
    (void)state;
}

static void test_until_close(void **state)
{
    for (int content_only = 0; content_only < 2; content_only++) {
        struct body_stream s = stream_of("HTTP/1.1 200 OK\r\n\r\n", content_only);
        assert_int_equal(exact_stream(&s.stream, BYTES("0\r\n\r\n\0 whatever")), PARSE_NEED_MORE);
        assert_true(
            slice_eq(slice_of(s.stream.content, s.stream.content_len), slice_of("0\r\n\r\n\0 whatever", 15)));
    }
    (void)state;
}

static void test_chunks(void **state)
{
    static const struct {
        struct slice data, content;
    } table[] = {
        {{BYTES("0\r\n\r\n")}, {BYTES("")}},
        {{BYTES("000\r\n\r\n")}, {BYTES("")}},
        {{BYTES("5\r\nhello\r\n0\r\n\r\n")}, {BYTES("hello")}},
        {{BYTES("0005\r\nhello\r\n0\r\n\r\n")}, {BYTES("hello")}},
        {{BYTES("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n")}, {BYTES("abcdef")}},
        {{BYTES("5\r\n\r\n0\r\n\r\n0\r\n\r\n")}, {BYTES("\r\n0\r\n")}},
        {{BYTES("1\r\n\0\r\n0\r\n\r\n")}, {BYTES("\0")}},
        {{BYTES("9\r\n012345678\r\n0\r\n\r\n")}, {BYTES("012345678")}},
        {{BYTES("a\r\n0123456789\r\n0\r\n\r\n")}, {BYTES("0123456789")}},
        {{BYTES("1;\x80\t~\r\nx\r\n0\r\nA: \xff\t~\r\n\r\n")}, {BYTES("x")}},
        {{BYTES("A\r\n0123456789\r\n0\r\n\r\n")}, {BYTES("0123456789")}},
        {{BYTES("0f\r\n0123456789abcde\r\n0\r\n\r\n")}, {BYTES("0123456789abcde")}},
        {{BYTES("1F\r\n0123456789abcdef0123456789abcde\r\n0\r\n\r\n")},
         {BYTES("0123456789abcdef0123456789abcde")}},
        /* extensions */
        {{BYTES("1;a\r\nx\r\n0\r\n\r\n")}, {BYTES("x")}},
        {{BYTES("1;a=b;c=\"d e\"\r\nx\r\n0;end\r\n\r\n")}, {BYTES("x")}},
        {{BYTES("1 ; a = b\r\nx\r\n0\r\n\r\n")}, {BYTES("x")}},
        {{BYTES("1 \t\r\nx\r\n0  \r\n\r\n")}, {BYTES("x")}}, /* old servers pad the size */
        /* trailers */
        {{BYTES("1\r\nx\r\n0\r\nA: b\r\n\r\n")}, {BYTES("x")}},
        {{BYTES("0\r\nA: b\r\nC:\r\nD: 5\r\n\r\n")}, {BYTES("")}},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_body(chunked, table[i].data, table[i].content);
    (void)state;
}

static void test_bad_chunks(void **state)
{
    static const struct exact_bad table[] = {
        /* sizes */
        BAD_AT("", "\r\n"),
        BAD_AT("", "\n"),
        BAD_AT("", " 1\r\nx"),
        BAD_AT("", "g\r\n"),
        BAD_AT("", "-1\r\n"),
        BAD_AT("", "+1\r\n"),
        BAD_AT("", ";a\r\n"),
        BAD_AT("", "\0"),
        BAD_AT("0", "x5\r\nhello"),
        BAD_AT("1 ", "0\r\nx"),
        BAD_AT("1\t ", "x\r\nx"),
        BAD_AT("1 ", "\nx\r\n"),
        BAD_AT("1;a", "\0\r\nx"),
        BAD_AT("1;a", "\x7f\r\nx"),
        BAD_AT("5", "h\r\n"),
        BAD_AT("5", "_0\r\n"),
        BAD_AT("5", ".0\r\n"),
        BAD_AT("5", "\0\r\n"),
        BAD_AT("1\r\nx\r\n", "\r\n0\r\n\r\n"),
        /* 2^62, where 62 bits wrap, and where 64 bits do */
        BAD_AT("400000000000000", "0\r\n"),
        BAD_AT("0000000000400000000000000", "5\r\n"),
        BAD_AT("fffffffffffffff", "f\r\n"),
        BAD_AT("FFFFFFFFFFFFFFF", "E\r\n"),
        BAD_AT("1000000000000000", "5\r\n"),
        /* the ends of lines */
        BAD_AT("1", "\nx\r\n0\r\n\r\n"),
        BAD_AT("1;a", "\nx\r\n0\r\n\r\n"),
        BAD_AT("1\r", "x\r\n"),
        BAD_AT("1\r", "\r\nx\r\n"),
        BAD_AT("1;a\r", "b\r\nx\r\n"),
        BAD_AT("1\r\nx\r\n0", "\n\r\n"),
        /* behind the data */
        BAD_AT("1\r\nx", "y\r\n0\r\n\r\n"),
        BAD_AT("1\r\nx", "0\r\n\r\n"),
        BAD_AT("1\r\nx", "\n0\r\n\r\n"),
        BAD_AT("1\r\nx\r", "0\r\n\r\n"),
        BAD_AT("1\r\nx\r", "\r\n0\r\n\r\n"),
        BAD_AT("1\r\n\r\r", "x"),
        /* the end */
        BAD_AT("0\r\n\r", "x"),
        BAD_AT("0\r\n\r", "\r\n"),
        BAD_AT("0\r\nA: b\r\n\r", "x"),
        BAD_AT("0\r\nA: b\r", "x\r\n\r\n"),
        BAD_AT("0\r\n", "\n"),
        BAD_AT("0\r\nA: b", "\n\r\n"),
        BAD_AT("0\r\n", " A: b\r\n\r\n"),
        BAD_AT("0\r\n", ": b\r\n\r\n"),
        BAD_AT("0\r\nA", " : b\r\n\r\n"),
        BAD_AT("0\r\nA", "\r\n\r\n"),
        BAD_AT("0\r\nA: b\r\n", " c\r\n\r\n"),
        BAD_AT("0\r\nA: ", "\0\r\n\r\n"),
        BAD_AT("0\r\nA: ", "\x7f\r\n\r\n"),
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct body_stream s = stream_of(chunked, false), n = stream_of(chunked, true);
        exact_stream_refuses(&s.stream, table[i].good, table[i].wrong);
        exact_stream_refuses(&n.stream, table[i].good, table[i].wrong);
    }
    (void)state;
}

/* The largest size that is let through is known exactly, and does not wrap on the way. */
static void test_largest_chunk(void **state)
{
    struct body_stream s = stream_of(chunked, false);
    struct http_body b = s.fresh;
    size_t used;

    assert_int_equal(http_body_advance(&b, BYTES("3fffffffffffffff\r\n"), &used), PARSE_NEED_MORE);
    assert_true(b.left == 0x3fffffffffffffff);
    assert_int_equal(http_body_advance(&b, BYTES("0123456789"), &used), PARSE_NEED_MORE);
    assert_int_equal(used, 10);
    assert_true(b.left == 0x3fffffffffffffff - 10);
    (void)state;
}

/* How many of `filler` may come after `start` until the body is refused; none of them ends anything. */
static size_t allowed(const char *start, const char *filler, size_t most)
{
    struct body_stream s = stream_of(chunked, false);
    struct http_body b = s.fresh;
    size_t used, n = 0;

    assert_int_equal(http_body_advance(&b, start, strlen(start), &used), PARSE_NEED_MORE);
    while (n < most && http_body_advance(&b, filler, strlen(filler), &used) == PARSE_NEED_MORE)
        n++;
    return n * strlen(filler);
}

static void test_limits_of_framing(void **state)
{
    enum { KIB = 1024, SLACK = 64 };

    assert_in_range(allowed("1;", "x", 10 * KIB), 4 * KIB - SLACK, 4 * KIB);
    assert_in_range(allowed("", "0", 10 * KIB), 4 * KIB - SLACK, 4 * KIB);
    assert_in_range(allowed("0\r\nA: ", "x", 64 * KIB), 16 * KIB - SLACK, 16 * KIB);
    assert_in_range(allowed("0\r\n", "A: b\r\n", 64 * KIB), 16 * KIB - SLACK, 16 * KIB);
    /* Each chunk starts anew: any number of short lines is well. */
    assert_int_equal(allowed("", "1;a=b\r\nx\r\n", 10 * KIB), 10 * KIB * 10);
    (void)state;
}

/* However padded chunks are cut into pieces: what goes on of them is the same, without the padding. */
static void test_padding_is_taken_out(void **state)
{
    static const char padded[] = "1 \r\nx\r\n0a\t ;a=\" b\"\r\n 23456789 \r\n0  \r\nA: b \r\n\r\n",
                      expected[] = "1\r\nx\r\n0a;a=\" b\"\r\n 23456789 \r\n0\r\nA: b \r\n\r\n";
    const size_t len = sizeof padded - 1;

    (void)state;
    for (size_t one = 0; one <= len; one++) {
        for (size_t two = one; two <= len; two++) {
            const size_t cuts[] = {0, one, two, len};
            struct http_body b = stream_of(chunked, false).fresh;
            char out[sizeof padded];
            size_t n = 0;
            enum parse p = PARSE_NEED_MORE;
            for (int i = 0; i < 3; i++) {
                size_t piece = cuts[i + 1] - cuts[i], used, kept;
                struct exact copy = exact_copy(padded + cuts[i], piece);
                if (p == PARSE_NEED_MORE) {
                    p = http_body_tidy(&b, (char *)copy.data, piece, &used, &kept);
                    assert_int_equal(used, piece);
                    memcpy(out + n, copy.data, kept);
                    n += kept;
                }
                free(copy.block);
            }
            assert_int_equal(p, PARSE_OK);
            assert_int_equal(n, sizeof expected - 1);
            assert_memory_equal(out, expected, n);
        }
    }
}

/* Where two readers could see two chunks, no client's body goes on. */
static void test_chunks_of_requests(void **state)
{
    static const char *const bad[] = {"1 \r\nx",    "1\t\r\nx", "1 ;a\r\nx", " 1\r\nx",
                                      "+1\r\nx",    "0x1\r\nx", "1\nx",      "1;a\nx",
                                      "1;\ra\r\nx", "1; \r\nx", "1;a \r\nx", "0;a=b\t\r\n"};
    static const char *const good[] = {"1\r\nx\r\n0\r\n\r\n", "0001\r\nx\r\n000\r\n\r\n",
                                       "1;a=b\r\nx\r\n0;c\r\n\r\n", "1; a = \"b c\"\r\nx\r\n0\r\n\r\n"};
    struct http_head h;
    struct http_body fresh, b;
    size_t used;

    (void)state;
    head_request(&h, "POST http://h/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(http_body_of_request(&fresh, &h), PARSE_OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        b = fresh;
        if (http_body_advance(&b, bad[i], strlen(bad[i]), &used) != PARSE_BAD)
            fail_msg("taken: \"%s\"", exact_show(bad[i], strlen(bad[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        b = fresh;
        assert_int_equal(http_body_advance(&b, good[i], strlen(good[i]), &used), PARSE_OK);
        assert_int_equal(used, strlen(good[i]));
        assert_false(b.padded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_ended_body_takes_no_more),
        cmocka_unit_test(test_until_close),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_bad_chunks),
        cmocka_unit_test(test_largest_chunk),
        cmocka_unit_test(test_padding_is_taken_out),
        cmocka_unit_test(test_chunks_of_requests),
        cmocka_unit_test(test_limits_of_framing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
