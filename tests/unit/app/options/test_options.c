/* Every option's good and bad values, and the table of options. */
#include "options/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static bool file_at_fault;

static int set(struct config *c, const char *name, const char *value, char *err)
{
    const struct option_value given = {.option = option_by_name(slice_str(name)), .text = value};

    assert_non_null(given.option);
    return options_apply(c, &given, 1, &file_at_fault, err);
}

static void must_set(struct config *c, const char *name, const char *value)
{
    char err[CONFIG_ERROR_MAX] = "";
    if (set(c, name, value, err) != 0)
        fail_msg("--%s %s: %s", name, value, err);
}

/* --- the table ------------------------------------------------------------------------------------------ */

static void the_table_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; option_at(i); i++) {
        const struct option *o = option_at(i);
        assert_non_null(o->group);
        assert_true(o->about && o->about[0]);
        assert_int_equal(o->set != NULL, o->action == OPTION_SETS);
        assert_int_equal(o->argument == NULL, o->kind == OPTION_FLAG);
        assert_true(o->scope != 0);
        assert_ptr_equal(option_by_name(slice_str(o->name)), o); /* no name twice */
        if (o->letter)
            assert_ptr_equal(option_by_letter(o->letter), o);
    }
    assert_null(option_by_name(slice_str("nothing")));
    assert_null(option_by_name(slice_str("")));
    assert_null(option_by_letter('x'));
    assert_null(option_by_letter('\0'));
}

/* --- refusals ------------------------------------------------------------------------------------------- */

