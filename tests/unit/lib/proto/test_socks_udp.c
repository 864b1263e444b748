#include "proto/socks_udp.h"

#include "exact.h"
#include "target_text.h"

enum { PAYLOAD = 0x55 };

/* Every shorter datagram is bad; longer ones have a payload behind the same header. */
static struct socks_udp accepts(struct slice header)
{
    struct socks_udp u;
    char *longer = exact_join(header, slice_of("\x55", 1));
    struct exact with_payload = exact_copy(longer, header.len + 1);

    for (size_t n = 0; n <= header.len; n++) {
        struct exact copy = exact_copy(header.data, n);
        exact_assert(socks_udp_parse(&u, copy.data, n), n < header.len ? PARSE_BAD : PARSE_OK, header.data,
                     n);
        free(copy.block);
    }
    assert_int_equal(u.consumed, header.len);
    assert_int_equal(socks_udp_parse(&u, with_payload.data, header.len + 1), PARSE_OK);
    assert_int_equal(u.consumed, header.len);
    assert_int_equal(with_payload.data[u.consumed], PAYLOAD);
    free(with_payload.block);
    free(longer);
    assert_int_equal(socks_udp_parse(&u, header.data, header.len), PARSE_OK);
    return u;
}

static void test_headers(void **state)
{
    static const char v6[] = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
    static const struct {
        struct slice header;
        const char *target;
        uint8_t ip_len, frag;
        const char *ip, *name;
    } table[] = {
        {{BYTES("\0\0\0\x01\xc0\x00\x02\x01\x00\x35")}, "v4 192.0.2.1 53", 4, 0, "\xc0\x00\x02\x01", ""},
        {{BYTES("\0\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff")},
         "v6 2001:db8::1 65535",
         16,
         0,
         v6,
         ""},
        /* IPv4 by another name */
        {{BYTES("\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01\x00\x35")},
         "v4 192.0.2.1 53",
         4,
         0,
         "\xc0\x00\x02\x01",
         ""},
        {{BYTES("\0\0\0\x03\x09"
                "192.0.2.1\x01\x00")},
         "v4 192.0.2.1 256",
         4,
         0,
         "\xc0\x00\x02\x01",
         ""},
        {{BYTES("\0\0\0\x03\x0b"
                "2001:db8::1\x01\x00")},
         "v6 2001:db8::1 256",
         16,
         0,
         v6,
         ""},
        {{BYTES("\0\0\0\x03\x10::ffff:192.0.2.1\x01\x00")}, "v4 192.0.2.1 256", 4, 0, "\xc0\x00\x02\x01", ""},
        {{BYTES("\0\0\0\x03\x0c"
                "Example.Com.\x01\xbb")},
         "name example.com 443",
         0,
         0,
         "",
         "Example.Com."},
        /* junk in the reserved bytes, and fragments */
        {{BYTES("\xca\xfe\0\x01\xc0\x00\x02\x01\x00\x35")}, "v4 192.0.2.1 53", 4, 0, "\xc0\x00\x02\x01", ""},
        {{BYTES("\0\0\x01\x01\xc0\x00\x02\x01\x00\x35")}, "v4 192.0.2.1 53", 4, 1, "\xc0\x00\x02\x01", ""},
        {{BYTES("\0\0\x83\x03\x01"
                "a\x00\x35")},
         "name a 53",
         0,
         0x83,
         "",
         "a"},
    };
    struct target t;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct socks_udp u = accepts(table[i].header);
        assert_int_equal(u.frag, table[i].frag);
        assert_int_equal(u.ip_len, table[i].ip_len);
        assert_memory_equal(u.ip, table[i].ip, u.ip_len);
        assert_true(slice_eq(u.name, slice_str(table[i].name)));
        assert_int_equal(socks_udp_target(&t, &u), PARSE_OK);
        assert_string_equal(target_text(&t), table[i].target);
        assert_int_equal(u.port, t.port);
    }
    (void)state;
}

