#include "addr/addr.h"

#include "support/copy.h"

#include <arpa/inet.h>
#include <errno.h>

/* The text as an exact-size copy on the heap, so that a sanitizer sees reads past it. */
static int with_copy(int (*parse)(void *ret, struct slice text), void *ret, const char *text, size_t len)
{
    char *copy = heap_copy(text, len);
    int r = parse(ret, slice_of(copy, len));
    free(copy);
    return r;
}

static int parse_ip(void *ret, struct slice text)
{
    return addr_parse_ip(ret, text, 80);
}
static int parse_with_port(void *ret, struct slice text)
{
    return addr_parse(ret, text);
}
static int parse_cidr(void *ret, struct slice text)
{
    return cidr_parse(ret, text);
}

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(with_copy(parse_ip, &a, text, strlen(text)), 0);
    return a;
}

static void test_ip_texts(void **state)
{
    static const struct {
        const char *in, *out;
        int family;
    } good[] = {
        {"1.2.3.4", "1.2.3.4", AF_INET},
        {"255.255.255.255", "255.255.255.255", AF_INET},
        {"::", "::", AF_INET6},
        {"[::1]", "::1", AF_INET6},
        {"2001:DB8::a", "2001:db8::a", AF_INET6},
        {"::ffff:10.0.0.1", "10.0.0.1", AF_INET},
        {"[::ffff:a00:1]", "10.0.0.1", AF_INET},
        {"fe80::1%lo", "fe80::1%lo", AF_INET6},
        {"[fe80::1%1]", "fe80::1%lo", AF_INET6},
        {"fe80::1%4294967295", "fe80::1%4294967295", AF_INET6},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AF_INET6},
    };
    char out[ADDR_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct addr a = ip(good[i].in);
        assert_int_equal(addr_family(&a), good[i].family);
        assert_int_equal(addr_port(&a), 80);
        assert_string_equal(addr_format_ip(&a, out), good[i].out);
        assert_int_equal(addr_len(&a), a.sa.sa_family == AF_INET ? sizeof a.in4 : sizeof a.in6);
    }
    (void)state;
}

static void test_bad_ip_texts_leave_the_result_alone(void **state)
{
    static const char *const bad[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "01.2.3.4x",
        " 1.2.3.4",
        "1.2.3.4 ",
        "[1.2.3.4]",
        "1.2.3.4%lo",
        "::ffff:1.2.3.4%lo",
        "[::1",
        "::1]",
        "[]",
        "[",
        ":",
        ":::",
        "1::2::3",
        "fe80::1%",
        "fe80::1%0",
        "%lo",
        "g::",
        "12345::",
        "example.org",
        "::1%nosuchdevice0",
        "fe80::1%4294967296",
        "fe80::1%averyveryverylongdevicename",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct addr a = {.in4 = {.sin_family = 99}};
        assert_int_equal(with_copy(parse_ip, &a, bad[i], strlen(bad[i])), -EINVAL);
        assert_int_equal(addr_family(&a), 99);
    }
    struct addr a;
    assert_int_equal(with_copy(parse_ip, &a, "1.2.3.4\0", 8), -EINVAL);
    assert_int_equal(with_copy(parse_ip, &a, "fe80::1%lo\0", 11), -EINVAL);
    (void)state;
}

static void test_ip_with_port(void **state)
{
    static const struct {
        const char *in, *out;
    } good[] = {
        {"127.0.0.1:1080", "127.0.0.1:1080"}, {"127.0.0.1:0", "127.0.0.1:0"},
        {"[::1]:65535", "[::1]:65535"},       {"[fe80::1%lo]:80", "[fe80::1%lo]:80"},
        {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
    };
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "1.2.3.4:+1",
        "*:80",
        "1.2.3.4:8x",
        "::1:80",
        "::1",
        "[::1]",
        "[::1]:",
        "[::1]80",
        "[::1:80",
        "host:80",
        "1.2.3.4:99999999999999999999",
        "[1.2.3.4]:80",
    };
    char out[ADDR_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct addr a;
        assert_int_equal(with_copy(parse_with_port, &a, good[i].in, strlen(good[i].in)), 0);
        assert_string_equal(addr_format(&a, out), good[i].out);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct addr a = {.in4 = {.sin_family = 99}};
        assert_int_equal(with_copy(parse_with_port, &a, bad[i], strlen(bad[i])), -EINVAL);
        assert_int_equal(addr_family(&a), 99);
    }
    (void)state;
}

