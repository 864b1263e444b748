#include "proto/target.h"

#include "exact.h"

#include <arpa/inet.h>

/* Every input goes through an exact-size copy. */
static enum parse set(struct target *t, const char *host, size_t len, uint16_t port)
{
    struct exact copy = exact_copy(host, len);
    enum parse p = target_set(t, slice_of(copy.data, len), port);
    free(copy.block);
    return p;
}

static enum parse parse(struct target *t, const char *authority, size_t len, uint16_t default_port)
{
    struct exact copy = exact_copy(authority, len);
    enum parse p = target_parse(t, slice_of(copy.data, len), default_port);
    free(copy.block);
    return p;
}

static void assert_target(const struct target *t, enum target_kind kind, const char *host, uint16_t port)
{
    uint8_t ip[16];

    assert_string_equal(t->host, host);
    assert_int_equal(t->kind, kind);
    assert_int_equal(t->port, port);
    if (kind == TARGET_NAME)
        return;
    assert_int_equal(inet_pton(kind == TARGET_IPV4 ? AF_INET : AF_INET6, host, ip), 1);
    assert_memory_equal(t->ip, ip, kind == TARGET_IPV4 ? 4 : 16);
}

static void test_hosts(void **state)
{
    static const struct {
        const char *host;
        enum target_kind kind;
        const char *expected;
    } table[] = {
        {"example.com", TARGET_NAME, "example.com"},
        {"a", TARGET_NAME, "a"},
        {"EXAMPLE.Com", TARGET_NAME, "example.com"},
        {"AZ-az_09.x", TARGET_NAME, "az-az_09.x"},
        {"example.com.", TARGET_NAME, "example.com"},
        {"a.", TARGET_NAME, "a"},
        {"_dmarc.example.org", TARGET_NAME, "_dmarc.example.org"},
        {"1.2.3.4.example", TARGET_NAME, "1.2.3.4.example"},
        {"123.x", TARGET_NAME, "123.x"},
        {"1a", TARGET_NAME, "1a"},
        {"xn--bcher-kva.example", TARGET_NAME, "xn--bcher-kva.example"},
        {"cafe", TARGET_NAME, "cafe"},
        /* nearly a number */
        {"0xg", TARGET_NAME, "0xg"},
        {"h.0x1g", TARGET_NAME, "h.0x1g"},
        {"0y1f", TARGET_NAME, "0y1f"},
        {"1x1f", TARGET_NAME, "1x1f"},
        {"0xab.h", TARGET_NAME, "0xab.h"},
        {"192.0.2.1", TARGET_IPV4, "192.0.2.1"},
        {"0.0.0.0", TARGET_IPV4, "0.0.0.0"},
        {"255.255.255.255", TARGET_IPV4, "255.255.255.255"},
        {"::1", TARGET_IPV6, "::1"},
        {"::", TARGET_IPV6, "::"},
        {"[::1]", TARGET_IPV6, "::1"},
        {"2001:DB8::A", TARGET_IPV6, "2001:db8::a"},
        {"[2001:db8:1:2:3:4:5:6]", TARGET_IPV6, "2001:db8:1:2:3:4:5:6"},
        {"::ffff:192.0.2.9", TARGET_IPV4, "192.0.2.9"},
        {"[::FFFF:c000:209]", TARGET_IPV4, "192.0.2.9"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct target t;
        if (set(&t, table[i].host, strlen(table[i].host), 443) != PARSE_OK)
            fail_msg("refused: %s", table[i].host);
        assert_target(&t, table[i].kind, table[i].expected, 443);
    }
    (void)state;
}

static void test_bad_hosts(void **state)
{
    static const struct slice table[] = {
        {BYTES("")},
        {BYTES(".")},
        {BYTES("..")},
        {BYTES(".a")},
        {BYTES("a..")},
        {BYTES("a..b")},
        /* Resolvers differ on whether these are addresses or names. */
        {BYTES("1")},
        {BYTES("127.1")},
        {BYTES("1.2.3")},
        {BYTES("1.2.3.4.5")},
        {BYTES("1.2.3.256")},
        {BYTES("1.2.3.04")},
        {BYTES("01.2.3.4")},
        {BYTES("1.2.3.0004")},
        {BYTES("0x7f.1")},
        {BYTES("2130706433")},
        {BYTES("0x7f000001")},
        {BYTES("h.0XAF")},
        {BYTES("0x")},
        {BYTES("1.2.3.0x4.")},
        {BYTES("example.123")},
        {BYTES("example.123.")},
        {BYTES("1.2.3.4.")},
        {BYTES("1..2.3")},
        {BYTES("-1.2.3.4")},
        {BYTES("1.2.3.999999999999999999999")},
        /* bytes that no name holds */
        {BYTES("a b")},
        {BYTES(" a")},
        {BYTES("a ")},
        {BYTES("a\tb")},
        {BYTES("a\0")},
        {BYTES("a\0b")},
        {BYTES("\0")},
        {BYTES("a/b")},
        {BYTES("a@b")},
        {BYTES("a%41")},
        {BYTES("a*")},
        {BYTES("a,b")},
        {BYTES("a\x7f")},
        {BYTES("a\x80")},
        {BYTES("\xc3\xbc.example")},
        {BYTES("a\r\n")},
        {BYTES("a:1")},
        {BYTES("a\\b")},
        {BYTES("a'b")},
        {BYTES("a\"b")},
        {BYTES("a?b")},
        {BYTES("a#b")},
        {BYTES("(a)")},
        {BYTES("1.2.3.4 ")},
        {BYTES("1.2.3.4\0")},
        {BYTES("1.2.3.4x ")},
        /* single brackets, and brackets around something other than an IPv6 address */
        {BYTES("[")},
        {BYTES("]")},
        {BYTES("[]")},
        {BYTES("[::1")},
        {BYTES("::1]")},
        {BYTES("[[::1]]")},
        {BYTES("[1.2.3.4]")},
        {BYTES("[a]")},
        {BYTES("[::1]x")},
        {BYTES("[::1] ")},
        {BYTES("[v1.x]")},
        {BYTES(":")},
        {BYTES(":::")},
        {BYTES("1:2")},
        {BYTES("::1::")},
        {BYTES("12345::")},
        {BYTES("::g")},
        {BYTES("1:2:3:4:5:6:7:8:9")},
        {BYTES("::1.2.3")},
        {BYTES("0000:0000:0000:0000:0000:0000:255.255.255.2550")}, /* one byte over the longest text */
        {BYTES("[0000:0000:0000:0000:0000:0000:255.255.255.2550]")},
        {BYTES("::1\0")},
        {BYTES("fe80::1%eth0")},
        {BYTES("[fe80::1%25eth0]")},
        {BYTES("::ffff:1.2.3.256")},
        {BYTES("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000")},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct target t;
        if (set(&t, table[i].data, table[i].len, 443) != PARSE_BAD)
            fail_msg("accepted: \"%s\" as %s", exact_show(table[i].data, table[i].len), t.host);
    }
    (void)state;
}

static bool may_begin(const char *text, size_t len)
{
    struct exact copy = exact_copy(text, len);
    bool may = target_may_begin(slice_of(copy.data, len));
    free(copy.block);
    return may;
}

static void test_beginnings(void **state)
{
    static const char *const good[] = {
        "Example-1.com.", "192.0.2.1",   "1.2",         "a_b",       "2001:db8::1",   "::ffff:1.2.3.4",
        "[2001:DB8::1]",  "dead:beef::", "example.123", "AZ.az-09_", "[ABCD:EF::AF]", "ABCD::F"};
    /* a valid beginning, and the byte that makes it invalid */
    static const char *const bad[][2] = {{"", "."},     {"a.", "."},    {"a", " "},  {"a", "/"},
                                         {"a", "\x80"}, {"", "]"},      {"::", "g"}, {"[", "x"},
                                         {"[::1", "%"}, {"1.2.3", "]"}, {"", "@"},   {"abcde", ":"},
                                         {"abcg", ":"}, {"[abcd", "e"}, {"[", "."},  {"::", "["},
                                         {"::", "]"},   {"[::]", "x"},  {"a", "\n"}};
    char text[300];

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        for (size_t n = 0; n <= strlen(good[i]); n++)
            if (!may_begin(good[i], n))
                fail_msg("no beginning: \"%s\"", exact_show(good[i], n));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int n = snprintf(text, sizeof text, "%s%s", bad[i][0], bad[i][1]);
        assert_true(may_begin(text, strlen(bad[i][0])));
        if (may_begin(text, (size_t)n))
            fail_msg("a beginning: \"%s\"", exact_show(text, (size_t)n));
    }
    assert_false(may_begin("a\0", 2));
    assert_false(may_begin(":\0", 2));
    memset(text, ':', sizeof text);
    assert_true(may_begin(text, 45));
    assert_false(may_begin(text, 46));
    text[0] = '[';
    text[47] = ']';
    assert_true(may_begin(text, 46));
    assert_false(may_begin(text, 47));
    assert_false(may_begin(text, 48));
    (void)state;
}