static void test_longest_name(void **state)
{
    char header[5 + TARGET_HOST_MAX + 1 + 2] = "\0\0\0\x03";
    struct target t;

    header[4] = (char)(TARGET_HOST_MAX + 1);
    for (size_t i = 0; i <= TARGET_HOST_MAX; i++)
        header[5 + i] = i == TARGET_HOST_MAX || i % 63 == 62 ? '.' : 'x';
    header[sizeof header - 1] = 53;
    const struct socks_udp u = accepts(slice_of(header, sizeof header));
    assert_int_equal(u.name.len, TARGET_HOST_MAX + 1);
    assert_int_equal(socks_udp_target(&t, &u), PARSE_OK);
    assert_int_equal(strlen(t.host), TARGET_HOST_MAX);
    (void)state;
}

static void test_bad_headers(void **state)
{
    static const struct slice table[] = {
        {BYTES("\0\0\0\x01\xc0\x00\x02\x01\x00\x00")}, /* port 0 */
        {BYTES("\0\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x00")},
        {BYTES("\0\0\0\x03\x01"
               "a\x00\x00")},
        {BYTES("\0\0\0\x00\xc0\x00\x02\x01\x00\x35")}, /* address types that do not exist */
        {BYTES("\0\0\0\x02\xc0\x00\x02\x01\x00\x35")},
        {BYTES("\0\0\0\xff\xc0\x00\x02\x01\x00\x35")},
        {BYTES("\0\0\0\x03\x00\x00\x35")}, /* names that target_set refuses */
        {BYTES("\0\0\0\x03\x03"
               "a b\x00\x35")},
        {BYTES("\0\0\0\x03\x05"
               "127.1\x00\x35")},
        {BYTES("\0\0\0\x03\x02"
               "a\0\x00\x35")},
        {BYTES("\0\0\0\x03\xff"
               "abc\x00\x35")}, /* longer than the datagram */
    };
    struct socks_udp u;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct exact copy = exact_copy(table[i].data, table[i].len);
        exact_assert(socks_udp_parse(&u, copy.data, table[i].len), PARSE_BAD, table[i].data, table[i].len);
        free(copy.block);
    }
    (void)state;
}

static void test_write(void **state)
{
    static const struct {
        struct slice header;
        const char *ip;
        size_t ip_len;
        uint16_t port;
    } table[] = {
        {{BYTES("\0\0\0\x01\xc0\x00\x02\x01\x00\x35")}, "\xc0\x00\x02\x01", 4, 53},
        {{BYTES("\0\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xfe")},
         "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
         16,
         65534},
    };
    char out[SOCKS_UDP_HEADER_MAX];
    uint8_t ip[16];

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        memcpy(ip, table[i].ip, table[i].ip_len);
        memset(out, 0x7f, sizeof out);
        assert_int_equal(socks_udp_write(out, ip, table[i].ip_len, table[i].port), table[i].header.len);
        assert_memory_equal(out, table[i].header.data, table[i].header.len);
        const struct socks_udp u = accepts(slice_of(out, table[i].header.len));
        assert_int_equal(u.port, table[i].port);
        assert_memory_equal(u.ip, ip, table[i].ip_len);
    }
    (void)state;
}

static void test_write_name(void **state)
{
    char longest[SOCKS_UDP_NAME_MAX], out[SOCKS_UDP_NAMED_MAX];

    assert_int_equal(socks_udp_write_name(out, slice_str("Example.Com"), 443), 18);
    assert_memory_equal(out, "\0\0\0\3\13Example.Com\1\273", 18);
    const struct socks_udp u = accepts(slice_of(out, 18));
    assert_int_equal(u.port, 443);
    assert_true(slice_eq(u.name, slice_str("Example.Com")));
    memset(longest, 'x', sizeof longest);
    assert_int_equal(socks_udp_write_name(out, slice_of(longest, sizeof longest), 1), sizeof out);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),     cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
