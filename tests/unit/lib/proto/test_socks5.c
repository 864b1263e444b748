#include "proto/socks5.h"

#include "exact.h"
#include "target_text.h"

static enum parse parse_greeting(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    struct socks5_greeting *g = ret;
    enum parse p = socks5_parse_greeting(g, data, len);
    if (p == PARSE_OK)
        *ret_consumed = g->consumed;
    return p;
}

static enum parse parse_auth(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    struct socks5_auth *a = ret;
    enum parse p = socks5_parse_auth(a, data, len);
    if (p == PARSE_OK)
        *ret_consumed = a->consumed;
    return p;
}

static enum parse parse_request(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    struct socks5_request *r = ret;
    enum parse p = socks5_parse_request(r, data, len);
    if (p == PARSE_OK)
        *ret_consumed = r->consumed;
    return p;
}

/* --- greeting ------------------------------------------------------------------------------------------- */

static void test_greetings(void **state)
{
    static const struct {
        struct slice greeting;
        bool no_auth, user_pass;
    } table[] = {
        {{BYTES("\x05\x01\x00")}, true, false},
        {{BYTES("\x05\x01\x02")}, false, true},
        {{BYTES("\x05\x02\x00\x02")}, true, true},
        {{BYTES("\x05\x02\x02\x00")}, true, true},
        {{BYTES("\x05\x03\x00\x01\x02")}, true, true},
        {{BYTES("\x05\x01\x01")}, false, false}, /* GSSAPI only */
        {{BYTES("\x05\x02\x80\xff")}, false, false},
        {{BYTES("\x05\x03\x00\x00\x00")}, true, false},
    };
    struct socks5_greeting g;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        exact_accepts(parse_greeting, &g, table[i].greeting.data, table[i].greeting.len);
        assert_int_equal(g.no_auth, table[i].no_auth);
        assert_int_equal(g.user_pass, table[i].user_pass);
    }
    (void)state;
}

static void test_longest_greeting(void **state)
{
    char data[2 + 255] = "\x05\xff";
    struct socks5_greeting g;

    memset(data + 2, 0x7e, 255);
    data[2 + 254] = 2;
    exact_accepts(parse_greeting, &g, data, sizeof data);
    assert_false(g.no_auth);
    assert_true(g.user_pass);
    (void)state;
}

static void test_bad_greetings(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", "\x04\x01\x00"), BAD_AT("", "\x00"),        BAD_AT("", "\x06\x01\x00"),
        BAD_AT("", "\xff"),         BAD_AT("", "CONNECT h:1"), BAD_AT("\x05", "\x00\x00"),
    };
    struct socks5_greeting g;

    exact_refuses_all(parse_greeting, &g, table, ARRAY_LEN(table));
    (void)state;
}

/* --- name and password ---------------------------------------------------------------------------------- */

static void test_auths(void **state)
{
    static const struct {
        struct slice auth, user, pass;
    } table[] = {
        {{BYTES("\x01\x01u\x01p")}, {BYTES("u")}, {BYTES("p")}},
        {{BYTES("\x01\x04"
                "fred\x06"
                "secret")},
         {BYTES("fred")},
         {BYTES("secret")}},
        {{BYTES("\x01\x04"
                "fred\x00")},
         {BYTES("fred")},
         {BYTES("")}},
        {{BYTES("\x01\x00\x00")}, {BYTES("")}, {BYTES("")}},
        {{BYTES("\x01\x00\x01p")}, {BYTES("")}, {BYTES("p")}},
        {{BYTES("\x01\x03\x00\xff:\x02\x00\n")}, {BYTES("\x00\xff:")}, {BYTES("\x00\n")}},
    };
    struct socks5_auth a;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        exact_accepts(parse_auth, &a, table[i].auth.data, table[i].auth.len);
        assert_true(slice_eq(a.user, table[i].user));
        assert_true(slice_eq(a.pass, table[i].pass));
        assert_ptr_equal(a.user.data, table[i].auth.data + 2);
    }
    (void)state;
}

static void test_longest_auth(void **state)
{
    char data[3 + 255 + 255] = "\x01\xff";
    struct socks5_auth a;

    memset(data + 2, 'u', 255);
    data[2 + 255] = '\xff';
    memset(data + 3 + 255, 'p', 255);
    exact_accepts(parse_auth, &a, data, sizeof data);
    assert_int_equal(a.user.len, 255);
    assert_ptr_equal(a.user.data, data + 2);
    assert_int_equal(a.pass.len, 255);
    assert_ptr_equal(a.pass.data, data + 3 + 255);
    (void)state;
}

static void test_bad_auths(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", "\x05\x01u\x01p"),
        BAD_AT("", "\x00\x01u\x01p"),
        BAD_AT("", "\x02"),
    };
    struct socks5_auth a;

    exact_refuses_all(parse_auth, &a, table, ARRAY_LEN(table));
    (void)state;
}

/* --- request -------------------------------------------------------------------------------------------- */