static void test_longest_text_fits(void **state)
{
    struct addr a = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295");
    char out[ADDR_TEXT_MAX];
    addr_set_port(&a, 65535);
    assert_string_equal(addr_format(&a, out), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
    (void)state;
}

static void test_bytes(void **state)
{
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
    struct addr a;
    size_t len;
    char out[ADDR_TEXT_MAX];

    assert_int_equal(addr_from_ip(&a, mapped + 12, 4, 443), 0);
    assert_string_equal(addr_format(&a, out), "192.0.2.1:443");
    assert_memory_equal(addr_ip(&a, &len), mapped + 12, 4);
    assert_int_equal(len, 4);
    assert_int_equal(addr_from_ip(&a, mapped, 16, 443), 0);
    assert_string_equal(addr_format(&a, out), "192.0.2.1:443");
    assert_int_equal(addr_from_ip(&a, v6, 16, 1), 0);
    assert_string_equal(addr_format(&a, out), "[2001:db8::9]:1");
    assert_memory_equal(addr_ip(&a, &len), v6, 16);
    assert_int_equal(len, 16);
    static const size_t bad[] = {0, 3, 5, 15, 17};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(addr_from_ip(&a, v6, bad[i], 1), -EINVAL);
    assert_string_equal(addr_format(&a, out), "[2001:db8::9]:1");
    (void)state;
}

static void test_none(void **state)
{
    struct addr none = {.in6 = {.sin6_family = AF_UNSPEC}};
    char out[ADDR_TEXT_MAX];
    size_t len = 7;
    assert_int_equal(addr_len(&none), 0);
    assert_int_equal(addr_port(&none), 0);
    addr_set_port(&none, 5);
    assert_int_equal(addr_port(&none), 0);
    (void)addr_ip(&none, &len);
    assert_int_equal(len, 0);
    assert_string_equal(addr_format(&none, out), "none");
    assert_string_equal(addr_format_ip(&none, out), "none");
    assert_false(addr_is_loopback(&none));
    struct addr some = ip("0.0.0.0");
    assert_false(addr_same_ip(&none, &some));
    (void)state;
}

static void test_kernel_addresses(void **state)
{
    struct addr a;
    char out[ADDR_TEXT_MAX];
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(81), .sin6_scope_id = 1};
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_int_equal(inet_pton(AF_INET, "10.1.2.3", &in4.sin_addr), 1);
    assert_int_equal(inet_pton(AF_INET6, "fe80::5", &in6.sin6_addr), 1);

    assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&in4, sizeof in4), 0);
    assert_string_equal(addr_format(&a, out), "10.1.2.3:80");
    assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&in6, sizeof in6), 0);
    assert_string_equal(addr_format(&a, out), "[fe80::5%lo]:81");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.9.9.9", &in6.sin6_addr), 1);
    assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&in6, sizeof in6), 0);
    assert_string_equal(addr_format(&a, out), "10.9.9.9:81");

    assert_int_equal(addr_from_sockaddr(&a, &local, sizeof local), -EAFNOSUPPORT);
    assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&in4, sizeof in4 - 1), -EAFNOSUPPORT);
    assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&in6, sizeof in6 - 1), -EAFNOSUPPORT);
    assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&in6, 0), -EAFNOSUPPORT);
    assert_string_equal(addr_format(&a, out), "10.9.9.9:81");
    (void)state;
}

static void test_same_ip(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"1.2.3.4", "1.2.3.4", true},
        {"1.2.3.4", "1.2.3.5", false},
        {"::1", "::1", true},
        {"::1", "::2", false},
        {"1.2.3.4", "::1", false},
        {"::ffff:1.2.3.4", "1.2.3.4", true},
        {"fe80::1%1", "fe80::1%2", false},
        {"fe80::1%1", "fe80::1", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct addr a = ip(pairs[i].a), b = ip(pairs[i].b);
        addr_set_port(&b, 9999); /* ports do not matter */
        assert_int_equal(addr_same_ip(&a, &b), pairs[i].same);
        assert_int_equal(addr_same_ip(&b, &a), pairs[i].same);
    }
    (void)state;
}

