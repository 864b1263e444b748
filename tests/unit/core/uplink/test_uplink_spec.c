
#include "uplink/machines.h"
#include "uplink/parent_spec.h"
#include "uplink/uplink_spec.h"

#include <errno.h>

static struct uplink_spec parse(const char *text)
{
    char err[256] = "untouched";
    struct uplink_spec spec;
    if (uplink_spec_parse(&spec, text, err, sizeof err) < 0)
        fail_msg("%s: %s", text, err);
    assert_string_equal(err, "untouched");
    assert_string_equal(spec.name, "");
    assert_number(spec.tier, 1);
    assert_int_equal(spec.n_tags, 0);
    return spec;
}

static void assert_interface(const char *text, const char *interface, double weight)
{
    struct uplink_spec spec = parse(text);
    assert_int_equal(spec.kind, UPLINK_INTERFACE);
    assert_string_equal(spec.interface, interface);
    assert_int_equal(addr_family(&spec.address), AF_UNSPEC);
    assert_number(spec.weight, weight);
    uplink_spec_done(&spec);
}

static void assert_address(const char *text, const char *address, double weight)
{
    struct uplink_spec spec = parse(text);
    assert_int_equal(spec.kind, UPLINK_ADDRESS);
    assert_string_equal(spec.interface, "");
    assert_ip(&spec.address, address);
    assert_int_equal(addr_port(&spec.address), 0);
    assert_number(spec.weight, weight);
    uplink_spec_done(&spec);
}

/* Refused, with a message that quotes the text and says what was expected. */
static void assert_refused(const char *text, const char *expected)
{
    char err[512] = "", quoted[256];
    struct uplink_spec spec = {.weight = 77};
    (void)snprintf(quoted, sizeof quoted, "uplink \"%s\": ", text);
    assert_int_equal(uplink_spec_parse(&spec, text, err, sizeof err), -EINVAL);
    if (strncmp(err, quoted, strlen(quoted)) != 0 || !strstr(err, expected))
        fail_msg("%s: the message is: %s", text, err);
    assert_number(spec.weight, 77); /* untouched */
}

static void test_interfaces(void **state)
{
    assert_interface("eth0", "eth0", 1);
    assert_interface("eth0@3", "eth0", 3);
    assert_interface("eth0/3", "eth0", 3);
    assert_interface("eth0@0.5", "eth0", 0.5);
    assert_interface("eth0@.5", "eth0", 0.5);
    assert_interface("eth0@1e3", "eth0", 1000);
    assert_interface("eth0@1000000", "eth0", 1e6);
    assert_interface("eth0@0.000001", "eth0", 1e-6);
    assert_interface("eth0.100@2", "eth0.100", 2);
    assert_interface("br-lan", "br-lan", 1);
    assert_interface("x", "x", 1);
    assert_interface("wwp0s20f0u6i12x", "wwp0s20f0u6i12x", 1); /* 15 characters */
    assert_interface("4g", "4g", 1);
    assert_interface("10.0.0.1a", "10.0.0.1a", 1);
    assert_interface("deadbeef", "deadbeef", 1);
    (void)state;
}

static void test_addresses(void **state)
{
    assert_address("10.0.0.1", "10.0.0.1", 1);
    assert_address("10.0.0.1@7", "10.0.0.1", 7);
    assert_address("10.0.0.2/3", "10.0.0.2", 3);
    assert_address("127.0.0.2@2", "127.0.0.2", 2);
    assert_address("1.0.0.0", "1.0.0.0", 1);
    assert_address("223.255.255.255", "223.255.255.255", 1);
    assert_address("2001:db8::1", "2001:db8::1", 1);
    assert_address("2001:db8::1/2", "2001:db8::1", 2); /* a weight, never a prefix */
    assert_address("[2001:db8::1]@2", "2001:db8::1", 2);
    assert_address("[2001:db8::1]/2", "2001:db8::1", 2);
    assert_address("[2001:db8::1]", "2001:db8::1", 1);
    assert_address("::1@2", "::1", 2);
    assert_address("fd00::1", "fd00::1", 1);
    assert_address("::ffff:10.0.0.1@2", "10.0.0.1", 2);
    (void)state;
}