#define V4 "\x01\xc0\x00\x02\x01"
#define V6 "\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\xab"
#define MAPPED "\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"
#define PORT_443 "\x01\xbb"

/* "command kind host port", and "named" where the client sent a name. */
static const char *describe(const struct socks5_request *r)
{
    static char text[512];

    (void)snprintf(text, sizeof text, "%d %s%s", r->command, target_text(&r->target),
                   r->named ? " named" : "");
    return text;
}

static void test_requests(void **state)
{
    static const struct {
        struct slice request;
        const char *expected;
    } table[] = {
        {{BYTES("\x05\x01\x00" V4 PORT_443)}, "1 v4 192.0.2.1 443"},
        {{BYTES("\x05\x01\xff" V4 PORT_443)}, "1 v4 192.0.2.1 443"},
        {{BYTES("\x05\x01\x00" V4 "\xff\xff")}, "1 v4 192.0.2.1 65535"},
        {{BYTES("\x05\x01\x00" V4 "\x01\x00")}, "1 v4 192.0.2.1 256"},
        {{BYTES("\x05\x01\x00" V6 PORT_443)}, "1 v6 2001:db8::ab 443"},
        {{BYTES("\x05\x01\x00" MAPPED PORT_443)}, "1 v4 192.0.2.1 443"},
        {{BYTES("\x05\x01\x00\x03\x01h\x00\x50")}, "1 name h 80 named"},
        {{BYTES("\x05\x01\x00\x03\x0bwww.Test.AT" PORT_443)}, "1 name www.test.at 443 named"},
        {{BYTES("\x05\x01\x00\x03\x07www.to." PORT_443)}, "1 name www.to 443 named"},
        {{BYTES("\x05\x01\x00\x03\x09\x31\x39\x32.0.2.7" PORT_443)}, "1 v4 192.0.2.7 443 named"},
        {{BYTES("\x05\x01\x00\x03\x0b\x32\x30\x30\x31:DB8::1" PORT_443)}, "1 v6 2001:db8::1 443 named"},
        {{BYTES("\x05\x02\x00" V4 PORT_443)}, "2 v4 192.0.2.1 443"},
        {{BYTES("\x05\x02\x00" V4 "\x00\x00")}, "2 v4 192.0.2.1 0"},
        {{BYTES("\x05\x02\x00\x01\0\0\0\0\x00\x00")}, "2 v4 0.0.0.0 0"},
        {{BYTES("\x05\x03\x00\x01\0\0\0\0\x00\x00")}, "3 v4 0.0.0.0 0"},
        {{BYTES("\x05\x03\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x00\x00")}, "3 v6 :: 0"},
        {{BYTES("\x05\x03\x00" V6 "\x00\x35")}, "3 v6 2001:db8::ab 53"},
        {{BYTES("\x05\x03\x00\x03\x01h\x00\x00")}, "3 name h 0 named"},
    };
    struct socks5_request r;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        exact_accepts(parse_request, &r, table[i].request.data, table[i].request.len);
        assert_int_equal(r.objection, SOCKS5_SUCCEEDED);
        assert_string_equal(describe(&r), table[i].expected);
    }
    (void)state;
}

static void test_addresses_keep_their_bytes(void **state)
{
    static const char v4[] = "\x05\x01\x00" V4 PORT_443, v6[] = "\x05\x01\x00" V6 PORT_443;
    struct socks5_request r;

    exact_accepts(parse_request, &r, BYTES(v4));
    assert_memory_equal(r.target.ip, v4 + 4, 4);
    exact_accepts(parse_request, &r, BYTES(v6));
    assert_memory_equal(r.target.ip, v6 + 4, 16);
    (void)state;
}

/* The caller answers "command not supported", so the request must be taken whole. */
static void test_any_command_is_read(void **state)
{
    for (int command = 0; command < 256; command++) {
        char data[] = "\x05?\x00" V4 PORT_443;
        struct socks5_request r;
        data[1] = (char)command;
        exact_accepts(parse_request, &r, BYTES(data));
        assert_int_equal(r.command, command);
    }
    (void)state;
}

static void test_objections(void **state)
{
    static const struct {
        struct slice request;
        enum socks5_reply_code objection;
    } table[] = {
        {{BYTES("\x05\x01\x00" V4 "\x00\x00")}, SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00" V6 "\x00\x00")}, SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x01h\x00\x00")}, SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x00" PORT_443)}, SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x03"
                "a b" PORT_443)},
         SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x03"
                "a\0b" PORT_443)},
         SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x02"
                "h\0" PORT_443)},
         SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x04"
                "a..b" PORT_443)},
         SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x02"
                ".a" PORT_443)},
         SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x05"
                "1.2.3" PORT_443)},
         SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x04"
                "h:80" PORT_443)},
         SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x03"
                "h\r\n" PORT_443)},
         SOCKS5_GENERAL_FAILURE},
        {{BYTES("\x05\x01\x00\x03\x02\xc3\xbc" PORT_443)}, SOCKS5_GENERAL_FAILURE},
    };
    struct socks5_request r;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        exact_accepts(parse_request, &r, table[i].request.data, table[i].request.len);
        if (r.objection != table[i].objection)
            fail_msg("objection %d: \"%s\"", (int)r.objection,
                     exact_show(table[i].request.data, table[i].request.len));
    }
    (void)state;
}

