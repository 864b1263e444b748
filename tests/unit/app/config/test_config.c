/* The defaults, and what config_finish fills in. */
#include "config/config.h"
#include "uplink/uplink_spec.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct addr ip(const char *text, uint16_t port)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(text), port), 0);
    return a;
}

static int listen_at(struct config *c, const char *text, uint16_t port)
{
    const struct listen_place place = {.addr = ip(text, port)};
    return config_add_listen(c, &place, 1);
}

/* "127.0.0.1:1080 [::1]:1080" */
static const char *listening(const struct config *c)
{
    static char out[CONFIG_LISTEN_MAX * ADDR_TEXT_MAX];
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < c->n_listen; i++) {
        char text[ADDR_TEXT_MAX];
        len += (size_t)snprintf(out + len, sizeof out - len, "%s%s", i ? " " : "",
                                addr_format(&c->listen[i].addr, text));
    }
    return out;
}

static void finish(struct config *c)
{
    char err[CONFIG_ERROR_MAX] = "";
    if (config_finish(c, err) != 0)
        fail_msg("%s", err);
}

static bool serves(const struct config *c, const char *client)
{
    struct addr a = ip(client, 1);
    return access_client_allowed(&c->access, &a);
}

static void defaults(void **state)
{
    struct config c;

    (void)state;
    config_init(&c);
    finish(&c);
    assert_string_equal(listening(&c), "127.0.0.1:1080 [::1]:1080");
    assert_int_equal(c.n_uplinks, 0);
    assert_null(c.policy);
    assert_true(c.bypass_default);
    assert_int_equal(c.bind_from.n, 2);
    assert_true(c.bind_timeout_s == 60);
    assert_true(c.dial_timeout_s == 10 && c.handshake_timeout_s == 30 && c.idle_timeout_s == 3600 &&
                c.drain_timeout_s == 10);
    assert_int_equal(c.log_level, LOG_INFO);
    assert_int_equal(c.log_format, LOG_AUTO);
    assert_true(serves(&c, "127.0.0.1"));
    assert_true(serves(&c, "192.168.1.2"));
    assert_false(serves(&c, "8.8.8.8"));
    config_done(&c);
}

static void http_moves_only_the_default_port(void **state)
{
    struct config c;

    (void)state;
    config_init(&c);
    c.http = true;
    finish(&c);
    assert_string_equal(listening(&c), "127.0.0.1:8080 [::1]:8080");
    config_done(&c);

    config_init(&c);
    c.http = true;
    c.port = 0;
    finish(&c);
    assert_string_equal(listening(&c), "127.0.0.1:0 [::1]:0");
    config_done(&c);
}

static void hosts_take_the_port(void **state)
{
    struct config c;

    (void)state;
    config_init(&c);
    c.port = 3128;
    c.hosts[c.n_hosts++].addr = ip("192.0.2.1", 0);
    c.hosts[c.n_hosts++].addr = ip("2001:db8::1", 0);
    finish(&c);
    assert_string_equal(listening(&c), "192.0.2.1:3128 [2001:db8::1]:3128");
    config_done(&c);
}

static void listen_replaces_the_default_or_joins_host_and_port(void **state)
{
    struct config c;

    (void)state;
    config_init(&c);
    assert_int_equal(listen_at(&c, "192.0.2.1", 99), 0);
    finish(&c);
    assert_string_equal(listening(&c), "192.0.2.1:99");
    config_done(&c);

    config_init(&c);
    assert_int_equal(listen_at(&c, "192.0.2.1", 99), 0);
    assert_int_equal(listen_at(&c, "127.0.0.1", 99), 0);
    assert_int_equal(listen_at(&c, "127.0.0.1", 99), 0); /* an address is kept once */
    c.port = 99;
    finish(&c);
    assert_string_equal(listening(&c), "192.0.2.1:99 127.0.0.1:99 [::1]:99");
    config_done(&c);
}

static void the_number_of_addresses_is_limited(void **state)
{
    char err[CONFIG_ERROR_MAX] = "";
    struct config c;

    (void)state;
    config_init(&c);
    for (uint16_t i = 1; i <= CONFIG_LISTEN_MAX; i++)
        assert_int_equal(listen_at(&c, "127.0.0.1", i), 0);
    assert_int_equal(listen_at(&c, "127.0.0.1", 1000), -ENOSPC);
    c.port = 1;
    assert_int_equal(config_finish(&c, err), -ENOSPC); /* no room for [::1]:1 */
    assert_string_equal(err, "more than 32 addresses to listen on");
    config_done(&c);
}