static void bad_values_are_refused_by_name(void **state)
{
    static const struct {
        const char *option, *value, *expected;
    } bad[] = {
        {"port", "70000", "--port: 70000 is not a port (1 to 65535, 0 for a free one)"},
        {"port", "65536", "--port: 65536 is not a port"},
        {"port", "-1", "--port: '-1' is not a port"},
        {"port", "", "--port: '' is not a port"},
        {"port", "1080x", "--port: '1080x' is not a port"},
        {"port", "+80", "--port: '+80' is not a port"},
        {"port", "99999999999999999999", "is not a port"},
        {"host", "", "--host: '' is not an address of this machine"},
        {"host", "example.org", "--host: 'example.org' is not an address"},
        {"host", "127.0.0.1:80", "--host: '127.0.0.1:80' is not an address"},
        {"listen", "1080", "--listen: 1080 is not ADDRESS:PORT"},
        {"listen", ":1080", "--listen: ':1080' is not ADDRESS:PORT"},
        {"listen", "::1:1080", "--listen: '::1:1080' is not ADDRESS:PORT"},
        {"listen", "[::1]", "--listen: '[::1]' is not ADDRESS:PORT"},
        {"listen", "127.0.0.1", "--listen: '127.0.0.1' is not ADDRESS:PORT"},
        {"listen", "127.0.0.1:", "--listen: '' is not a port"},
        {"listen", "[2001:db8::1%later0]:80", "--listen: '[2001:db8::1%later0]:80' is not ADDRESS:PORT"},
        {"listen", "[fe80::1%]:80", "is not ADDRESS:PORT"},
        {"host", "fe80::1%a/b", "--host: 'fe80::1%a/b' is not an address"},
        {"listen", "127.0.0.1:65536", "--listen: 65536 is not a port"},
        {"listen", "127.0.0.1:1080,", "--listen: '' is not proxy-protocol"},
        {"listen", "127.0.0.1:1080,proxy", "--listen: 'proxy' is not proxy-protocol"},
        {"listen", "127.0.0.1:1080, proxy-protocol", "--listen: ' proxy-protocol' is not proxy-protocol"},
        {"listen", "127.0.0.1,proxy-protocol", "is not ADDRESS:PORT"},
        {"proxy-protocol-from", "balancer", "--proxy-protocol-from: 'balancer' is not an address range"},
        {"proxy-protocol-from", "10.0.0.1,", "--proxy-protocol-from: '' is not an address range"},
        {"pac-bypass", "a b", "--pac-bypass: 'a b' is not a name or an address range"},
        {"pac-bypass", "lan,", "--pac-bypass: '' is not a name or an address range"},
        {"pac-bypass", "10.0.0.0/33", "--pac-bypass: '10.0.0.0/33' is not a name or an address range"},
        {"listen", "home:1080", "--listen: 'home:1080' is not ADDRESS:PORT"},
        {"allow", "10.0.0.0/33", "--allow: '10.0.0.0/33' is not an address range"},
        {"allow", "10.0.0.0/8,", "--allow: '' is not an address range"},
        {"allow", "home", "--allow: 'home' is not"},
        {"bypass", "10.0.0.0/8,none", "--bypass: 'none' is not an address range"},
        {"bind-from", "10.0.0.0/8,none", "--bind-from: 'none' is not an address range"},
        {"bind-timeout", "0", "is not a time"},
        {"bypass", "", "--bypass: '' is not an address range"},
        {"set", "key", "--set: 'key' is not KEY=VALUE"},
        {"set", "=value", "--set: '=value' is not KEY=VALUE"},
        {"policy", "", "--policy: expected a text that is not empty"},
        {"dns", "dns.example", "--dns: 'dns.example' is not a DNS server"},
        {"dns", "192.0.2.53:0", "--dns: '192.0.2.53:0' is not a DNS server"},
        {"dns", "[2001:db8::53]:0", "--dns: '[2001:db8::53]:0' is not a DNS server"},
        {"dns", "192.0.2.53,", "--dns: '' is not a DNS server"},
        {"dial-timeout", "0", "--dial-timeout: '0' is not a time in seconds (0.1 to 86400)"},
        {"dial-timeout", "0.09", "is not a time"},
        {"dial-timeout", "86401", "is not a time"},
        {"dial-timeout", "inf", "is not a time"},
        {"dial-timeout", "nan", "is not a time"},
        {"dial-timeout", "0x10", "is not a time"},
        {"dial-timeout", " 5", "is not a time"},
        {"dial-timeout", "1.2.3", "is not a time"},
        {"dial-timeout", "", "is not a time"},
        {"dial-timeout", ".", "is not a time"},
        {"handshake-timeout", "0", "--handshake-timeout: "},
        {"idle-timeout", "x", "--idle-timeout: "},
        {"drain-timeout", "-1", "--drain-timeout: '-1' is not a time in seconds (0 to 86400)"},
        {"data-dir", "", "--data-dir: expected a text"},
        {"log-format", "xml", "--log-format: 'xml' is not text or json"},
        {"ipv6-source", "privacy", "--ipv6-source: 'privacy' is not one of system, temporary, stable"},
        {"own-mark", "", "--own-mark: expected one bit from 0x1000000 to 0x80000000, got ''"},
        {"own-mark", "0x3000000", "expected one bit"},
        {"own-mark", "0x800000", "expected one bit"},
        {"own-mark", "0", "expected one bit"},
        {"own-mark", "-0x80000000", "expected one bit"},
        {"own-mark", "0x80000000x", "expected one bit"},
        {"own-mark", "0x100000000", "expected one bit"},
        {"own-mark", "0x10000000000000000", "expected one bit"},
        {"auth", "SECRET", "--auth: expected USER:PASS"},
        {"auth", ":SECRET", "--auth: expected USER:PASS"},
        {"auth-file", "/nonexistent", "--auth-file: /nonexistent: No such file or directory"},
        {"auth-file", "/dev/null", "--auth-file: /dev/null: expected a regular file"},
        {"auth-file", "", "--auth-file: expected the name of a file"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char err[CONFIG_ERROR_MAX] = "";
        struct config c;
        config_init(&c);
        if (set(&c, bad[i].option, bad[i].value, err) >= 0)
            fail_msg("taken for good: --%s '%s'", bad[i].option, bad[i].value);
        if (!strstr(err, bad[i].expected))
            fail_msg("expected: %s\ngot: %s", bad[i].expected, err);
        assert_null(strstr(err, "SECRET"));
        assert_null(strchr(err, '\n'));
        config_done(&c);
    }
}

static void a_long_value_is_cut(void **state)
{
    char value[4096], err[CONFIG_ERROR_MAX] = "";
    struct config c;

    (void)state;
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    config_init(&c);
    assert_true(set(&c, "port", value, err) < 0);
    assert_non_null(strstr(err, "vvv…' is not a port"));
    assert_true(strlen(err) < 150);
    config_done(&c);
}

/* --- effects of options --------------------------------------------------------------------------------- */

static const char *addresses(const struct listen_place *list, size_t n)
{
    static char out[CONFIG_LISTEN_MAX * LISTEN_TEXT_MAX];
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        char text[LISTEN_TEXT_MAX];
        len += (size_t)snprintf(out + len, sizeof out - len, "%s%s", i ? " " : "",
                                listen_place_text(&list[i], text));
    }
    return out;
}

