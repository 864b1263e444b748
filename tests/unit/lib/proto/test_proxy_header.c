#include "proto/proxy_header.h"

#include "base/ip_text.h"
#include "exact.h"

static enum parse parse(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    struct proxy_header *h = ret;
    enum parse p = proxy_header_parse(h, data, len);
    if (p == PARSE_OK)
        *ret_consumed = h->consumed;
    return p;
}

struct client_case {
    struct slice header;
    const char *ip; /* "" for none */
    uint16_t port;
};

static void assert_clients(const struct client_case *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct proxy_header h;
        char ip[IP_TEXT_MAX] = "";

        memset(&h, 0x55, sizeof h);
        exact_accepts(parse, &h, table[i].header.data, table[i].header.len);
        if (h.ip_len > 0)
            (void)ip_text(h.ip, h.ip_len, ip);
        if (strcmp(ip, table[i].ip) != 0 || h.port != table[i].port)
            fail_msg("%s and %u instead of %s and %u: \"%s\"", ip, h.port, table[i].ip, table[i].port,
                     exact_show(table[i].header.data, table[i].header.len));
    }
}

/* --- version 1 ------------------------------------------------------------------------------------------ */

#define LONG_IP "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static void test_lines(void **state)
{
    static const struct client_case table[] = {
        {{BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n")}, "192.0.2.1", 56324},
        {{BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n")}, "255.255.255.255", 65535},
        {{BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n")}, "0.0.0.0", 0},
        {{BYTES("PROXY TCP6 2001:db8::1 2001:DB8::2 1 10\r\n")}, "2001:db8::1", 1},
        {{BYTES("PROXY TCP6 " LONG_IP " " LONG_IP " 65535 65535\r\n")}, LONG_IP, 65535},
        {{BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 5 6\r\n")}, "::ffff:192.0.2.1", 5},
        {{BYTES("PROXY UNKNOWN\r\n")}, "", 0},
        {{BYTES("PROXY UNKNOWN 192.0.2.1 198.51.100.7 56324 443\r\n")}, "", 0},
        {{BYTES("PROXY UNKNOWN " LONG_IP " " LONG_IP " 65535 65535\r\n")}, "", 0}, /* the longest line */
        {{BYTES("PROXY UNKNOWN \r\r \n\r\n")}, "", 0},
    };

    assert_clients(table, ARRAY_LEN(table));
    assert_int_equal(table[8].header.len, PROXY_HEADER_LINE_MAX);
    (void)state;
}

static void test_bad_lines(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("", "GET / HTTP/1.1\r\n"),
        BAD_AT("", "\x05\x01\x00"),
        BAD_AT("", "\x04\x01"),
        BAD_AT("", "\n"),
        BAD_AT("P", "OST / HTTP/1.1\r\n"),
        BAD_AT("PROXY", "\r\n"),
        BAD_AT("PROXY", "\tTCP4"),
        BAD_AT("PROXY ", " TCP4"),
        BAD_AT("PROXY ", "tcp4"),
        BAD_AT("PROXY T", "LS"),
        BAD_AT("PROXY TCP", "5 "),
        BAD_AT("PROXY TCP", " "),
        BAD_AT("PROXY TCP4", "\r\n"),
        BAD_AT("PROXY TCP6 ", " "),
        BAD_AT("PROXY TCP4 ", " 192.0.2.1"),
        BAD_AT("PROXY TCP4 ", "h"),
        BAD_AT("PROXY TCP4 192.0.2.1", "\r\n"),
        BAD_AT("PROXY TCP4 192.0.2.1", ":"),
        BAD_AT("PROXY TCP4 192.0.2.1", "\0"),
        BAD_AT("PROXY TCP4 192.0.2.256", " 192.0.2.1 1 1\r\n"),
        BAD_AT("PROXY TCP4 192.0.2", " 192.0.2.1 1 1\r\n"),
        BAD_AT("PROXY TCP4 192.0.2.01", " 192.0.2.1 1 1\r\n"),
        BAD_AT("PROXY TCP4 192.168.100.100", "0 "),
        BAD_AT("PROXY TCP4 192.0.2.1 ", "::1 1 1\r\n"),
        BAD_AT("PROXY TCP4 192.0.2.1 1.2.3.4.", " 1 1\r\n"),
        BAD_AT("PROXY TCP6 192.0.2.1", " ::1 1 1\r\n"),
        BAD_AT("PROXY TCP6 2001:db8::1::2", " ::1 1 1\r\n"),
        BAD_AT("PROXY TCP6 fe80::1", "%eth0 ::1 1 1\r\n"),
        BAD_AT("PROXY TCP6 ", "[::1] ::1 1 1\r\n"),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 ", " 1 1"),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 ", "-1"),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 0", "1 "),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 6553", "6 "),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 1", "\r\n"),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 1 ", "\r\n"),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 1 6553", "60"),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 1 1", "\n"),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 1 1", " \r\n"),
        BAD_AT("PROXY TCP4 192.0.2.1 192.0.2.2 1 1\r", "\r\n"),
        BAD_AT("PROXY UNKNOWN", "S"),
        BAD_AT("PROXY UNKNOWN\r", " "),
        /* one byte more than the longest line */
        BAD_AT("PROXY UNKNOWN  " LONG_IP " " LONG_IP " 65535 65535", "\r\n"),
    };
    struct proxy_header h;

    exact_refuses_all(parse, &h, table, ARRAY_LEN(table));
    (void)state;
}

/* --- version 2 ------------------------------------------------------------------------------------------ */

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define TCP4 SIG "\x21\x11"
#define TCP6 SIG "\x21\x21"
#define IPS4 "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb"
#define IP6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"
#define IPS6 IP6 "\x01" IP6 "\x02\xdc\x04\x01\xbb"
#define ZEROES_36 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define UNIX_216 ZEROES_36 ZEROES_36 ZEROES_36 ZEROES_36 ZEROES_36 ZEROES_36

static void test_headers(void **state)
{
    static const struct client_case table[] = {
        {{BYTES(TCP4 "\0\x0c" IPS4)}, "192.0.2.1", 56324},
        {{BYTES(TCP6 "\0\x24" IPS6)}, "2001:db8::1", 56324},
        /* TLVs: an empty one, padding, a type of our own */
        {{BYTES(TCP4 "\0\x12" IPS4 "\x04\0\0\xea\0\0")}, "192.0.2.1", 56324},
        {{BYTES(TCP6 "\0\x2c" IPS6 "\x02\0\x05h.org")}, "2001:db8::1", 56324},
        /* a check of the balancer: the rest is skipped, whatever it says */
        {{BYTES(SIG "\x20\x00\0\0")}, "", 0},
        {{BYTES(SIG "\x20\x11\0\x0c" IPS4)}, "", 0},
        {{BYTES(SIG "\x20\xff\0\x03\x03\0\x09")}, "", 0},
        /* a client without an address that is for us */
        {{BYTES(SIG "\x21\x00\0\0")}, "", 0},
        {{BYTES(SIG "\x21\x00\0\x03\xff\xff\xff")}, "", 0},
        {{BYTES(SIG "\x21\x12\0\x0c" IPS4)}, "", 0},
        {{BYTES(SIG "\x21\x22\0\x24" IPS6)}, "", 0},
        {{BYTES(SIG "\x21\x31\0\xd8" UNIX_216)}, "", 0},
        {{BYTES(SIG "\x21\x32\0\xd8" UNIX_216)}, "", 0},
    };

    assert_clients(table, ARRAY_LEN(table));
    (void)state;
}

static void test_bad_headers(void **state)
{
    static const struct exact_bad table[] = {
        BAD_AT("\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"),
        BAD_AT("\r", "\r\n"),
        BAD_AT("\r\n\r\n\0\r\nQUIT", "\r"),
        BAD_AT(SIG, "\x11\x11\0\x0c"),  /* version 1 */
        BAD_AT(SIG, "\x31\x11\0\x0c"),  /* version 3 */
        BAD_AT(SIG, "\x22\x11\0\x0c"),  /* command 2 */
        BAD_AT(SIG "\x21", "\x01\0\0"), /* a stream over nothing */
        BAD_AT(SIG "\x21", "\x10\0\x0c"),
        BAD_AT(SIG "\x21", "\x13\0\x0c"),
        BAD_AT(SIG "\x21", "\x41\0\x0c"),
        BAD_AT(TCP4 "\0", "\x0b" IPS4), /* too short for its addresses */
        BAD_AT(TCP4 "\0", "\0"),
        BAD_AT(TCP6 "\0", "\x23" IPS6),
        BAD_AT(TCP4, "\x40\0"), /* too long */
        BAD_AT(SIG "\x20\0", "\x40\0"),
        BAD_AT(TCP4 "\0", "\x0d" IPS4 "\0"), /* no room for a TLV's head */
        BAD_AT(TCP4 "\0", "\x0e" IPS4 "\0\0"),
        BAD_AT(TCP4 "\0\x0f" IPS4 "\x04\0", "\x01"), /* a TLV longer than the header */
        BAD_AT(TCP4 "\0\x13" IPS4 "\x04\0\x01\0\x04\0", "\x01"),
        BAD_AT(TCP4 "\0\x12" IPS4 "\x03\0", "\x03\0\0\0"),             /* a checksum of three bytes */
        BAD_AT(TCP4 "\0\x1a" IPS4 "\x03\0\x04sums\x03\0", "\x04sums"), /* two checksums */
    };
    struct proxy_header h;

    exact_refuses_all(parse, &h, table, ARRAY_LEN(table));
    (void)state;
}

/* The checksum was calculated by another program, one that also knows the sum of "123456789" (RFC 3720). */
#define SUMMED TCP4 "\0\x17" IPS4 "\x03\0\x04"
enum { AT_TYPE_OF_SUM = sizeof(SUMMED) - 1 - 3 };

static void test_checksums(void **state)
{
    struct client_case good = {{BYTES(SUMMED "\xea\x03\x99\x36\x04\0\x01\x07")}, "192.0.2.1", 56324};
    struct proxy_header h;
    char wrong[64];

    assert_clients(&good, 1);
    for (size_t bit = 0; bit < 8 * good.header.len; bit++) {
        if (bit / 8 == AT_TYPE_OF_SUM)
            continue; /* then it is not a checksum */
        memcpy(wrong, good.header.data, good.header.len);
        wrong[bit / 8] = (char)(wrong[bit / 8] ^ (1 << bit % 8));
        size_t consumed;
        enum parse p = exact_parse(parse, &h, wrong, good.header.len, &consumed);
        /* With LOCAL, or another family, there is no client, and the rest is skipped. */
        if (p == PARSE_OK && h.ip_len > 0)
            fail_msg("accepted with bit %zu wrong", bit);
    }
    (void)state;
}

static void test_longest_header(void **state)
{
    static char data[PROXY_HEADER_MAX];
    const size_t before = sizeof(TCP4 "\0\x0c" IPS4) - 1;
    struct proxy_header h;
    size_t consumed = 0;

    memcpy(data, TCP4 "\x3f\xff" IPS4, before);
    data[before] = '\x04';
    data[before + 1] = (char)((sizeof data - before - 3) >> 8);
    data[before + 2] = (char)((sizeof data - before - 3) & 255);
    exact_expect(parse, &h, data, sizeof data - 1, PARSE_NEED_MORE);
    assert_int_equal(exact_parse(parse, &h, data, sizeof data, &consumed), PARSE_OK);
    assert_int_equal(consumed, PROXY_HEADER_MAX);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_headers),   cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_checksums), cmocka_unit_test(test_longest_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
