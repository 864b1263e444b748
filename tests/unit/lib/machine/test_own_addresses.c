/* This machine's own addresses, as real links and routes make them. */
#include "machine/own_addresses.h"

#include "support/lines.h"

static bool has(const struct own_addresses *o, const char *text)
{
    struct addr a = ip(text);
    return own_addresses_have(o, &a);
}

static void read_own(struct own_addresses *ret)
{
    struct machine m;
    assert_int_equal(machine_read_links(&m), 0);
    assert_int_equal(own_addresses_init(ret, &m), 0);
    machine_done(&m);
}

static void addresses_of_links_are_own_up_or_down(void **state)
{
    struct own_addresses o;

    (void)state;
    netns_enter();
    netns_ip("link add v1 type veth peer name v2\n"
             "address add 192.0.2.1/24 dev v1\n"
             "address add 198.51.100.1 peer 198.51.100.2/32 dev v1\n");
    read_own(&o);
    assert_true(has(&o, "192.0.2.1"));
    assert_true(has(&o, "198.51.100.1"));
    assert_false(has(&o, "198.51.100.2")); /* the other end of the line */
    assert_false(has(&o, "192.0.2.2"));
    assert_false(has(&o, "192.0.2.255"));
    own_addresses_done(&o);
    assert_false(has(&o, "192.0.2.1"));
}

static void routes_make_networks_own(void **state)
{
    struct own_addresses o;

    (void)state;
    netns_enter();
    netns_ip("link set lo up\n"
             "route add local 203.0.113.0/25 dev lo\n"
             "route add local 198.51.100.7/32 dev lo\n"
             "route add local 10.0.0.0/8 dev lo table 77\n" /* by a rule that there is not */
             "route add blackhole 10.0.0.0/8\n");
    read_own(&o);
    assert_true(has(&o, "127.0.0.1") && has(&o, "127.9.9.9"));
    assert_true(has(&o, "203.0.113.0") && has(&o, "203.0.113.127"));
    assert_false(has(&o, "203.0.113.128"));
    assert_true(has(&o, "198.51.100.7"));
    assert_false(has(&o, "198.51.100.8"));
    assert_false(has(&o, "10.0.0.1"));
    own_addresses_done(&o);
    netns_ip("route add local 0.0.0.0/0 dev lo table local\n");
    read_own(&o);
    assert_true(has(&o, "10.0.0.1"));
    own_addresses_done(&o);
}

static void both_families(void **state)
{
    struct own_addresses o;

    (void)state;
    netns_enter();
    if (!netns_have_ipv6())
        return;
    netns_ip("link set lo up\n"
             "link add v1 type veth peer name v2\n"
             "link set v1 up\n"
             "address add 2001:db8::1/64 dev v1\n"); /* tentative, as v2 is down */
    netns_ip6("route add local 2001:db8:7::/48 dev lo\n");
    read_own(&o);
    assert_true(has(&o, "::1"));
    assert_true(has(&o, "2001:db8::1"));
    assert_false(has(&o, "2001:db8::2"));
    assert_true(has(&o, "2001:db8:7:ffff::1"));
    assert_false(has(&o, "2001:db8:8::1"));
    own_addresses_done(&o);
}

static void thousands_are_found(void **state)
{
    struct machine_addr *addrs = calloc(5000, sizeof *addrs);
    struct machine m = {.addrs = addrs, .n_addrs = 5000};
    struct own_addresses o;
    char text[32];

    (void)state;
    assert_non_null(addrs);
    netns_enter();
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(text, sizeof text, "10.%u.%u.1", i % 250, i / 250);
        addrs[i].addr = ip(text);
    }
    assert_int_equal(own_addresses_init(&o, &m), 0);
    for (unsigned i = 0; i < 5000; i += 7) {
        assert_true(own_addresses_have(&o, &addrs[i].addr));
        (void)snprintf(text, sizeof text, "10.%u.%u.2", i % 250, i / 250);
        assert_false(has(&o, text));
    }
    own_addresses_done(&o);
    free(addrs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_links_are_own_up_or_down),
        cmocka_unit_test(routes_make_networks_own),
        cmocka_unit_test(both_families),
        cmocka_unit_test(thousands_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
