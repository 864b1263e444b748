/* The networks and routers of a machine that are near. */
#include "capture/capture_near.h"

#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 0), 0);
    return a;
}

static void assert_near(const struct machine *m, const char *expected)
{
    struct cidr_set near = {.n = 0};
    char all[256] = "", one[ADDR_TEXT_MAX];

    assert_int_equal(capture_near_find(m, &near), 0);
    for (size_t i = 0; i < near.n; i++) {
        strcat(all, " ");
        strcat(all, cidr_format(&near.items[i], one));
    }
    assert_string_equal(all, expected);
    cidr_set_done(&near);
}

static void networks_and_routers_are_near(void **state)
{
    struct machine_addr addrs[] = {
        {.addr = ip("127.0.0.1"), .prefix = 8},  {.addr = ip("10.0.1.2"), .prefix = 24},
        {.addr = ip("10.9.9.9"), .prefix = 0},   {.addr = ip("192.0.2.7"), .prefix = 32},
        {.addr = ip("fd00:1::2"), .prefix = 64}, {.addr = ip("::1"), .prefix = 128}};
    struct machine_link links[] = {{.gateway4 = ip("203.0.113.1")}, {.gateway6 = ip("fe80::1")}};
    const struct machine m = {.links = links, .n_links = 2, .addrs = addrs, .n_addrs = 6};
    (void)state;
    assert_near(&m, " 10.0.1.0/24 192.0.2.7/32 fd00:1::/64 203.0.113.1/32 fe80::1/128");
    assert_near(&(struct machine){.n_links = 0}, "");
}

static void link_local_ipv6_reaches_no_internet(void **state)
{
    struct machine_addr addrs[] = {{.addr = ip("10.0.1.2"), .prefix = 24, .scope = RT_SCOPE_UNIVERSE},
                                   {.addr = ip("fe80::2"), .prefix = 64, .scope = RT_SCOPE_LINK},
                                   {.addr = ip("2001:db8::2"), .prefix = 64, .scope = RT_SCOPE_UNIVERSE}};
    (void)state;
    assert_false(capture_near_has_ipv6(&(struct machine){.addrs = addrs, .n_addrs = 2}));
    assert_true(capture_near_has_ipv6(&(struct machine){.addrs = addrs, .n_addrs = 3}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_and_routers_are_near),
        cmocka_unit_test(link_local_ipv6_reaches_no_internet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