static void places_to_listen(void **state)
{
    static const struct {
        const char *value, *expected;
    } places[] = {
        {"127.0.0.1:1080", "127.0.0.1:1080"},
        {"[::1]:1080", "[::1]:1080"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"[::]:65535", "[::]:65535"},
        {"*:1080", "0.0.0.0:1080 [::]:1080"},
        {"localhost:99", "127.0.0.1:99 [::1]:99"},
        {"LocalHost:99", "127.0.0.1:99 [::1]:99"},
        {"[fe80::1%later0]:99", "[fe80::1%later0]:99"},
    };
    struct config c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        config_init(&c);
        must_set(&c, "listen", places[i].value);
        assert_string_equal(addresses(c.listen, c.n_listen), places[i].expected);
        config_done(&c);
    }
    static const char *const hosts[][2] = {{"localhost", "127.0.0.1:0 [::1]:0"},
                                           {"*", "0.0.0.0:0 [::]:0"},
                                           {"192.0.2.1", "192.0.2.1:0"},
                                           {"::1", "[::1]:0"},
                                           {"fe80::1%later0", "[fe80::1%later0]:0"}};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        config_init(&c);
        must_set(&c, "host", hosts[i][0]);
        assert_string_equal(addresses(c.hosts, c.n_hosts), hosts[i][1]);
        config_done(&c);
    }
}

static void the_number_of_places_is_limited(void **state)
{
    struct option_value values[CONFIG_LISTEN_MAX + 1];
    char texts[CONFIG_LISTEN_MAX + 1][32], err[CONFIG_ERROR_MAX] = "";
    struct config c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        (void)snprintf(texts[i], sizeof texts[i], "127.0.0.1:%zu", i + 1);
        values[i] = (struct option_value){option_by_name(slice_str("listen")), texts[i]};
    }
    config_init(&c);
    assert_int_equal(options_apply(&c, values, CONFIG_LISTEN_MAX, &file_at_fault, err), 0);
    assert_int_equal(options_apply(&c, values, CONFIG_LISTEN_MAX + 1, &file_at_fault, err), -ENOSPC);
    assert_string_equal(err, "--listen: at most 32 addresses");
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        values[i] = (struct option_value){option_by_name(slice_str("host")), "127.0.0.1"};
    assert_int_equal(options_apply(&c, values, CONFIG_LISTEN_MAX + 1, &file_at_fault, err), -ENOSPC);
    config_done(&c);
}

static void scalars(void **state)
{
    struct config c;

    (void)state;
    config_init(&c);
    must_set(&c, "port", "0");
    assert_int_equal(c.port, 0);
    must_set(&c, "port", "65535");
    assert_int_equal(c.port, 65535);
    must_set(&c, "http", "");
    assert_true(c.http);
    assert_false(c.fast_open);
    must_set(&c, "fast-open", "");
    assert_true(c.fast_open);
    assert_int_equal(c.ipv6_source, EGRESS_IPV6_SYSTEM);
    must_set(&c, "ipv6-source", "temporary");
    assert_int_equal(c.ipv6_source, EGRESS_IPV6_TEMPORARY);
    must_set(&c, "ipv6-source", "stable");
    assert_int_equal(c.ipv6_source, EGRESS_IPV6_STABLE);
    must_set(&c, "ipv6-source", "system");
    assert_int_equal(c.ipv6_source, EGRESS_IPV6_SYSTEM);
    must_set(&c, "policy", "one");
    must_set(&c, "policy", "./two.lua");
    assert_string_equal(c.policy, "./two.lua");
    must_set(&c, "dial-timeout", "0.1");
    must_set(&c, "bind-timeout", "7");
    must_set(&c, "handshake-timeout", "86400");
    must_set(&c, "idle-timeout", "2.5");
    must_set(&c, "drain-timeout", "0");
    assert_true(c.bind_timeout_s == 7);
    assert_true(c.dial_timeout_s == 0.1 && c.handshake_timeout_s == 86400 && c.idle_timeout_s == 2.5 &&
                c.drain_timeout_s == 0);
    must_set(&c, "data-dir", "/x");
    assert_string_equal(c.data_dir, "/x");
    must_set(&c, "debug", "");
    assert_int_equal(c.log_level, LOG_DEBUG);
    must_set(&c, "quiet", "");
    assert_int_equal(c.log_level, LOG_WARN);
    must_set(&c, "log-format", "json");
    assert_int_equal(c.log_format, LOG_JSON);
    must_set(&c, "log-format", "text");
    assert_int_equal(c.log_format, LOG_TEXT);
    must_set(&c, "set", "key=a=b");
    assert_string_equal(c.params[0].value, "a=b");
    must_set(&c, "dns", "192.0.2.53,192.0.2.54:5353,[2001:db8::53]:53,2001:db8::54");
    assert_string_equal(c.dns_servers, "192.0.2.53,192.0.2.54:5353,[2001:db8::53]:53,2001:db8::54");
    config_done(&c);
}

