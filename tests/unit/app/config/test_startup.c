/* What a start takes from the machine: its uplinks, and the networks that go direct. */
#include "config/startup.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 0), 0);
    return a;
}

static struct machine_link link_of(int index, const char *name)
{
    struct machine_link l = {.index = index, .up = true, .carrier = true, .default4 = true, .default6 = true};
    (void)snprintf(l.name, sizeof l.name, "%s", name);
    return l;
}

static struct machine_addr addr_of(int link, const char *text, uint8_t prefix)
{
    return (struct machine_addr){
        .link = link, .addr = ip(text), .prefix = prefix, .scope = RT_SCOPE_UNIVERSE};
}

static struct uplink_spec spec_of(const char *text)
{
    char err[256];
    struct uplink_spec spec;
    assert_int_equal(uplink_spec_parse(&spec, text, err, sizeof err), 0);
    return spec;
}

static struct config config_with(const char *const *uplinks, size_t n)
{
    struct config c;
    config_init(&c);
    for (size_t i = 0; i < n; i++) {
        struct uplink_spec spec = spec_of(uplinks[i]);
        char err[CONFIG_ERROR_MAX];
        assert_int_equal(config_add_uplink(&c, &spec, err), 0);
    }
    return c;
}

/* --- uplinks -------------------------------------------------------------------------------------------- */

static void given_uplinks_are_used(void **state)
{
    static const char *const given[] = {"eth0@7", "wwan0@3"};
    struct machine_link links[] = {link_of(1, "eth0"), link_of(2, "eth1")};
    struct machine_addr addrs[] = {addr_of(1, "192.0.2.2", 24), addr_of(2, "198.51.100.2", 24)};
    const struct machine m = {.links = links, .n_links = 2, .addrs = addrs, .n_addrs = 2};
    struct config c = config_with(given, 2);
    struct uplink_set set = {.n = 0};
    char err[CONFIG_ERROR_MAX] = "";

    (void)state;
    assert_int_equal(startup_uplinks(&c, &m, &set, err), 0);
    assert_int_equal(set.n, 2); /* eth1 was not asked for */
    assert_string_equal(set.items[0]->name, "eth0");
    assert_true(set.items[0]->view.weight == 7);
    assert_true(set.items[0]->view.up);
    assert_false(set.items[1]->view.up); /* may appear later */
    uplink_set_done(&set);
    config_done(&c);
}

/* In the form of "ip address". A number behind '/' that is not the prefix length is a weight. */
static void a_prefix_length_is_not_a_weight(void **state)
{
    static const struct {
        const char *given, *err;
    } table[] = {
        {"192.0.2.2/24",
         "uplink 192.0.2.2/24: /24 is the length of its network's prefix, and would be its weight; "
         "write 192.0.2.2, or 192.0.2.2@24 for that weight"},
        {"2001:db8::2/64",
         "uplink 2001:db8::2/64: /64 is the length of its network's prefix, and would be its "
         "weight; write 2001:db8::2, or 2001:db8::2@64 for that weight"},
        {"192.0.2.2/7", NULL},
        {"192.0.2.2@24", NULL},
        {"198.51.100.2/24", NULL}, /* the prefix length is unknown */
        {"eth0/24", NULL},
    };
    struct machine_link links[] = {link_of(1, "eth0")};
    struct machine_addr addrs[] = {addr_of(1, "192.0.2.2", 24), addr_of(1, "2001:db8::2", 64)};
    const struct machine m = {.links = links, .n_links = 1, .addrs = addrs, .n_addrs = 2};

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct config c = config_with(&table[i].given, 1);
        struct uplink_set set = {.n = 0};
        char err[CONFIG_ERROR_MAX] = "";
        assert_int_equal(startup_uplinks(&c, &m, &set, err), table[i].err ? -EINVAL : 0);
        assert_string_equal(err, table[i].err ? table[i].err : "");
        uplink_set_done(&set);
        config_done(&c);
    }
    (void)state;
}

static void with_none_given_the_usable_ones_are_found(void **state)
{
    struct machine_link links[] = {link_of(1, "lo"), link_of(2, "eth0"), link_of(3, "eth1")};
    struct machine_addr addrs[] = {addr_of(1, "127.0.0.1", 8), addr_of(2, "192.0.2.2", 24),
                                   addr_of(3, "198.51.100.2", 24)};
    const struct machine m = {.links = links, .n_links = 3, .addrs = addrs, .n_addrs = 3};
    struct config c = config_with(NULL, 0);
    struct uplink_set set = {.n = 0};
    char err[CONFIG_ERROR_MAX] = "";

    (void)state;
    links[0].loopback = true;
    links[2].carrier = false;
    assert_int_equal(startup_uplinks(&c, &m, &set, err), 0);
    assert_int_equal(set.n, 1);
    assert_string_equal(set.items[0]->name, "eth0");
    uplink_set_done(&set);

    links[1].up = false;
    assert_int_equal(startup_uplinks(&c, &m, &set, err), -ENOENT);
    assert_string_equal(
        err, "no link of this machine can serve as an uplink: lo (loopback), eth0 (down), eth1 (no "
             "carrier); name one: steerway start INTERFACE|ADDRESS");
    config_done(&c);
}

