/* The capabilities that a config needs. */
#include "confine/confine_rights.h"

#include "options/options.h"

#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t BIND = 1ULL << CAP_NET_BIND_SERVICE, ADMIN = 1ULL << CAP_NET_ADMIN;

/* Kernels before 5.7 need CAP_NET_RAW whatever the config says. */
static uint64_t needed(const char *option, const char *value)
{
    char err[CONFIG_ERROR_MAX] = "";
    struct config c;
    const struct option_value given = {.option = option_by_name(slice_str(option)), .text = value};
    bool file;

    config_init(&c);
    assert_non_null(given.option);
    assert_int_equal(options_apply(&c, &given, 1, &file, err), 0);
    assert_int_equal(config_finish(&c, err), 0);
    const uint64_t rights = confine_rights_needed(&c);
    config_done(&c);
    return rights & ~(1ULL << CAP_NET_RAW);
}

static void test_ports(void **state)
{
    (void)state;
    assert_int_equal(needed("listen", "127.0.0.1:1"), BIND);
    assert_int_equal(needed("listen", "127.0.0.1:0"), 0);
    assert_int_equal(needed("listen", "127.0.0.1:60000"), 0);
    assert_int_equal(needed("port", "1"), BIND);
    assert_int_equal(needed("forward", "tcp:127.0.0.1:1=192.0.2.1:80"), BIND);
    assert_int_equal(needed("forward", "udp:127.0.0.1:60000=192.0.2.1:80"), 0);
    assert_int_equal(needed("udp-ports", "1-2000"), BIND);
    assert_int_equal(needed("udp-ports", "40000-40999"), 0);
}

static void test_marks(void **state)
{
    (void)state;
    assert_int_equal(needed("own-mark", "0x40000000"), ADMIN);
    assert_int_equal(needed("transparent", "tproxy:127.0.0.1:1081"), ADMIN);
    assert_int_equal(needed("transparent", "redirect:127.0.0.1:1"), BIND | ADMIN);
}

static void test_uplinks(void **state)
{
    struct config c;
    const uint64_t raw = 1ULL << CAP_NET_RAW;

    (void)state;
    config_init(&c);
    c.n_uplinks = 1;
    assert_int_equal(confine_rights_needed(&c) & ~raw, 0);
    c.uplinks[0].mark = 7;
    assert_int_equal(confine_rights_needed(&c) & ~raw, ADMIN);
    c.uplinks[0].mark = 0;
    assert_int_equal(addr_parse_ip(&c.uplinks[0].gateway6, slice_str("2001:db8::1"), 0), 0);
    assert_int_equal(confine_rights_needed(&c) & ~raw, ADMIN);
    c.uplinks[0] = (struct uplink_spec){.weight = 1};
    assert_int_equal(addr_parse_ip(&c.uplinks[0].gateway4, slice_str("192.0.2.1"), 0), 0);
    assert_int_equal(confine_rights_needed(&c) & ~raw, ADMIN);
    c.n_uplinks = 0;
    config_done(&c);
}

static void test_text(void **state)
{
    char text[CONFINE_RIGHTS_TEXT_MAX];

    (void)state;
    assert_string_equal(confine_rights_text(0, text), "none");
    assert_string_equal(confine_rights_text(ADMIN, text), "CAP_NET_ADMIN");
    assert_string_equal(confine_rights_text(~0ULL, text), "CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_uplinks),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