static const char *ranges(const struct cidr_set *set)
{
    static char out[1024];
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < set->n; i++) {
        char text[ADDR_TEXT_MAX];
        len += (size_t)snprintf(out + len, sizeof out - len, "%s%s", i ? " " : "",
                                cidr_format(&set->items[i], text));
    }
    return out;
}

static void address_ranges(void **state)
{
    struct config c;

    (void)state;
    config_init(&c);
    must_set(&c, "allow", "192.0.2.7/24,fd00::/8,198.51.100.1");
    assert_true(c.allow_given);
    assert_string_equal(ranges(&c.access.clients), "192.0.2.0/24 fd00::/8 198.51.100.1/32");
    must_set(&c, "bind-from", "192.0.2.0/24");
    assert_true(c.bind_from_given);
    assert_string_equal(ranges(&c.bind_from), "192.0.2.0/24");
    must_set(&c, "bind-from", "none");
    assert_string_equal(ranges(&c.bind_from), "");
    must_set(&c, "bypass", "10.0.0.0/8,::1");
    assert_false(c.bypass_default);
    assert_string_equal(ranges(&c.bypass), "10.0.0.0/8 ::1/128");
    must_set(&c, "bypass", "none");
    assert_false(c.bypass_default);
    assert_string_equal(ranges(&c.bypass), "");
    config_done(&c);
}

static void none_clears_the_ranges_before_it(void **state)
{
    const struct option *bypass = option_by_name(slice_str("bypass"));
    const struct option_value values[] = {{bypass, "10.0.0.0/8"}, {bypass, "none"}, {bypass, "fd00::/8"}};
    char err[CONFIG_ERROR_MAX];
    struct config c;

    (void)state;
    config_init(&c);
    assert_int_equal(options_apply(&c, values, 3, &file_at_fault, err), 0);
    assert_string_equal(ranges(&c.bypass), "fd00::/8");
    config_done(&c);
}

static void users(void **state)
{
    char err[CONFIG_ERROR_MAX];
    struct config c;
    const struct option *auth = option_by_name(slice_str("auth"));
    const struct option_value twice[] = {{auth, "a:SECRET"}, {auth, "a:SECRET2"}};

    (void)state;
    assert_true(auth->secret);
    config_init(&c);
    must_set(&c, "auth", "alice:pw");
    assert_true(access_check_user(&c.access, slice_str("alice"), slice_str("pw")));
    assert_int_equal(options_apply(&c, twice, 2, &file_at_fault, err), -EINVAL);
    assert_string_equal(err, "--auth: this user was given before");
    config_done(&c);
}

/* --- over a config file --------------------------------------------------------------------------------- */

static struct config as_from_a_file(void)
{
    struct config c;

    config_init(&c);
    must_set(&c, "listen", "192.0.2.1:99");
    c.port = 2000;
    assert_int_equal(addr_parse_ip(&c.hosts[c.n_hosts++].addr, slice_str("192.0.2.2"), 0), 0);
    must_set(&c, "auth", "file:pw");
    must_set(&c, "allow", "192.0.2.0/24");
    must_set(&c, "bypass", "172.16.0.0/12");
    must_set(&c, "dns", "192.0.2.53");
    must_set(&c, "set", "key=value");
    return c;
}