/* Every byte by itself in the middle of a name: only those of the docstring pass. */
static void test_bytes_of_a_name(void **state)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    for (int c = 0; c < 256; c++) {
        struct target t;
        char host[] = "a?b";
        host[1] = (char)c;
        enum parse expected = c != 0 && strchr(good, c) ? PARSE_OK : PARSE_BAD;
        if (set(&t, host, 3, 1) != expected)
            fail_msg("byte %d is not %s", c, exact_verdict(expected));
    }
    (void)state;
}

static void test_length_of_labels_and_names(void **state)
{
    struct target t;
    char host[300];

    memset(host, 'a', sizeof host);
    assert_int_equal(set(&t, host, 63, 80), PARSE_OK);
    assert_int_equal(strlen(t.host), 63);
    assert_int_equal(set(&t, host, 64, 80), PARSE_BAD);
    host[64] = '.';
    assert_int_equal(set(&t, host, 66, 80), PARSE_BAD);
    host[64] = 'a';
    host[63] = '.';
    assert_int_equal(set(&t, host, 64, 80), PARSE_OK);
    assert_int_equal(strlen(t.host), 63);
    assert_int_equal(set(&t, host, 64 + 63, 80), PARSE_OK);
    assert_int_equal(set(&t, host, 64 + 64, 80), PARSE_BAD);

    host[127] = host[191] = '.';
    assert_int_equal(set(&t, host, 253, 80), PARSE_OK);
    assert_int_equal(strlen(t.host), 253);
    assert_memory_equal(t.host, host, 253);
    assert_int_equal(set(&t, host, 254, 80), PARSE_BAD);
    assert_int_equal(set(&t, host, 255, 80), PARSE_BAD);
    host[253] = '.'; /* the dot of the root does not count */
    assert_int_equal(set(&t, host, 254, 80), PARSE_OK);
    assert_int_equal(strlen(t.host), 253);
    host[254] = '.';
    assert_int_equal(set(&t, host, 255, 80), PARSE_BAD);
    assert_int_equal(set(&t, host, sizeof host, 80), PARSE_BAD);
    (void)state;
}

