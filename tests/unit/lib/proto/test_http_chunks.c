/* The streaming half of engine/lib/proto/http_body.c: where a body ends, however it arrives. */
#include "heads.h"
#include "proto/http_body.h"

#include <errno.h>

enum { HELD_MAX = 32 * 1024 };

struct body_stream {
    struct exact_stream stream;
    struct http_body fresh, now;
    bool content_only; /* by http_body_next */
    size_t held_len;   /* framing that was not whole yet, and comes again with more */
    char held[HELD_MAX];
};

static void restart(struct exact_stream *stream)
{
    struct body_stream *s = container_of(stream, struct body_stream, stream);
    s->now = s->fresh;
    s->held_len = 0;
}

/* What goes on: as it is, and from the first byte that must not, as it is mended. */
static enum parse pass(struct body_stream *s, const char *data, size_t len, size_t *ret_used)
{
    enum parse p = http_body_advance(&s->now, data, len, ret_used);
    struct buf out;
    size_t rest;
    int err;

    if (p == PARSE_BAD)
        return p;
    exact_content(&s->stream, slice_of(data, *ret_used));
    if (!s->now.bent)
        return p;
    assert_int_equal(p, PARSE_NEED_MORE);
    buf_init(&out, 1 << 20);
    p = http_body_mend(&s->now, data + *ret_used, len - *ret_used, &rest, &out, &err);
    assert_int_equal(err, 0);
    assert_true(p == PARSE_BAD || rest > 0);
    assert_false(s->now.bent);
    exact_content(&s->stream, buf_slice(&out));
    buf_done(&out);
    *ret_used += rest;
    return p;
}

/* Takes a piece of content after another until the input is used up, or the body ends, or more is needed. */
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
        if (p == PARSE_OK || at == len || used == 0)
            return p;
    }
}

static enum parse feed(struct exact_stream *stream, const char *data, size_t len, size_t *ret_used)
{
    struct body_stream *s = container_of(stream, struct body_stream, stream);
    size_t held = s->held_len, used = SIZE_MAX;