static void many_links_are_listed_as_far_as_they_fit(void **state)
{
    enum { MANY = 400 };
    struct machine_link *links = calloc(MANY, sizeof *links);
    const struct machine m = {.links = links, .n_links = MANY}, none = {.n_links = 0};
    struct config c = config_with(NULL, 0);
    struct uplink_set set = {.n = 0};
    char err[CONFIG_ERROR_MAX] = "";
    unsigned more = 0;

    (void)state;
    assert_non_null(links);
    for (int i = 0; i < MANY; i++) {
        char name[IFNAMSIZ];
        (void)snprintf(name, sizeof name, "veth%d", i);
        links[i] = link_of(i + 1, name);
        links[i].up = false;
    }
    assert_int_equal(startup_uplinks(&c, &m, &set, err), -ENOENT);
    assert_true(strlen(err) < CONFIG_ERROR_MAX - 1);
    assert_non_null(strstr(err, "; name one: steerway start INTERFACE|ADDRESS"));
    const char *told = strstr(err, " and ");
    assert_non_null(told);
    assert_int_equal(sscanf(told, " and %u more", &more), 1);
    char last[IFNAMSIZ + 8];
    (void)snprintf(last, sizeof last, "veth%u (down) and", MANY - more - 1);
    assert_non_null(strstr(err, last)); /* the count includes all of them */

    assert_int_equal(startup_uplinks(&c, &none, &set, err), -ENOENT);
    assert_non_null(strstr(err, "it has no links"));
    config_done(&c);
    free(links);
}

/* --- local ---------------------------------------------------------------------------------------------- */

static bool holds(const struct cidr_set *set, const char *text)
{
    struct addr a = ip(text);
    return cidr_set_contains(set, &a);
}

static void connected_networks_go_direct(void **state)
{
    struct machine_addr addrs[] = {
        addr_of(1, "127.0.0.1", 8),      addr_of(1, "::1", 128),           addr_of(2, "192.0.2.2", 24),
        addr_of(2, "192.0.2.3", 24),     addr_of(2, "2001:db8:1::2", 64),  addr_of(3, "100.64.0.9", 32),
        addr_of(3, "10.0.0.1", 0),       addr_of(3, "11.0.0.1", 7),        addr_of(3, "2001:db8:2::1", 0),
        addr_of(3, "2001:db8:2::1", 15), addr_of(3, "2001:db8:3::1", 128),
    };
    const struct machine m = {.addrs = addrs, .n_addrs = ARRAY_LEN(addrs)};
    static const char *const direct[] = {"127.0.0.1",      "127.9.9.9",  "::1",
                                         "169.254.1.1",    "fe80::1",    "192.0.2.99",
                                         "2001:db8:1::99", "100.64.0.9", "2001:db8:3::1"};
    static const char *const by_policy[] = {"192.0.3.1",    "2001:db8:1:1::1", "100.64.0.8",    "10.0.0.1",
                                            "11.0.0.2",     "8.8.8.8",         "2001:db8:2::1", "::2",
                                            "2001:db8:3::2"};
    struct config c;
    struct cidr_set local;

    (void)state;
    config_init(&c);
    assert_int_equal(startup_local(&c, &m, &local), 0);
    for (size_t i = 0; i < ARRAY_LEN(direct); i++) {
        if (!holds(&local, direct[i]))
            fail_msg("%s must go direct", direct[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(by_policy); i++) {
        if (holds(&local, by_policy[i]))
            fail_msg("%s must go by the policy", by_policy[i]);
    }
    assert_int_equal(local.n, 8); /* 4 fixed ones, 4 of this machine, none twice */
    cidr_set_done(&local);
    config_done(&c);
}

static void with_a_bypass_no_network_is_local(void **state)
{
    struct machine_addr addrs[] = {addr_of(2, "192.0.2.2", 24)};
    const struct machine m = {.addrs = addrs, .n_addrs = 1};
    struct config c;
    struct cidr_set local;

    (void)state;
    config_init(&c);
    c.bypass_default = false;
    assert_int_equal(startup_local(&c, &m, &local), 0);
    assert_int_equal(local.n, 0);
    cidr_set_done(&local);
    config_done(&c);
}

static void local_networks_follow_the_machine(void **state)
{
    struct machine_addr addrs[] = {addr_of(2, "192.0.2.2", 24), addr_of(3, "10.0.5.2", 24)};
    const struct machine both = {.addrs = addrs, .n_addrs = 2}, first = {.addrs = addrs, .n_addrs = 1};
    struct config c;
    struct cidr_set local;

    (void)state;
    config_init(&c);
    assert_int_equal(startup_local(&c, &first, &local), 0);
    assert_false(startup_refresh_local(&c, &first, &local));
    assert_false(holds(&local, "10.0.5.9"));
    assert_true(startup_refresh_local(&c, &both, &local));
    assert_true(holds(&local, "192.0.2.9") && holds(&local, "10.0.5.9"));
    assert_false(startup_refresh_local(&c, &both, &local));
    addrs[1] = addr_of(3, "10.0.5.2", 25); /* the same number of addresses */
    assert_true(startup_refresh_local(&c, &both, &local));
    assert_false(holds(&local, "10.0.5.200"));
    addrs[1] = addr_of(3, "10.0.6.2", 25);
    assert_true(startup_refresh_local(&c, &both, &local));
    assert_true(holds(&local, "10.0.6.9"));
    assert_true(startup_refresh_local(&c, &first, &local));
    assert_false(holds(&local, "10.0.6.9"));
    cidr_set_done(&local);
    config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_uplinks_are_used),
        cmocka_unit_test(a_prefix_length_is_not_a_weight),
        cmocka_unit_test(with_none_given_the_usable_ones_are_found),
        cmocka_unit_test(many_links_are_listed_as_far_as_they_fit),
        cmocka_unit_test(connected_networks_go_direct),
        cmocka_unit_test(with_a_bypass_no_network_is_local),
        cmocka_unit_test(local_networks_follow_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