static void test_ports(void **state)
{
    struct target t;

    assert_int_equal(set(&t, BYTES("h"), 0), PARSE_BAD);
    assert_int_equal(set(&t, BYTES("::1"), 0), PARSE_BAD);
    assert_int_equal(set(&t, BYTES("h"), 1), PARSE_OK);
    assert_int_equal(t.port, 1);
    assert_int_equal(set(&t, BYTES("h"), 65535), PARSE_OK);
    assert_int_equal(t.port, 65535);
    (void)state;
}

static void test_raw_addresses(void **state)
{
    static const uint8_t v4[4] = {192, 0, 2, 7}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0xab},
                         mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1}, zeros[17];
    struct target t;

    assert_int_equal(target_set_ip(&t, v4, 4, 443), PARSE_OK);
    assert_target(&t, TARGET_IPV4, "192.0.2.7", 443);
    assert_int_equal(target_set_ip(&t, v6, 16, 65535), PARSE_OK);
    assert_target(&t, TARGET_IPV6, "2001:db8::ab", 65535);
    assert_int_equal(target_set_ip(&t, mapped, 16, 1), PARSE_OK);
    assert_target(&t, TARGET_IPV4, "10.0.0.1", 1);

    assert_int_equal(target_set_ip(&t, v4, 4, 0), PARSE_BAD);
    assert_int_equal(target_set_ip(&t, v6, 16, 0), PARSE_BAD);
    for (size_t len = 0; len <= sizeof zeros; len++)
        if (len != 4 && len != 16)
            assert_int_equal(target_set_ip(&t, zeros, len, 80), PARSE_BAD);
    (void)state;
}

