#include "proto/socks4.h"

#include "exact.h"
#include "target_text.h"

static enum parse parse(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    struct socks4_request *r = ret;
    enum parse p = socks4_parse(r, data, len);
    if (p == PARSE_OK)
        *ret_consumed = r->consumed;
    return p;
}

/* Start of a CONNECT to port 80 of an address, and of a named one. */
#define TO_ADDRESS "\x04\x01\x00\x50\xc0\x00\x02\x01"
#define TO_NAME "\x04\x01\x00\x50\x00\x00\x00\x01"

/* "command kind host port user", and "named" where the client sent a name. */
static const char *describe(const struct socks4_request *r)
{
    static char text[1024];

    (void)snprintf(text, sizeof text, "%d %s %.*s%s", r->command, target_text(&r->target), (int)r->user.len,
                   r->user.data, r->named ? " named" : "");
    return text;
}

static void test_requests(void **state)
{
    static const struct {
        struct slice request;
        const char *expected;
    } table[] = {
        {{BYTES(TO_ADDRESS "\0")}, "1 v4 192.0.2.1 80 "},
        {{BYTES(TO_ADDRESS "fred\0")}, "1 v4 192.0.2.1 80 fred"},
        {{BYTES(TO_ADDRESS " \x01\xff:\r\n\0")}, "1 v4 192.0.2.1 80  \x01\xff:\r\n"},
        {{BYTES("\x04\x01\xff\xff\xff\xff\xff\xff\0")}, "1 v4 255.255.255.255 65535 "},
        {{BYTES("\x04\x01\x01\x00\x7f\x00\x00\x01u\0")}, "1 v4 127.0.0.1 256 u"},
        /* Only 0.0.0.x means a name. */
        {{BYTES("\x04\x01\x00\x50\x00\x00\x01\x01\0")}, "1 v4 0.0.1.1 80 "},
        {{BYTES("\x04\x01\x00\x50\x00\x00\x01\x00\0")}, "1 v4 0.0.1.0 80 "},
        {{BYTES("\x04\x01\x00\x50\x00\x01\x00\x00\0")}, "1 v4 0.1.0.0 80 "},
        {{BYTES("\x04\x01\x00\x50\x01\x00\x00\x00\0")}, "1 v4 1.0.0.0 80 "},
        {{BYTES(TO_NAME "\0example.com\0")}, "1 name example.com 80  named"},
        {{BYTES(TO_NAME "fred\0Example.COM.\0")}, "1 name example.com 80 fred named"},
        {{BYTES("\x04\x01\x01\xbb\x00\x00\x00\xff\0a\0")}, "1 name a 443  named"},
        {{BYTES(TO_NAME "\0\x31\x39\x32.0.2.9\0")}, "1 v4 192.0.2.9 80  named"},
        {{BYTES(TO_NAME "u\0[2001:DB8::1]\0")}, "1 v6 2001:db8::1 80 u named"},
        {{BYTES("\x04\x02\x00\x15\xc0\x00\x02\x01u\0")}, "2 v4 192.0.2.1 21 u"},
        {{BYTES("\x04\x02\x00\x00\xc0\x00\x02\x01\0")}, "2 v4 192.0.2.1 0 "},
        {{BYTES("\x04\x02\x00\x15\x00\x00\x00\x00u\0")}, "2 v4 0.0.0.0 21 u"},
        {{BYTES("\x04\x02\x00\x15\x00\x00\x00\x07\0h.example\0")}, "2 name h.example 21  named"},
        {{BYTES("\x04\x02\x00\x00\x00\x00\x00\x07\0h.example\0")}, "2 name h.example 0  named"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct socks4_request r;
        exact_accepts(parse, &r, table[i].request.data, table[i].request.len);
        assert_string_equal(describe(&r), table[i].expected);
        assert_ptr_equal(r.user.data, table[i].request.data + 8);
        if (!r.named)
            assert_memory_equal(r.target.ip, table[i].request.data + 4, 4);
    }
    (void)state;
}

static void test_bad_requests(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", "\x05\x01\x00\x50\xc0\x00\x02\x01\x00"),
        BAD_AT("", "\x00\x01"),
        BAD_AT("", "GET / HTTP/1.1\r\n"),
        BAD_AT("\x04", "\x00\x00\x50\xc0\x00\x02\x01\x00"),
        BAD_AT("\x04", "\x03\x00\x50\xc0\x00\x02\x01\x00"),
        BAD_AT("\x04", "\xff"),
        BAD_AT("\x04\x01\x00", "\x00\xc0\x00\x02\x01\x00"),
        BAD_AT("\x04\x01\x00\x50\x00\x00\x00", "\x00\x00"),
        /* names */
        BAD_AT(TO_NAME "\0", "\0"),
        BAD_AT(TO_NAME "fred\0", "\0"),
        BAD_AT(TO_NAME "\0", ".a\0"),
        BAD_AT(TO_NAME "\0a.", ".b\0"),
        BAD_AT(TO_NAME "\0a", " b\0"),
        BAD_AT(TO_NAME "\0", "\x01\0"),
        BAD_AT(TO_NAME "\0h", "/\0"),
        BAD_AT(TO_NAME "\0h", "@h\0"),
        BAD_AT(TO_NAME "\0::", "g\0"),
        BAD_AT(TO_NAME "\0h", "\x80\0"),
        BAD_AT(TO_NAME "\0h", "\r\n\0"),
        BAD_AT(TO_NAME "\0"
                       "1.2.3",
               "\0"),
        BAD_AT(TO_NAME "\0"
                       "127.1",
               "\0"),
    };
    struct socks4_request r;

    exact_refuses_all(parse, &r, table, ARRAY_LEN(table));
    (void)state;
}