static void test_unknown_address_types(void **state)
{
    for (int type = 0; type < 256; type++) {
        char data[] = "\x05\x01\x00?\x01h\x00\x50 and more";
        struct socks5_request r;
        size_t consumed = 0;

        if (type == 1 || type == 3 || type == 4)
            continue;
        data[3] = (char)type;
        for (size_t n = 0; n < 4; n++)
            exact_expect(parse_request, &r, data, n, PARSE_NEED_MORE);
        for (size_t n = 4; n < sizeof data; n++) {
            assert_int_equal(exact_parse(parse_request, &r, data, n, &consumed), PARSE_OK);
            assert_int_equal(r.objection, SOCKS5_ADDRESS_UNSUPPORTED);
            assert_int_equal(r.command, SOCKS5_CONNECT);
            assert_in_range(consumed, 4, n);
        }
    }
    (void)state;
}

/* Length byte, name, port. */
static size_t named_request(char *out, size_t name_len)
{
    memcpy(out, "\x05\x01\x00\x03", 4);
    out[4] = (char)name_len;
    for (size_t i = 0; i < name_len; i++)
        out[5 + i] = i % 64 == 63 ? '.' : 'n';
    memcpy(out + 5 + name_len, PORT_443, 2);
    return 5 + name_len + 2;
}

static void test_longest_name(void **state)
{
    char data[5 + 255 + 2];
    struct socks5_request r;

    exact_accepts(parse_request, &r, data, named_request(data, 253));
    assert_int_equal(r.objection, SOCKS5_SUCCEEDED);
    assert_int_equal(strlen(r.target.host), 253);
    exact_accepts(parse_request, &r, data, named_request(data, 254));
    assert_int_equal(r.objection, SOCKS5_GENERAL_FAILURE);
    exact_accepts(parse_request, &r, data, named_request(data, 255));
    assert_int_equal(r.objection, SOCKS5_GENERAL_FAILURE);
    (void)named_request(data, 254);
    data[5 + 253] = '.';
    exact_accepts(parse_request, &r, data, 5 + 254 + 2);
    assert_int_equal(r.objection, SOCKS5_SUCCEEDED);
    assert_int_equal(strlen(r.target.host), 253);
    (void)named_request(data, 70);
    data[5 + 63] = 'n'; /* a label of 70 bytes */
    exact_accepts(parse_request, &r, data, 5 + 70 + 2);
    assert_int_equal(r.objection, SOCKS5_GENERAL_FAILURE);
    (void)state;
}

static void test_bad_requests(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", "\x04\x01\x00" V4 PORT_443),
        BAD_AT("", "\x00\x01\x00" V4 PORT_443),
        BAD_AT("", "\x01\x01\x00"),
        BAD_AT("", "\xff"),
    };
    struct socks5_request r;

    exact_refuses_all(parse_request, &r, table, ARRAY_LEN(table));
    (void)state;
}

/* --- replies -------------------------------------------------------------------------------------------- */

static void assert_reply(enum socks5_reply_code code, const char *ip, size_t ip_len, uint16_t port,
                         const char *expected, size_t expected_len)
{
    char out[SOCKS5_REPLY_MAX + 1];

    memset(out, 0x55, sizeof out);
    assert_int_equal(socks5_reply(out, code, (const uint8_t *)ip, ip_len, port), expected_len);
    assert_memory_equal(out, expected, expected_len);
    for (size_t i = expected_len; i < sizeof out; i++)
        assert_int_equal(out[i], 0x55);
}

static void test_replies(void **state)
{
    assert_reply(SOCKS5_SUCCEEDED, "\xc0\x00\x02\x01", 4, 0x1234,
                 BYTES("\x05\x00\x00\x01\xc0\x00\x02\x01\x12\x34"));
    assert_reply(SOCKS5_SUCCEEDED, &V6[1], 16, 443, BYTES("\x05\x00\x00" V6 PORT_443));
    assert_reply(SOCKS5_REFUSED, NULL, 0, 0, BYTES("\x05\x05\x00\x01\0\0\0\0\0\0"));
    assert_reply(SOCKS5_ADDRESS_UNSUPPORTED, NULL, 0, 0, BYTES("\x05\x08\x00\x01\0\0\0\0\0\0"));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greetings),
        cmocka_unit_test(test_longest_greeting),
        cmocka_unit_test(test_bad_greetings),
        cmocka_unit_test(test_auths),
        cmocka_unit_test(test_longest_auth),
        cmocka_unit_test(test_bad_auths),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_addresses_keep_their_bytes),
        cmocka_unit_test(test_any_command_is_read),
        cmocka_unit_test(test_objections),
        cmocka_unit_test(test_unknown_address_types),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