static void test_authorities(void **state)
{
    static const struct {
        const char *authority;
        uint16_t default_port;
        enum target_kind kind;
        const char *host;
        uint16_t port;
    } table[] = {
        {"example.com:443", 0, TARGET_NAME, "example.com", 443},
        {"example.com:443", 80, TARGET_NAME, "example.com", 443},
        {"Example.COM.:8080", 80, TARGET_NAME, "example.com", 8080},
        {"example.com", 80, TARGET_NAME, "example.com", 80},
        {"example.com:", 80, TARGET_NAME, "example.com", 80}, /* port = *DIGIT */
        {"h:1", 0, TARGET_NAME, "h", 1},
        {"h:65535", 0, TARGET_NAME, "h", 65535},
        {"h:080", 0, TARGET_NAME, "h", 80},
        {"192.0.2.1:53", 0, TARGET_IPV4, "192.0.2.1", 53},
        {"192.0.2.1", 80, TARGET_IPV4, "192.0.2.1", 80},
        {"[2001:DB8::1]:443", 0, TARGET_IPV6, "2001:db8::1", 443},
        {"[::1]", 80, TARGET_IPV6, "::1", 80},
        {"[::1]:", 80, TARGET_IPV6, "::1", 80},
        {"[::ffff:10.0.0.1]:80", 0, TARGET_IPV4, "10.0.0.1", 80},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct target t;
        const char *a = table[i].authority;
        if (parse(&t, a, strlen(a), table[i].default_port) != PARSE_OK)
            fail_msg("refused: %s", a);
        assert_target(&t, table[i].kind, table[i].host, table[i].port);
    }
    (void)state;
}

static void test_bad_authorities(void **state)
{
    static const struct slice table[] = {
        {BYTES("")},
        {BYTES(":")},
        {BYTES(":80")},
        {BYTES(".:80")},
        {BYTES("h:0")},
        {BYTES("h:00")},
        {BYTES("h:65536")},
        {BYTES("h:65616")},
        {BYTES("h:99999")},
        {BYTES("h:100000")},
        /* 80 after a wrap at 32 and at 64 bits */
        {BYTES("h:4294967376")},
        {BYTES("h:18446744073709551696")},
        {BYTES("h:-1")},
        {BYTES("h:+80")},
        {BYTES("h: 80")},
        {BYTES("h:80 ")},
        {BYTES("h:8 0")},
        {BYTES("h:80a")},
        {BYTES("h:0x50")},
        {BYTES("h:http")},
        {BYTES("h:80:80")},
        {BYTES("h::80")},
        {BYTES("h:80\0")},
        {BYTES("h\0:80")},
        {BYTES("h :80")},
        {BYTES(" h:80")},
        {BYTES("h:80/")},
        {BYTES("h:80,")},
        {BYTES("u@h:80")},
        {BYTES("u:p@h:80")},
        {BYTES("h/x:80")},
        {BYTES("http://h:80")},
        {BYTES("1.2.3:80")},
        /* an IPv6 address needs brackets, or its port is ambiguous */
        {BYTES("::1")},
        {BYTES("::1:80")},
        {BYTES("2001:db8::1:443")},
        {BYTES("[::1")},
        {BYTES("[::1:80")},
        {BYTES("::1]:80")},
        {BYTES("[::1]80")},
        {BYTES("[::1]]:80")},
        {BYTES("[::1] :80")},
        {BYTES("[]:80")},
        {BYTES("[h]:80")},
        {BYTES("[1.2.3.4]:80")},
        {BYTES("[::1]:0")},
        {BYTES("[::1]:65536")},
        {BYTES("x[::1]:80")},
        {BYTES("[::1]x:80")},
    };
    struct target t;

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        for (uint16_t default_port = 0; default_port <= 80; default_port = (uint16_t)(default_port + 80))
            if (parse(&t, table[i].data, table[i].len, default_port) != PARSE_BAD)
                fail_msg("accepted: \"%s\" as %s", exact_show(table[i].data, table[i].len), t.host);
    assert_int_equal(parse(&t, BYTES("h"), 0), PARSE_BAD);
    assert_int_equal(parse(&t, BYTES("h:"), 0), PARSE_BAD);
    assert_int_equal(parse(&t, BYTES("[::1]"), 0), PARSE_BAD);
    assert_int_equal(parse(&t, BYTES("[::1]:"), 0), PARSE_BAD);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_bad_hosts),
        cmocka_unit_test(test_beginnings),
        cmocka_unit_test(test_bytes_of_a_name),
        cmocka_unit_test(test_length_of_labels_and_names),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_raw_addresses),
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_bad_authorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
