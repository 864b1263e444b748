/* Hosts with ports, brackets and neither, as every room reads and writes them. */
#include "base/host_port.h"

#include "support/copy.h"

#include <errno.h>

static void assert_slice(struct slice s, const char *expected, const char *text)
{
    if (!slice_eq(s, slice_str(expected)))
        fail_msg("%s: got '%.*s', expected '%s'", text, (int)s.len, s.data, expected);
}

static const struct {
    const char *text, *place, *host;
    bool bracketed;
    const char *port; /* NULL: there is none */
} SPLITS[] = {
    {"example.org:443", "example.org", "example.org", false, "443"},
    {"192.0.2.1:80", "192.0.2.1", "192.0.2.1", false, "80"},
    {"[::1]:80", "[::1]", "::1", true, "80"},
    {"[fe80::1%wan1]:53", "[fe80::1%wan1]", "fe80::1%wan1", true, "53"},
    {"[fe80::1%a]b:c]:53", "[fe80::1%a]b:c]", "fe80::1%a]b:c", true, "53"}, /* a link may have such a name */
    {"[2001:db8::]/32:25-26", "[2001:db8::]/32", "[2001:db8::]/32", false, "25-26"},
    {"10.0.0.0/8:25", "10.0.0.0/8", "10.0.0.0/8", false, "25"},
    {"*:25", "*", "*", false, "25"},
    {"example.org", "example.org", "example.org", false, NULL},
    {"[::1]", "[::1]", "::1", true, NULL},
    {"[::1]x:80", "[::1]x", "[::1]x", false, "80"},
    /* With several colons, none separates a port. */
    {"::1", "::1", "::1", false, NULL},
    {"2001:db8::1:80", "2001:db8::1:80", "2001:db8::1:80", false, NULL},
    {"a:1:2", "a:1:2", "a:1:2", false, NULL},
    {"[::1]:1:2", "[::1]:1:2", "[::1]:1:2", false, NULL},
    {"[::1:80", "[::1:80", "[::1:80", false, NULL},
    /* Parts that are empty. */
    {"", "", "", false, NULL},
    {":", "", "", false, ""},
    {":80", "", "", false, "80"},
    {"example.org:", "example.org", "example.org", false, ""},
    {"[]:80", "[]", "", true, "80"},
    {"[", "[", "[", false, NULL},
    {"]", "]", "]", false, NULL},
    {"[x:80", "[x", "[x", false, "80"},
};

static void texts_are_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof SPLITS / sizeof *SPLITS; i++) {
        const char *text = SPLITS[i].text;
        size_t len = strlen(text);
        char *copy = heap_copy(text, len);
        struct host_port s = host_port_split(slice_of(copy, len));
        assert_slice(s.place, SPLITS[i].place, text);
        assert_slice(s.host, SPLITS[i].host, text);
        assert_slice(s.port, SPLITS[i].port ? SPLITS[i].port : "", text);
        if (s.bracketed != SPLITS[i].bracketed || s.has_port != (SPLITS[i].port != NULL))
            fail_msg("%s: bracketed %d, has_port %d", text, s.bracketed, s.has_port);
        free(copy);
    }
    assert_int_equal(host_port_split(slice_of(NULL, 0)).has_port, false);
}

static void ports_are_digits_up_to_65535(void **state)
{
    static const struct {
        const char *text;
        int r, port;
    } cases[] = {
        {"0", 0, 0},
        {"80", 0, 80},
        {"65535", 0, 65535},
        {"000080", 0, 80},
        {"65536", -ERANGE, 0},
        {"4294967376", -ERANGE, 0},
        /* 80 and 2^32 */ {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"+80", -EINVAL, 0},
        {"80 ", -EINVAL, 0},
        {"0x50", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"99999x", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t port = 4711;
        int r = host_port_number(slice_str(cases[i].text), &port);
        if (r != cases[i].r || port != (r == 0 ? cases[i].port : 4711))
            fail_msg("'%s': got %d, port %u", cases[i].text, r, port);
    }
}

static void what_is_written_is_read_the_same(void **state)
{
    static const struct {
        const char *host;
        unsigned port;
        const char *text;
    } cases[] = {
        {"example.org", 443, "example.org:443"},
        {"192.0.2.1", 0, "192.0.2.1:0"},
        {"::1", 65535, "[::1]:65535"},
        {"fe80::1%wan1", 53, "[fe80::1%wan1]:53"},
        {"", 80, ":80"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        uint16_t port;
        host_port_format(out, sizeof out, slice_str(cases[i].host), (uint16_t)cases[i].port);
        assert_string_equal(out, cases[i].text);
        struct host_port s = host_port_split(slice_str(out));
        assert_slice(s.host, cases[i].host, out);
        assert_int_equal(host_port_number(s.port, &port), 0);
        assert_int_equal(port, cases[i].port);
    }
}

static void text_is_cut_to_its_room(void **state)
{
    static const char whole[] = "[2001:db8::1]:443";

    (void)state;
    for (size_t size = 1; size <= sizeof whole; size++) {
        char *out = malloc(size);
        assert_non_null(out);
        host_port_format(out, size, slice_str("2001:db8::1"), 443);
        assert_int_equal(strlen(out), size - 1);
        assert_memory_equal(out, whole, size - 1);
        free(out);
    }
}

static void brackets_are_put_around_colons_alone(void **state)
{
    char out[32];

    (void)state;
    assert_int_equal(host_port_put_host(out, sizeof out, slice_str("::1")), 5);
    assert_string_equal(out, "[::1]");
    assert_int_equal(host_port_put_host(out, sizeof out, slice_str("a.test")), 6);
    assert_string_equal(out, "a.test");
    assert_int_equal(host_port_put_host(out, sizeof out, slice_of(NULL, 0)), 0);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_split),
        cmocka_unit_test(ports_are_digits_up_to_65535),
        cmocka_unit_test(what_is_written_is_read_the_same),
        cmocka_unit_test(text_is_cut_to_its_room),
        cmocka_unit_test(brackets_are_put_around_colons_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