/* A long user ID, then a long name; both must be refused as soon as they cannot be valid. */
static void test_longest_user(void **state)
{
    char data[8 + 300] = TO_ADDRESS;
    struct socks4_request r;

    memset(data + 8, 'u', sizeof data - 8);
    exact_refuses(parse, &r, slice_of(data, 8 + SOCKS4_USER_MAX), slice_of(data + 8 + SOCKS4_USER_MAX, 20));
    data[8 + SOCKS4_USER_MAX] = '\0';
    exact_accepts(parse, &r, data, 8 + SOCKS4_USER_MAX + 1);
    assert_int_equal(r.user.len, SOCKS4_USER_MAX);
    assert_ptr_equal(r.user.data, data + 8);
    (void)state;
}

static void test_longest_name(void **state)
{
    char data[9 + 300] = TO_NAME;
    char *name = data + 9;
    struct socks4_request r;

    memset(name, 'n', 300);
    /* a label of 64 bytes */
    exact_refuses(parse, &r, slice_of(data, 9 + 63), slice_of(name + 63, 20));
    name[63] = name[127] = name[191] = '.';
    /* 253 bytes can still get the dot of the root, nothing else */
    exact_refuses(parse, &r, slice_of(data, 9 + 253), slice_of(name + 253, 20));
    name[253] = '\0';
    exact_accepts(parse, &r, data, 9 + 254);
    assert_int_equal(strlen(r.target.host), 253);
    name[253] = '.';
    name[254] = '\0';
    exact_accepts(parse, &r, data, 9 + 255);
    assert_int_equal(strlen(r.target.host), 253);
    name[254] = 'n';
    exact_refuses(parse, &r, slice_of(data, 9 + 254), slice_of(name + 254, 20));
    (void)state;
}

static void test_replies(void **state)
{
    static const uint8_t ip[4] = {192, 0, 2, 1};
    char out[SOCKS4_REPLY_LEN + 1];

    memset(out, 0x55, sizeof out);
    socks4_reply(out, SOCKS4_GRANTED, ip, 0x1234);
    assert_memory_equal(out, "\x00\x5a\x12\x34\xc0\x00\x02\x01\x55", sizeof out);
    memset(out, 0x55, sizeof out);
    socks4_reply(out, SOCKS4_REJECTED, NULL, 0);
    assert_memory_equal(out, "\x00\x5b\x00\x00\x00\x00\x00\x00\x55", sizeof out);
    socks4_reply(out, SOCKS4_BAD_USER, NULL, 65535);
    assert_memory_equal(out, "\x00\x5d\xff\xff\x00\x00\x00\x00\x55", sizeof out);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),     cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_longest_user), cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