static void users_allow_every_address_unless_ranges_were_given(void **state)
{
    struct cidr range;
    struct config c;

    (void)state;
    config_init(&c);
    assert_int_equal(access_add_user(&c.access, slice_str("a:b")), 0);
    finish(&c);
    assert_true(serves(&c, "8.8.8.8"));
    assert_true(serves(&c, "2001:db8::1"));
    config_done(&c);

    config_init(&c);
    assert_int_equal(access_add_user(&c.access, slice_str("a:b")), 0);
    assert_int_equal(cidr_parse(&range, slice_str("192.0.2.0/24")), 0);
    assert_int_equal(cidr_set_add(&c.access.clients, &range), 0);
    c.allow_given = true;
    finish(&c);
    assert_true(serves(&c, "192.0.2.200"));
    assert_false(serves(&c, "8.8.8.8"));
    assert_false(serves(&c, "127.0.0.1"));
    config_done(&c);
}

static void the_last_value_of_a_parameter_counts(void **state)
{
    struct config c;

    (void)state;
    config_init(&c);
    assert_int_equal(config_set_param(&c, slice_of("keyed", 3), slice_str("1")), 0);
    assert_int_equal(config_set_param(&c, slice_str("other"), slice_str("")), 0);
    assert_int_equal(config_set_param(&c, slice_str("key"), slice_of("22", 1)), 0);
    assert_int_equal(c.n_params, 2);
    assert_string_equal(c.params[0].key, "key");
    assert_string_equal(c.params[0].value, "2");
    assert_string_equal(c.params[1].value, "");
    config_done(&c);
    assert_int_equal(c.n_params, 0);
}

static void uplinks_are_owned_on_failure_too(void **state)
{
    char err[CONFIG_ERROR_MAX];
    struct config c;

    (void)state;
    config_init(&c);
    for (int i = 0; i <= UPLINK_MAX; i++) {
        struct uplink_spec spec = {.weight = 1, .tier = 1, .tags = {strdup("tag")}, .n_tags = 1};
        (void)snprintf(spec.name, sizeof spec.name, "line%d", i);
        assert_int_equal(config_add_uplink(&c, &spec, err), i < UPLINK_MAX ? 0 : -EINVAL);
    }
    assert_int_equal(c.n_uplinks, UPLINK_MAX);
    config_clear(&c, CONFIG_PART_UPLINKS);
    assert_int_equal(c.n_uplinks, 0);
    config_done(&c);
}

static void an_uplink_can_be_given_once(void **state)
{
    static const char *const given[] = {"eth0", "192.0.2.2", "192.0.2.2@3"};
    char err[CONFIG_ERROR_MAX];
    struct config c;

    (void)state;
    config_init(&c);
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        struct uplink_spec spec;
        assert_int_equal(uplink_spec_parse(&spec, given[i], err, sizeof err), 0);
        assert_int_equal(config_add_uplink(&c, &spec, err), i < 2 ? 0 : -EINVAL);
    }
    assert_string_equal(err,
                        "uplink 192.0.2.2 is given twice (a config file can give each a name of its own)");
    config_done(&c);
}

static void a_policy_is_a_name_or_a_file(void **state)
{
    static const char *const names[] = {"round_robin", "lua", "", "x.luax", "lua.", "a.lua.bak"};
    static const char *const files[] = {"./x", "/x/y", "x/", "x.lua", ".lua", "a/b.lua"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (config_policy_is_file(names[i]))
            fail_msg("'%s' is a name", names[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (!config_policy_is_file(files[i]))
            fail_msg("'%s' is a file", files[i]);
    }
}

static void the_bit_of_own_packets_is_for_no_uplink(void **state)
{
    struct uplink_spec spec;
    struct config c;
    char err[CONFIG_ERROR_MAX];

    (void)state;
    config_init(&c);
    assert_int_equal(config_own_mark(&c), 0);
    assert_int_equal(uplink_spec_parse(&spec, "eth0", err, sizeof err), 0);
    spec.mark = 0x40000007;
    assert_int_equal(config_add_uplink(&c, &spec, err), 0);
    c.own_mark = 0x40000000;
    assert_int_equal(config_own_mark(&c), 0x40000000);
    assert_int_equal(config_finish(&c, err), -EINVAL);
    assert_non_null(strstr(err, "uplink eth0: its mark has the bit 0x40000000 of the proxy's own packets"));
    c.own_mark = 0x20000000;
    finish(&c);
    config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(http_moves_only_the_default_port),
        cmocka_unit_test(hosts_take_the_port),
        cmocka_unit_test(listen_replaces_the_default_or_joins_host_and_port),
        cmocka_unit_test(the_number_of_addresses_is_limited),
        cmocka_unit_test(users_allow_every_address_unless_ranges_were_given),
        cmocka_unit_test(the_last_value_of_a_parameter_counts),
        cmocka_unit_test(uplinks_are_owned_on_failure_too),
        cmocka_unit_test(an_uplink_can_be_given_once),
        cmocka_unit_test(a_policy_is_a_name_or_a_file),
        cmocka_unit_test(the_bit_of_own_packets_is_for_no_uplink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