static void test_bad_weights(void **state)
{
    static const char *const weights[] = {
        "0",      "00",        "0.0",
        "-1",     "-0.5",      "nan",
        "NaN",    "inf",       "infinity",
        "1e7",    "1000000.1", "1e999",
        "1e-999", "3x",        "3 ",
        " 3",     "3@4",       "3/4",
        "0x10",   "1,5",       "--1",
        "1.2.3",  ".",         "e",
        "1e",     "if5",       "\t1",
        "1\n",    "three",     "1e3e",
        "+",      "1-2",       "00000000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < ARRAY_LEN(weights); i++) {
        static const char *const starts[] = {"eth0@", "eth0/", "10.0.0.1@", "[2001:db8::1]/"};
        for (size_t k = 0; k < ARRAY_LEN(starts); k++) {
            char text[96], quoted[96];
            (void)snprintf(text, sizeof text, "%s%s", starts[k], weights[i]);
            (void)snprintf(quoted, sizeof quoted,
                           "the weight \"%s\" must be a number above 0 and at most 1000000", weights[i]);
            assert_refused(text, quoted);
        }
    }
    static const char comma[] = "; uplinks are separate words, without commas";
    assert_refused("eth0@1,eth1@2", comma);
    assert_refused("10.0.0.1,10.0.0.2", comma);
    assert_refused("10.0.0.1@7,10.0.0.2@3", comma);
    assert_refused("eth0@", "a weight is missing after \"@\": write eth0@7, or eth0 alone");
    assert_refused("10.0.0.1/", "a weight is missing after \"/\": write 10.0.0.1@7, or 10.0.0.1 alone");
    assert_refused("10.0.0.1:7", "; with a weight: 10.0.0.1@7; as a parent proxy: socks5://10.0.0.1:7");
    assert_refused("[2001:db8::1]:7",
                   "; with a weight: [2001:db8::1]@7; as a parent proxy: socks5://[2001:db8::1]:7");
    assert_refused("proxy.lan:1080", "; as a parent proxy: socks5://proxy.lan:1080");
    assert_refused("veth0@if5", "the weight \"if5\" must be a number"); /* as `ip link` writes it */
    (void)state;
}

static void test_bad_names(void **state)
{
    static const char *const empty[] = {"", "@3", "/3", "@", "/"};
    static const char *const addresses[] = {
        "10.0.0",   "10.0.0.256",    "10.0.0.1.2",   "1234",     "...",    "10.0.0.1:80", "[10.0.0.1]",
        "2001:db8", "2001:db8::g@2", "[2001:db8::1", "[]",       "[eth0]", "eth0:1",      "::1%lo",
        ":",        "fe80::1%lo",    "12345::",      "01.2.3.4", "1.2.3",
    };
    char long_name[MACHINE_NAME_SIZE + 1] = "";
    memset(long_name, 'e', MACHINE_NAME_SIZE);
    const char *const interfaces[] = {
        long_name, "eth 0", " eth0", "eth0 ", "eth\t0", "eth\n0",
    };
    for (size_t i = 0; i < ARRAY_LEN(empty); i++)
        assert_refused(empty[i], "expected INTERFACE or ADDRESS");
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        assert_refused(addresses[i], "is neither an interface's name nor an IP address such as");
    for (size_t i = 0; i < ARRAY_LEN(interfaces); i++)
        assert_refused(interfaces[i], "expected 1 to 127 characters without blanks");
    /* One letter less may be an alternative name. */
    struct uplink_spec spec;
    char err[256];
    long_name[MACHINE_NAME_SIZE - 1] = '\0';
    assert_int_equal(uplink_spec_parse(&spec, long_name, err, sizeof err), 0);
    assert_string_equal(spec.interface, long_name);
    uplink_spec_done(&spec);
    (void)state;
}

/* A socket bound to one of these would not be bound to an uplink. */
static void test_addresses_that_no_machine_has(void **state)
{
    static const char *const vague[] = {"0.0.0.0", "0.0.0.0@2", "0.1.2.3", "::", "[::]/2", "::ffff:0.0.0.0"};
    static const char *const many[] = {"224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1"};
    for (size_t i = 0; i < ARRAY_LEN(vague); i++)
        assert_refused(vague[i], "stands for no address in particular");
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        assert_refused(many[i], "is not an address of one machine");
    assert_refused("fe80::1", "reaches no further than its own link");
    (void)state;
}