static void test_loopback(void **state)
{
    static const struct {
        const char *ip;
        bool loopback;
    } all[] = {
        {"127.0.0.1", true},
        {"127.255.255.255", true},
        {"0.0.0.0", true},
        {"::", true},
        {"::1", true},
        {"::ffff:127.0.0.1", true},
        {"126.255.255.255", false},
        {"128.0.0.1", false},
        {"0.0.0.1", false},
        {"::2", false},
        {"fe80::1", false},
        {"10.0.0.1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct addr a = ip(all[i].ip);
        assert_int_equal(addr_is_loopback(&a), all[i].loopback);
    }
    (void)state;
}

static void test_private(void **state)
{
    static const struct {
        const char *first, *last, *before, *after;
    } all[] = {
        {"10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
        {"172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
        {"192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
        {"100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
        {"169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
        {"127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"},
        {"fc00::", "fdff:ffff::", "fbff:ffff::", "fe00::"},
        {"fe80::", "febf:ffff::", "fe7f:ffff::", "fec0::"},
        {"::1", "::1", "2001:db8::1", "2606:4700::1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct addr in[] = {ip(all[i].first), ip(all[i].last)}, out[] = {ip(all[i].before), ip(all[i].after)};
        assert_true(addr_is_private(&in[0]) && addr_is_private(&in[1]));
        assert_false(addr_is_private(&out[0]) || addr_is_private(&out[1]));
    }
    (void)state;
}

static void test_unique_local(void **state)
{
    static const char *const in[] = {"fc00::", "fc00::1", "fd00:1::2",
                                     "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    static const char *const out[] = {"fbff::1", "fe00::1",   "fe80::1", "2001:db8::1",
                                      "::fd00",  "252.0.0.1", "10.0.0.1"};
    struct addr a = {.sa.sa_family = AF_UNSPEC};
    assert_false(addr_is_unique_local(&a));
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        a = ip(in[i]);
        assert_true(addr_is_unique_local(&a));
    }
    for (size_t i = 0; i < ARRAY_LEN(out); i++) {
        a = ip(out[i]);
        assert_false(addr_is_unique_local(&a));
    }
    (void)state;
}

static void test_ranges(void **state)
{
    static const struct {
        const char *in, *out, *inside, *outside;
    } good[] = {
        {"10.0.0.0/8", "10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
        {"10.1.2.3/8", "10.0.0.0/8", "10.0.0.0", "9.255.255.255"},
        {"192.0.2.130/25", "192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
        {"192.0.2.7/31", "192.0.2.6/31", "192.0.2.6", "192.0.2.8"},
        {"1.2.3.4", "1.2.3.4/32", "1.2.3.4", "1.2.3.5"},
        {"0.0.0.0/0", "0.0.0.0/0", "255.1.2.3", "::1"},
        {"::/0", "::/0", "ffff::", "1.2.3.4"},
        {"fd00::/8", "fd00::/8", "fdff:ffff::1", "fc00::"},
        {"2001:db8:ffff::1/35", "2001:db8:e000::/35", "2001:db8:e000::", "2001:db8:dfff::"},
        {"::1", "::1/128", "::1", "::"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8", "10.9.9.9", "11.0.0.0"},
        {"::ffff:10.0.0.1", "10.0.0.1/32", "10.0.0.1", "10.0.0.2"},
    };
    static const char *const bad[] = {"",
                                      "/",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "::/129",
                                      "10/8",
                                      "1.2.3.4/-1",
                                      "1.2.3.4/8x",
                                      "1.2.3.4/8/8",
                                      "fe80::1%lo/64",
                                      "fe80::1%lo",
                                      "::ffff:10.0.0.0/95",
                                      "::ffff:10.0.0.0/129",
                                      "all"};
    char out[ADDR_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct cidr c;
        assert_int_equal(with_copy(parse_cidr, &c, good[i].in, strlen(good[i].in)), 0);
        assert_string_equal(cidr_format(&c, out), good[i].out);
        struct addr in = ip(good[i].inside), away = ip(good[i].outside);
        assert_true(cidr_contains(&c, &in));
        assert_false(cidr_contains(&c, &away));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct cidr c = {.bits = 77};
        assert_int_equal(with_copy(parse_cidr, &c, bad[i], strlen(bad[i])), -EINVAL);
        assert_int_equal(c.bits, 77);
    }
    (void)state;
}

static void test_range_of_an_address(void **state)
{
    struct addr a = ip("192.0.2.77"), none = {.in6 = {.sin6_family = AF_UNSPEC}};
    struct cidr c;
    char out[ADDR_TEXT_MAX];
    cidr_from_addr(&c, &a, 24);
    assert_string_equal(cidr_format(&c, out), "192.0.2.0/24");
    cidr_from_addr(&c, &a, 200);
    assert_string_equal(cidr_format(&c, out), "192.0.2.77/32");
    cidr_from_addr(&c, &none, 0);
    assert_string_equal(cidr_format(&c, out), "none");
    assert_false(cidr_contains(&c, &none));
    assert_false(cidr_contains(&c, &a));
    (void)state;
}

static void test_set(void **state)
{
    static const char *const ranges[] = {"10.0.0.0/8", "fd00::/8", "192.0.2.1"};
    struct cidr_set set = {.n = 0};
    struct addr in[] = {ip("10.2.3.4"), ip("fd12::1"), ip("192.0.2.1")}, away = ip("192.0.2.2");
    assert_false(cidr_set_contains(&set, &away));
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        struct cidr c;
        assert_false(cidr_set_contains(&set, &in[i]));
        assert_int_equal(cidr_parse(&c, slice_str(ranges[i])), 0);
        assert_int_equal(cidr_set_add(&set, &c), 0);
        assert_true(cidr_set_contains(&set, &in[i]));
    }
    assert_false(cidr_set_contains(&set, &away));
    cidr_set_done(&set);
    assert_int_equal(set.n, 0);
    assert_false(cidr_set_contains(&set, &in[0]));
    cidr_set_done(&set);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ip_texts),
        cmocka_unit_test(test_bad_ip_texts_leave_the_result_alone),
        cmocka_unit_test(test_ip_with_port),
        cmocka_unit_test(test_longest_text_fits),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_kernel_addresses),
        cmocka_unit_test(test_same_ip),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_unique_local),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_range_of_an_address),
        cmocka_unit_test(test_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