    assert_true(len <= sizeof s->held - held);
    if (len > 0)
        memcpy(s->held + held, data, len);
    struct exact all = exact_copy(s->held, held + len);
    enum parse p =
        s->content_only ? next(s, all.data, held + len, &used) : pass(s, all.data, held + len, &used);
    free(all.block);
    if (p == PARSE_BAD)
        return p;
    assert_int_equal(s->now.done, p == PARSE_OK);
    assert_true(used <= held + len);
    s->held_len = held + len - used;
    memmove(s->held, s->held + used, s->held_len);
    *ret_used = p == PARSE_OK ? used - held : len;
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

/* The body must end with the last byte of data; its content is told, and what goes on of it (all, for NULL).
 */
static void assert_body(const char *response, struct slice data, struct slice content, const char *passed)
{
    static const struct slice trailing[] = {
        {BYTES("")}, {BYTES("\r\n")}, {BYTES("0\r\n\r\n")}, {BYTES("x")}, {BYTES("HTTP/1.1 200 OK\r\n\r\n")}};

    for (int content_only = 0; content_only < 2; content_only++) {
        struct body_stream s = stream_of(response, content_only);
        struct slice expected = content_only ? content : passed ? slice_str(passed) : data;
        for (size_t n = 0; n < data.len; n++)
            if (exact_stream(&s.stream, data.data, n) != PARSE_NEED_MORE)
                fail_msg("not NEED_MORE after %zu bytes: \"%s\"", n, exact_show(data.data, data.len));
        for (size_t i = 0; i < ARRAY_LEN(trailing); i++) {
            char whole[1024];
            assert_true(data.len + trailing[i].len <= sizeof whole);
            memcpy(whole, data.data, data.len);
            memcpy(whole + data.len, trailing[i].data, trailing[i].len);
            if (exact_stream(&s.stream, whole, data.len + trailing[i].len) != PARSE_OK)
                fail_msg("no body: \"%s\"", exact_show(whole, data.len + trailing[i].len));
            assert_int_equal(s.stream.used, data.len);
            if (!slice_eq(slice_of(s.stream.content, s.stream.content_len), expected))
                fail_msg("passed on: \"%s\"", exact_show(s.stream.content, s.stream.content_len));
        }
    }
}

static void test_length(void **state)
{
    assert_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", slice_str("hello"), slice_str("hello"), NULL);
    assert_body("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", slice_of("\0", 1), slice_of("\0", 1), NULL);
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

#define OK_0 "2\r\nok\r\n0\r\n"
#define OK_END OK_0 "\r\n"

/* What servers send and clients take; what goes on is by the rules. */
static void test_chunks(void **state)
{
    static const struct {
        struct slice data, content;
        const char *passed; /* NULL: the same */
    } table[] = {
        {{BYTES("0\r\n\r\n")}, {BYTES("")}, NULL},
        {{BYTES("5\r\nhello\r\n0\r\n\r\n")}, {BYTES("hello")}, NULL},
        {{BYTES("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n")}, {BYTES("abcdef")}, NULL},
        {{BYTES("5\r\n\r\n0\r\n\r\n0\r\n\r\n")}, {BYTES("\r\n0\r\n")}, NULL},
        {{BYTES("1\r\n\0\r\n0\r\n\r\n")}, {BYTES("\0")}, NULL},
        {{BYTES("9\r\n012345678\r\n0\r\n\r\n")}, {BYTES("012345678")}, NULL},
        {{BYTES("a\r\n0123456789\r\n0\r\n\r\n")}, {BYTES("0123456789")}, NULL},
        {{BYTES("A\r\n0123456789\r\n0\r\n\r\n")}, {BYTES("0123456789")}, NULL},
        {{BYTES("1F\r\n0123456789abcdef0123456789abcde\r\n0\r\n\r\n")},
         {BYTES("0123456789abcdef0123456789abcde")},
         NULL},
        /* leading zeros */
        {{BYTES("000\r\n\r\n")}, {BYTES("")}, "0\r\n\r\n"},
        {{BYTES("0002\r\nok\r\n0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("00000000000000000002\r\nok\r\n0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("0F\r\n0123456789abcde\r\n0\r\n\r\n")},
         {BYTES("0123456789abcde")},
         "f\r\n0123456789abcde\r\n0\r\n\r\n"},
        /* ends of lines */
        {{BYTES("2\nok\r\n0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2\r\nok\n0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2\r\nok\r\n0\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2\r\nok\r\n0\r\n\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2\nok\n0\n\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("1\no\n1\nk\n0\n\n")}, {BYTES("ok")}, "1\r\no\r\n1\r\nk\r\n0\r\n\r\n"},
        {{BYTES("1\no\n1\r\nk\r\n0\r\n\r\n")}, {BYTES("ok")}, "1\r\no\r\n1\r\nk\r\n0\r\n\r\n"},
        {{BYTES("2\r\r\nok\r\r\r\n0\r\r\n\r\n")}, {BYTES("ok")}, OK_END},
        /* behind a size, and before it */
        {{BYTES("2;a\r\nok\r\n0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2;a=b;c=\"d e\"\r\nok\r\n0;end\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2 ; a = b\r\nok\r\n0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2;a=\"\n"
                "ok\r\n0\r\n\r\n")},
         {BYTES("ok")},
         OK_END},
        {{BYTES("2 \t\r\nok\r\n0  \r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES(" \t2\r\nok\r\n 0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2 foo\r\nok\r\n0 bar\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2 0\r\nok\r\n0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2g\r\nok\r\n0g\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2x\r\nok\r\n0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        {{BYTES("2;\0\x7f\x80\rz\r\nok\r\n0;\0\r\n\r\n")}, {BYTES("ok")}, OK_END},
        /* trailers */
        {{BYTES(OK_0 "A: b\r\n\r\n")}, {BYTES("ok")}, NULL},
        {{BYTES(OK_0 "A:b\r\nC:\r\nD: \xff\t~ \r\n\r\n")}, {BYTES("ok")}, NULL},
        {{BYTES(OK_0 "A: b\n\n")}, {BYTES("ok")}, OK_0 "A: b\r\n\r\n"},
        {{BYTES(OK_0 "A : b\r\n\r\n")}, {BYTES("ok")}, OK_0 "A: b\r\n\r\n"},
        {{BYTES(OK_0 "A: b\r\n c\r\nD: e\r\n\r\n")}, {BYTES("ok")}, OK_0 "A: b   c\r\nD: e\r\n\r\n"},
        {{BYTES(OK_0 " A: b\r\nC: d\r\n\r\n")}, {BYTES("ok")}, OK_0 "C: d\r\n\r\n"},
        {{BYTES(OK_0 "stray\r\nC: d\r\n\r\n")}, {BYTES("ok")}, OK_0 "C: d\r\n\r\n"},
        {{BYTES(OK_0 "C: d\r\nA B: c\r\n folded\r\n: e\r\n\r\n")}, {BYTES("ok")}, OK_0 "C: d\r\n\r\n"},
        {{BYTES(OK_0 "A: b\0\x1b\x7fz\r\n\r\n")}, {BYTES("ok")}, OK_0 "A: b   z\r\n\r\n"},
        {{BYTES(OK_0 "A: b\rC: d\r\n\r\n")}, {BYTES("ok")}, OK_0 "A: b C: d\r\n\r\n"},
        {{BYTES(OK_0 "Content-Length: 5\r\nA: b\r\ntransfer-encoding: chunked\r\nHOST: x\r\n\r\n")},
         {BYTES("ok")},
         OK_0 "A: b\r\n\r\n"},
        {{BYTES(OK_0 "Connection: close\r\nTrailer: A\r\nVia: x\r\nUpgrade: y\r\n\r\n")},
         {BYTES("ok")},
         OK_END},
        {{BYTES(OK_0 "Content-Length : 5\r\n\r\n")}, {BYTES("ok")}, OK_END},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_body(chunked, table[i].data, table[i].content, table[i].passed);
    (void)state;
}

/* Two readers could see two sizes, or two ends. */
static void test_bad_chunks(void **state)
{
    static const struct exact_bad table[] = {
        /* sizes */
        BAD_AT("", "\r\n"),
        BAD_AT("", "\n"),
        BAD_AT(" \t", "\r\n"),
        BAD_AT("", "g\r\n"),
        BAD_AT("", "-1\r\n"),
        BAD_AT("", "+1\r\n"),
        BAD_AT("", "\"1\"\r\n"),
        BAD_AT("", ";a\r\n"),
        BAD_AT("", "\0"),
        BAD_AT("0", "x5\r\nhello"),
        BAD_AT("00", "X5\r\nhello"),
        BAD_AT("5", "_0\r\n"),
        BAD_AT("1\r\nx\r\n", "\r\n0\r\n\r\n"),
        BAD_AT("1\nx\n", "\n0\n\n"),
        /* 2^62, where 62 bits wrap, and where 64 bits do */
        BAD_AT("400000000000000", "0\r\n"),
        BAD_AT("0000000000400000000000000", "5\r\n"),
        BAD_AT("fffffffffffffff", "f\r\n"),
        BAD_AT("FFFFFFFFFFFFFFF", "E\r\n"),
        BAD_AT("1000000000000000", "5\r\n"),
        /* behind the data */
        BAD_AT("1\r\nx", "y\r\n0\r\n\r\n"),
        BAD_AT("1\r\nx", "0\r\n\r\n"),
        BAD_AT("1\nx", " \n0\n\n"),
        BAD_AT("1\r\nx\r", "0\r\n\r\n"),
        BAD_AT("1\r\n\r\r", "x"),
        /* the end */
        BAD_AT("0\r\n\r", "x"),
        BAD_AT("0\r\n\r", "\r\n"),
        BAD_AT("0\r\nA: b\r\n\r", "x"),
        BAD_AT("0\r\nstray\r\n\r", "x"),
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

/* How many bytes of `filler` may come after `start`, which comes whole, until the body is refused; none of
 * them ends anything. */
static size_t allowed(struct http_body b, const char *start, const char *filler, size_t most)
{
    size_t n = strlen(start), used, step = strlen(filler);
    char *data = malloc(n + most + step);
    struct slice content;

    assert_non_null(data);
    memcpy(data, start, n);
    for (size_t at = 0; n < most; n += step) {
        memcpy(data + n, filler, step);
        enum parse p = http_body_next(&b, data + at, n + step - at, &used, &content);
        if (p == PARSE_BAD)
            break;
        assert_int_equal(p, PARSE_NEED_MORE);
        at += used;
    }
    free(data);
    return n - strlen(start);
}

static struct http_body body_of_request(void)
{
    struct http_head h;
    struct http_body b;

    head_request(&h, "POST http://h/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(http_body_of_request(&b, &h), PARSE_OK);
    return b;
}

static void test_limits_of_framing(void **state)
{
    enum { KIB = 1024, SLACK = 64 };
    const struct http_body response = stream_of(chunked, false).fresh, request = body_of_request();

    assert_in_range(allowed(request, "1;", "x", 30 * KIB), 4 * KIB - SLACK, 4 * KIB);
    assert_in_range(allowed(response, "1;", "x", 30 * KIB), 16 * KIB - SLACK, 16 * KIB);
    assert_in_range(allowed(request, "", "0", 30 * KIB), 4 * KIB - SLACK, 4 * KIB);
    assert_in_range(allowed(response, "", "0", 30 * KIB), 4 * KIB - SLACK, 4 * KIB);
    assert_in_range(allowed(response, "", " ", 30 * KIB), 4 * KIB - SLACK, 4 * KIB);
    assert_in_range(allowed(response, "1\r\nx", "\r", 30 * KIB), 4 * KIB - SLACK, 4 * KIB);
    for (int i = 0; i < 2; i++) {
        assert_in_range(allowed(i ? request : response, "0\r\nA: ", "x", 64 * KIB), 16 * KIB - SLACK,
                        16 * KIB);
        assert_in_range(allowed(i ? request : response, "0\r\n", "A: b\r\n", 64 * KIB), 16 * KIB - SLACK,
                        16 * KIB);
    }
    assert_in_range(allowed(response, "0\r\n stray\r\n", "A-long-name-and-its-value: b\n", 64 * KIB), 3 * KIB,
                    16 * KIB);
    /* Each chunk starts anew: any number of short lines is well. */
    assert_in_range(allowed(response, "", "1;a=b\r\nx\r\n", 64 * KIB), 64 * KIB, 64 * KIB + SLACK);
    (void)state;
}

/* Where two readers could see two chunks, no client's body goes on; what goes on has bare sizes. */
static void test_chunks_of_requests(void **state)
{
    static const struct exact_bad bad[] = {
        BAD_AT("1", " \r\nx"),
        BAD_AT("1", "\t\r\nx"),
        BAD_AT("1", " ;a\r\nx"),
        BAD_AT("", " 1\r\nx"),
        BAD_AT("", "+1\r\nx"),
        BAD_AT("0", "x1\r\nx"),
        BAD_AT("1", "\nx"),
        BAD_AT("1", "x\r\nx"),
        BAD_AT("1", "_0\r\nx"),
        BAD_AT("1\r", "x"),
        BAD_AT("1\r", "\r\nx"),
        BAD_AT("1;a", "\nx"),
        BAD_AT("1;\"a", "\nx"),
        BAD_AT("1;\r", "a\r\nx"),
        BAD_AT("1; ", "\r\nx"),
        BAD_AT("1;a ", "\r\nx"),
        BAD_AT("1;a", "\0\r\nx"),
        BAD_AT("1;a", "\x7f\r\nx"),
        BAD_AT("0;a=b\t", "\r\n"),
        /* behind the data */
        BAD_AT("1\r\nx", "\n0\r\n\r\n"),
        BAD_AT("1\r\nx\r", "\r\n0\r\n\r\n"),
        /* the end */
        BAD_AT("0", "\n\r\n"),
        BAD_AT("0\r\n", "\n"),
        BAD_AT("0\r\n\r", "x"),
        BAD_AT("0\r\nA: b", "\n\r\n"),
        BAD_AT("0\r\nA: b\r", "x\r\n\r\n"),
        BAD_AT("0\r\n", " A: b\r\n\r\n"),
        BAD_AT("0\r\n", ": b\r\n\r\n"),
        BAD_AT("0\r\nA", " : b\r\n\r\n"),
        BAD_AT("0\r\nA", "\r\n\r\n"),
        BAD_AT("0\r\nA: b\r\n", " c\r\n\r\n"),
        BAD_AT("0\r\nA: ", "\0\r\n\r\n"),
        BAD_AT("0\r\nA: ", "\x7f\r\n\r\n"),
        /* fields that a head should have: some receivers merge trailers into it */
        BAD_AT("0\r\nContent-Length", ": 5\r\n\r\n"),
        BAD_AT("0\r\ntransfer-encoding", ": chunked\r\n\r\n"),
        BAD_AT("0\r\nA: b\r\nHost", ": x\r\n\r\n"),
        BAD_AT("0\r\nConnection", ": close\r\n\r\n"),
        BAD_AT("0\r\nProxy-Authorization", ": x\r\n\r\n"),
    };
    static const char *const good[][2] = {
        {OK_END, OK_END},
        {"0002\r\nok\r\n000\r\n\r\n", OK_END},
        {"2;a=b\r\nok\r\n0;c\r\n\r\n", OK_END},
        {"2; a = \"b c\"\r\nok\r\n0\r\n\r\n", OK_END},
        {OK_0 "A: b\r\nContent-Lengthy:\r\n\r\n", OK_0 "A: b\r\nContent-Lengthy:\r\n\r\n"},
    };
    struct body_stream s = {.stream = {.restart = restart, .feed = feed}, .fresh = body_of_request()};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        exact_stream_refuses(&s.stream, bad[i].good, bad[i].wrong);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(exact_stream(&s.stream, good[i][0], strlen(good[i][0])), PARSE_OK);
        if (!slice_eq(slice_of(s.stream.content, s.stream.content_len), slice_str(good[i][1])))
            fail_msg("passed on: \"%s\"", exact_show(s.stream.content, s.stream.content_len));
    }
}

/* Out of room, it is told; nothing is taken for passed on. */
static void test_no_room(void **state)
{
    static const char data[] = "2;a\r\nok\r\n0\r\n\r\n";

    (void)state;
    for (size_t max = 0; max < strlen(OK_END); max++) {
        struct http_body b = stream_of(chunked, false).fresh;
        struct buf out;
        size_t used;
        int err = 0;
        buf_init(&out, max);
        (void)!http_body_mend(&b, data, strlen(data), &used, &out, &err);
        assert_int_equal(err, -ENOBUFS);
        buf_done(&out);
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
        cmocka_unit_test(test_chunks_of_requests),
        cmocka_unit_test(test_limits_of_framing),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
