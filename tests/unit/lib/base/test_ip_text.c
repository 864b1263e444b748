/* Addresses as text, compared with libc. */
#include "base/ip_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void assert_as_libc(const uint8_t *ip, size_t len)
{
    char ours[IP_TEXT_MAX], libcs[INET6_ADDRSTRLEN];

    memset(ours, 'x', sizeof ours);
    size_t n = ip_text(ip, len, ours);
    assert_non_null(inet_ntop(len == 4 ? AF_INET : AF_INET6, ip, libcs, sizeof libcs));
    assert_string_equal(ours, libcs);
    assert_int_equal(n, strlen(libcs));
}

static void each_byte_of_ipv4(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 4; at++) {
        for (unsigned n = 0; n < 256; n++) {
            uint8_t ip[4] = {192, 0, 2, 10};
            ip[at] = (uint8_t)n;
            assert_as_libc(ip, sizeof ip);
        }
    }
}

/* All patterns of zero groups, with different other values, which show where runs begin and end. */
static void each_pattern_of_zeroes_in_ipv6(void **state)
{
    static const uint16_t others[] = {1, 0xf, 0x10, 0xff, 0x100, 0xfff, 0x1000, 0xffff};

    (void)state;
    for (unsigned zero = 0; zero < 256; zero++) {
        for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
            uint8_t ip[16] = {0};
            for (unsigned i = 0; i < 8; i++) {
                if (zero >> i & 1)
                    continue;
                ip[2 * i] = (uint8_t)(others[o] >> 8);
                ip[2 * i + 1] = (uint8_t)(others[o] & 0xff);
            }
            assert_as_libc(ip, sizeof ip);
        }
    }
}

static void known_addresses(void **state)
{
    static const char *const known[] = {"::",
                                        "::1",
                                        "1::",
                                        "::ffff:192.0.2.1",
                                        "::192.0.2.1",
                                        "::ffff:0:c000:201",
                                        "64:ff9b::c000:201",
                                        "2001:db8::1",
                                        "2001:db8:0:1:1:1:1:1",
                                        "2001:0:0:1::1",
                                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                        "fe80::1234:5678:9abc:def0"};

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t ip[16];
        char text[IP_TEXT_MAX];
        assert_int_equal(inet_pton(AF_INET6, known[i], ip), 1);
        (void)ip_text(ip, sizeof ip, text);
        assert_string_equal(text, known[i]);
        assert_as_libc(ip, sizeof ip);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_of_ipv4),
        cmocka_unit_test(each_pattern_of_zeroes_in_ipv6),
        cmocka_unit_test(known_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