static void the_command_line_replaces_the_files_values(void **state)
{
    static const struct {
        const char *option, *value, *listens_at;
    } table[] = {
        {"port", "3000", "192.0.2.2:3000"}, /* the file's host stays */
        {"http", "", "192.0.2.2:8080"},
        {"host", "127.0.0.1", "127.0.0.1:2000"}, /* the file's port stays */
        {"listen", "127.0.0.1:7", "127.0.0.1:7"},
    };
    struct config c;
    char err[CONFIG_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        c = as_from_a_file();
        must_set(&c, table[i].option, table[i].value);
        assert_int_equal(config_finish(&c, err), 0);
        assert_string_equal(addresses(c.listen, c.n_listen), table[i].listens_at);
        config_done(&c);
    }

    c = as_from_a_file();
    must_set(&c, "auth", "line:pw");
    must_set(&c, "allow", "127.0.0.1");
    must_set(&c, "bypass", "10.0.0.0/8");
    must_set(&c, "dns", "192.0.2.99");
    must_set(&c, "set", "more=1");
    assert_int_equal(c.access.n_users, 1);
    assert_string_equal(c.access.users[0].name, "line");
    assert_string_equal(ranges(&c.access.clients), "127.0.0.1/32");
    assert_string_equal(ranges(&c.bypass), "10.0.0.0/8");
    assert_string_equal(c.dns_servers, "192.0.2.99");
    assert_int_equal(c.n_params, 2); /* parameters are added one by one */
    must_set(&c, "policy", "other");
    assert_int_equal(c.n_params, 0); /* they belonged to the policy before */
    config_done(&c);
}

static void a_new_port_replaces_the_files_http(void **state)
{
    const struct option_value values[] = {{option_by_name(slice_str("listen")), "127.0.0.1:7"},
                                          {option_by_name(slice_str("host")), "127.0.0.1"}};
    struct config c;
    char err[CONFIG_ERROR_MAX];

    (void)state;
    config_init(&c);
    c.http = true;
    assert_int_equal(options_apply(&c, values, 2, &file_at_fault, err), 0);
    assert_int_equal(config_finish(&c, err), 0);
    assert_string_equal(addresses(c.listen, c.n_listen), "127.0.0.1:7 127.0.0.1:1080");
    config_done(&c);
}

static void the_order_of_options_does_not_matter(void **state)
{
    struct option_value values[] = {
        {option_by_name(slice_str("port")), "3000"},          {option_by_name(slice_str("set")), "own=1"},
        {option_by_name(slice_str("listen")), "127.0.0.1:7"}, {option_by_name(slice_str("policy")), "mine"},
        {option_by_name(slice_str("auth")), "a:1"},           {option_by_name(slice_str("auth")), "b:2"},
        {option_by_name(slice_str("dns")), "192.0.2.1"},      {option_by_name(slice_str("dns")), "192.0.2.2"},
    };
    const size_t n = ARRAY_LEN(values);
    char err[CONFIG_ERROR_MAX];

    (void)state;
    for (int round = 0; round < 2; round++) {
        struct config c = as_from_a_file();
        assert_int_equal(options_apply(&c, values, n, &file_at_fault, err), 0);
        assert_int_equal(config_finish(&c, err), 0);
        assert_string_equal(addresses(c.listen, c.n_listen), "127.0.0.1:7 127.0.0.1:3000 [::1]:3000");
        assert_int_equal(c.n_params, 1);
        assert_string_equal(c.params[0].key, "own");
        assert_int_equal(c.access.n_users, 2);
        assert_string_equal(c.dns_servers, round ? "192.0.2.2,192.0.2.1" : "192.0.2.1,192.0.2.2");
        config_done(&c);
        for (size_t i = 0; i < n / 2; i++) { /* and in reverse order */
            struct option_value v = values[i];
            values[i] = values[n - 1 - i];
            values[n - 1 - i] = v;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_whole),
        cmocka_unit_test(bad_values_are_refused_by_name),
        cmocka_unit_test(a_long_value_is_cut),
        cmocka_unit_test(places_to_listen),
        cmocka_unit_test(the_number_of_places_is_limited),
        cmocka_unit_test(scalars),
        cmocka_unit_test(address_ranges),
        cmocka_unit_test(none_clears_the_ranges_before_it),
        cmocka_unit_test(users),
        cmocka_unit_test(the_command_line_replaces_the_files_values),
        cmocka_unit_test(a_new_port_replaces_the_files_http),
        cmocka_unit_test(the_order_of_options_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