static void test_no_password_is_repeated(void **state)
{
    static const struct {
        const char *text, *url, *user, *pass, *name;
        double weight;
    } good[] = {
        {"socks5://192.0.2.1:1080", "socks5://192.0.2.1:1080", "", "", "192.0.2.1:1080", 1},
        {"SOCKS5://proxy.example:1080@3", "socks5://proxy.example:1080", "", "", "proxy.example:1080", 3},
        {"http://u:p@[2001:db8::1]:8080@0.5", "http://[2001:db8::1]:8080", "u", "p", "[2001:db8::1]:8080",
         0.5},
        {"socks4a://me@h:1/7", "socks4a://h:1", "me", "", "h:1", 7},
        {"socks5://h:1/", "socks5://h:1", "", "", "h:1", 1},
        {"socks5://u%40v:p%3A%2f%25@h:1", "socks5://h:1", "u@v", "p:/%", "h:1", 1},
        {"socks5://u:12@h:1", "socks5://h:1", "u", "12", "h:1", 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct uplink_spec spec;
        char err[256], text[PARENT_TEXT_MAX], own[UPLINK_NAME_MAX + 1];
        assert_int_equal(uplink_spec_parse(&spec, good[i].text, err, sizeof err), 0);
        assert_int_equal(spec.kind, UPLINK_PARENT);
        assert_string_equal(parent_spec_format(spec.parent, text), good[i].url);
        assert_string_equal(spec.parent->user, good[i].user);
        assert_string_equal(spec.parent->pass, good[i].pass);
        assert_string_equal(uplink_spec_name(&spec, own), good[i].name);
        assert_true(spec.weight == good[i].weight);
        uplink_spec_done(&spec);
    }
    /* No message repeats a possible password. */
    static const char *const bad[] = {
        "socks5://user:secret@192.0.2.1",
        "http://user:secret@proxy/",
        "https://user:secret@proxy:1",
        "socks5://user:secret@:1",
        "socks5://:secret@h:1",
        "socks5://user:secret@h:1@2@3",
        "socks5://user:%secret@h:1",
        "socks4a://user:secret@h:1",
        "socks5://user:secret@h:1@secret",
        "://user:secret@h:1",
        "socks5:/user:secret@h:1",
        "socks5:user:secret@h:1",
        "http//user:secret@h:1",
        "user:secret@h:1",
        "user:secret@h/3",
        "user:secret@7:",
        "user:secret@192.0.2.1:",
        "user:sec@secret@7:",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct uplink_spec spec;
        char err[256] = "";
        assert_int_equal(uplink_spec_parse(&spec, bad[i], err, sizeof err), -EINVAL);
        assert_true(err[0] && !strstr(err, "secret"));
    }
}

static void test_message_is_cut_to_its_place(void **state)
{
    struct uplink_spec spec;
    char err[16];
    memset(err, 'x', sizeof err);
    assert_int_equal(uplink_spec_parse(&spec, "eth0@nothing", err, 10), -EINVAL);
    assert_string_equal(err, "uplink \"e");
    assert_int_equal(err[10], 'x');
    (void)state;
}

static void test_done_frees_tags(void **state)
{
    struct uplink_spec spec = parse("eth0");
    spec.tags[spec.n_tags++] = strdup("metered");
    spec.tags[spec.n_tags++] = strdup("slow");
    uplink_spec_done(&spec); /* ASan would see a leak */
    assert_int_equal(spec.n_tags, 0);
    assert_null(spec.tags[0]);
    uplink_spec_done(&spec);
    (void)state;
}

/* Each field makes another way, except for those that can change in place. */
static void test_same_way(void **state)
{
    struct uplink_spec a = {.kind = UPLINK_INTERFACE, .weight = 1, .tier = 1}, b = a;
    struct parent_spec one = {.scheme = "socks5", .host = "h", .port = 1}, other = one;
    char tag[] = "metered", same[] = "metered", check[] = "192.0.2.1:443", copy[] = "192.0.2.1:443";

    (void)state;
    b.weight = 2;
    b.tier = 3;
    b.quota.bytes = 7;
    b.slashed = true;
    assert_true(uplink_spec_same_way(&a, &b));
#define OTHER_WITH(change)                                                                                   \
    b = a;                                                                                                   \
    change;                                                                                                  \
    assert_false(uplink_spec_same_way(&a, &b));                                                              \
    assert_false(uplink_spec_same_way(&b, &a))
    OTHER_WITH(b.kind = UPLINK_ADDRESS);
    OTHER_WITH(b.name[0] = 'n');
    OTHER_WITH(b.interface[0] = 'i');
    OTHER_WITH(assert_int_equal(addr_parse_ip(&b.address, slice_str("192.0.2.1"), 0), 0));
    OTHER_WITH(assert_int_equal(addr_parse_ip(&b.gateway4, slice_str("192.0.2.1"), 0), 0));
    OTHER_WITH(assert_int_equal(addr_parse_ip(&b.gateway6, slice_str("2001:db8::1"), 0), 0));
    OTHER_WITH(b.parent = &one);
    OTHER_WITH(b.tags[b.n_tags++] = tag);
    OTHER_WITH(b.mark = 1);
    OTHER_WITH(b.ipv6_given = true);
    OTHER_WITH(assert_int_equal(dns_servers_parse(&b.dns, "192.0.2.53"), 0));
    OTHER_WITH(b.check = check);
    OTHER_WITH(b.portal = check);
    a.parent = &one;
    OTHER_WITH((b.parent = &other, other.port = 2));
    other = one;
    OTHER_WITH((b.parent = &other, other.pass[0] = 'p'));
    other = one;
    a.tags[a.n_tags++] = tag;
    a.check = check;
    OTHER_WITH((b.tags[0] = check));
    b = a;
    b.parent = &other;
    b.tags[0] = same;
    b.check = copy;
    assert_true(uplink_spec_same_way(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_bad_weights),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_addresses_that_no_machine_has),
        cmocka_unit_test(test_no_password_is_repeated),
        cmocka_unit_test(test_message_is_cut_to_its_place),
        cmocka_unit_test(test_done_frees_tags),
        cmocka_unit_test(test_same_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
