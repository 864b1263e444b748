/* How an uplink follows the machine: its state, its addresses, its device. */
#include "support/netns.h"
#include "uplink/added.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_lease.h"
#include "uplink/uplink_note.h"

static void assert_state(const struct uplink *u, bool four, bool six)
{
    assert_int_equal(u->egress.any4, four);
    assert_int_equal(u->egress.any6, six);
    assert_int_equal(u->view.ipv4, four);
    assert_int_equal(u->view.ipv6, six);
    assert_int_equal(u->view.up, four || six);
}

/* --- interfaces ----------------------------------------------------------------------------------------- */

static void test_interface_takes_both_families(void **state)
{
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    struct machine_link *other = made_link(&made, "eth1"), *eth0 = made_link(&made, "eth0");
    (void)made_addr(&made, other, "10.0.9.9");
    (void)made_addr(&made, eth0, "10.0.1.2");
    (void)made_addr(&made, eth0, "2001:db8::2");
    struct uplink *u = add(&set, "eth0", &made.m);
    assert_state(u, true, true);
    assert_string_equal(u->egress.device, "eth0");
    assert_string_equal(u->interface, "eth0");
    assert_ip(&u->egress.source4, "10.0.1.2");
    assert_ip(&u->egress.source6, "2001:db8::2");
    uplink_set_done(&set);
    (void)state;
}

static void test_interface_with_one_family(void **state)
{
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    struct machine_link *four = made_link(&made, "four"), *six = made_link(&made, "six");
    (void)made_addr(&made, four, "10.0.1.2");
    made_addr(&made, four, "fe80::1")->scope = RT_SCOPE_LINK;
    (void)made_addr(&made, six, "2001:db8::2");
    struct uplink *u = add(&set, "four", &made.m);
    assert_state(u, true, false);
    assert_int_equal(addr_family(&u->egress.source6), AF_UNSPEC);
    u = add(&set, "six", &made.m);
    assert_state(u, false, true);
    assert_int_equal(addr_family(&u->egress.source4), AF_UNSPEC);
    uplink_set_done(&set);
    (void)state;
}

/* No socket can leave by it, and sockets are still bound to its device. */
static void assert_nothing_leaves(const struct uplink *u, const char *device)
{
    assert_state(u, false, false);
    assert_string_equal(u->egress.device, device);
    assert_int_equal(egress_socket(&u->egress, to_some(AF_INET), SOCK_STREAM), -EAFNOSUPPORT);
    assert_int_equal(egress_socket(&u->egress, to_some(AF_INET6), SOCK_STREAM), -EAFNOSUPPORT);
}

static void test_interface_that_is_not_up(void **state)
{
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    struct machine_link *down = made_link(&made, "down"), *idle = made_link(&made, "idle");
    struct machine_link *bare = made_link(&made, "bare");
    down->up = false;
    idle->carrier = false;
    (void)made_addr(&made, down, "10.0.1.2");
    (void)made_addr(&made, idle, "10.0.2.2");
    made_addr(&made, bare, "fe80::1")->scope = RT_SCOPE_LINK;
    static const char *const names[] = {"down", "idle", "bare", "missing"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct uplink *u = add(&set, names[i], &made.m);
        assert_nothing_leaves(u, names[i]);
        assert_int_equal(addr_family(&u->egress.source4), AF_UNSPEC);
        assert_string_equal(u->interface, names[i]);
    }
    uplink_set_done(&set);
    (void)state;
}

static void test_interface_comes_and_goes(void **state)
{
    struct uplink_set set = {.n = 0};
    struct made made, without;
    made_init(&without);
    made_init(&made);
    struct machine_link *eth0 = made_link(&made, "eth0");
    struct machine_addr *a = made_addr(&made, eth0, "10.0.1.2");
    (void)made_addr(&made, eth0, "2001:db8::2");
    struct uplink *u = add(&set, "eth0", &without.m);
    assert_nothing_leaves(u, "eth0");
    uplink_refresh(u, &made.m);
    assert_state(u, true, true);
    a->addr = ip("10.0.7.7");
    uplink_refresh(u, &made.m);
    assert_ip(&u->egress.source4, "10.0.7.7");
    made.m.n_addrs--;
    uplink_refresh(u, &made.m);
    assert_state(u, true, false);
    assert_int_equal(addr_family(&u->egress.source6), AF_UNSPEC);
    uplink_refresh(u, &without.m);
    assert_nothing_leaves(u, "eth0");
    assert_int_equal(addr_family(&u->egress.source4), AF_UNSPEC);
    uplink_set_done(&set);
    (void)state;
}

/* Bound to the link's own name, and to none while the link is away: a cut name may be another link's. */
static void test_interface_by_another_name(void **state)
{
    struct machine_altname altname = {.name = "sixteen-letters0"};
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    (void)made_addr(&made, made_link(&made, "sixteen-letters"), "10.0.9.9");
    struct uplink *u = add(&set, "sixteen-letters0", &made.m);
    assert_nothing_leaves(u, "/");
    assert_string_equal(u->interface, "sixteen-letters0");
    struct machine_link *eth0 = made_link(&made, "eth0");
    (void)made_addr(&made, eth0, "10.0.1.2");
    altname.link = eth0->index;
    made.m.altnames = &altname;
    made.m.n_altnames = 1;
    uplink_refresh(u, &made.m);
    assert_state(u, true, false);
    assert_string_equal(u->egress.device, "eth0");
    assert_string_equal(u->interface, "eth0");
    assert_string_equal(u->name, "sixteen-letters0");
    assert_ip(&u->egress.source4, "10.0.1.2");
    made.m.n_altnames = 0;
    uplink_refresh(u, &made.m);
    assert_nothing_leaves(u, "/");
    uplink_set_done(&set);
    (void)state;
}

/* A refresh does not change the meters' values. */
static void test_refresh_leaves_the_meters(void **state)
{
    struct uplink_set set = {.n = 0};
    struct uplink_lease lease = {.uplink = NULL};
    struct made made;
    made_init(&made);
    struct uplink *u = add(&set, "eth0@4", &made.m);
    uplink_acquire(&lease, u);
    uplink_note_connected(u, 0.02);
    uplink_note_bytes(&lease, 3, 4);
    struct uplink_view before = u->view;
    uplink_refresh(u, &made.m);
    assert_memory_equal(&before, &u->view, sizeof before);
    uplink_release(&lease);
    uplink_set_done(&set);
    (void)state;
}

/* --- addresses ------------------------------------------------------------------------------------------ */

static void test_address(void **state)
{
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    struct machine_link *eth0 = made_link(&made, "eth0"), *eth1 = made_link(&made, "eth1");
    (void)made_addr(&made, eth0, "10.0.1.2");
    (void)made_addr(&made, eth1, "10.0.2.2");
    (void)made_addr(&made, eth1, "10.0.2.3");
    (void)made_addr(&made, eth1, "2001:db8::3");
    struct uplink *u = add(&set, "10.0.2.3", &made.m);
    assert_state(u, true, false);
    assert_string_equal(u->egress.device, "eth1");
    assert_string_equal(u->interface, "eth1");
    assert_ip(&u->egress.source4, "10.0.2.3");
    assert_int_equal(addr_family(&u->egress.source6), AF_UNSPEC);
    u = add(&set, "2001:db8::3", &made.m);
    assert_state(u, false, true);
    assert_string_equal(u->egress.device, "eth1");
    assert_string_equal(u->interface, "eth1");
    assert_ip(&u->egress.source6, "2001:db8::3");
    assert_int_equal(addr_family(&u->egress.source4), AF_UNSPEC);
    uplink_set_done(&set);
    (void)state;
}

static void test_address_comes_and_goes(void **state)
{
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    struct machine_link *eth0 = made_link(&made, "eth0"), *eth1 = made_link(&made, "eth1");
    struct machine_addr *a = made_addr(&made, eth0, "10.0.1.2");
    struct uplink *u = add(&set, "10.0.1.9", &made.m);
    assert_nothing_leaves(u, "");
    assert_string_equal(u->interface, "");
    a->addr = ip("10.0.1.9");
    uplink_refresh(u, &made.m);
    assert_state(u, true, false);
    assert_string_equal(u->interface, "eth0");
    a->link = eth1->index;
    uplink_refresh(u, &made.m);
    assert_string_equal(u->interface, "eth1");
    eth1->carrier = false;
    uplink_refresh(u, &made.m);
    assert_nothing_leaves(u, "eth1");
    assert_string_equal(u->interface, "eth1");
    eth1->carrier = true;
    eth1->up = false;
    uplink_refresh(u, &made.m);
    assert_nothing_leaves(u, "eth1");
    eth1->up = true;
    a->tentative = true;
    uplink_refresh(u, &made.m);
    assert_nothing_leaves(u, "");
    assert_string_equal(u->interface, "");
    uplink_set_done(&set);
    (void)state;
}

static void test_all_of_loopback(void **state)
{
    static const char *const texts[] = {"127.0.0.1", "127.0.0.2", "127.255.3.4", "::1"};
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct uplink *u = add(&set, texts[i], &made.m);
        assert_state(u, i < 3, i == 3);
        assert_string_equal(u->interface, "lo");
    }
    uplink_set_done(&set);
    (void)state;
}

/* --- on real links -------------------------------------------------------------------------------------- */

static void assert_bound(const struct uplink *u, int family, const char *device, const char *source)
{
    char bound[IFNAMSIZ] = "";
    int fd = egress_socket(&u->egress, to_some(family), SOCK_STREAM);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bound, &(socklen_t){sizeof bound}), 0);
    assert_string_equal(bound, device);
    struct addr a = bound_addr(fd);
    assert_ip(&a, source);
    (void)close(fd);
}

static void test_real_links(void **state)
{
    struct uplink_set set = {.n = 0};
    struct machine m;
    netns_enter();
    netns_ip("link set lo up\n"
             "link add fibre type veth peer name fibre-peer\n"
             "link set fibre up\n"
             "addr add 10.0.1.2/24 dev fibre\n"
             "addr add 10.0.1.3/24 dev fibre\n");
    netns_read(&m, "fibre", false);
    struct uplink *fibre = add(&set, "fibre", &m), *address = add(&set, "10.0.1.3", &m);
    assert_nothing_leaves(fibre, "fibre");
    assert_nothing_leaves(address, "fibre");
    machine_done(&m);

    netns_ip("link set fibre-peer up\n");
    netns_read(&m, "fibre", true);
    uplink_refresh(fibre, &m);
    uplink_refresh(address, &m);
    machine_done(&m);
    assert_state(fibre, true, false);
    assert_state(address, true, false);
    assert_bound(fibre, AF_INET, "fibre", "10.0.1.2");
    assert_bound(address, AF_INET, "fibre", "10.0.1.3");

    if (netns_have_ipv6()) {
        netns_ip("addr add 2001:db8:1::2/64 dev fibre nodad\n");
        assert_int_equal(machine_read(&m), 0);
        uplink_refresh(fibre, &m);
        machine_done(&m);
        assert_state(fibre, true, true);
        assert_bound(fibre, AF_INET6, "fibre", "2001:db8:1::2");
    }
    netns_ip("addr flush dev fibre\n");
    assert_int_equal(machine_read(&m), 0);
    uplink_refresh(fibre, &m);
    uplink_refresh(address, &m);
    machine_done(&m);
    assert_nothing_leaves(fibre, "fibre");
    assert_nothing_leaves(address, "");
    uplink_set_done(&set);
    (void)state;
}

/* --- parents ------------------------------------------------------------------------------------------ */

static void test_an_upstream_by_whatever_way(void **state)
{
    struct uplink_set set = {.n = 0};
    struct machine none = {.n_links = 0};
    struct uplink *u = add(&set, "socks5://h:1", &none);
    assert_state(u, true, true);
    assert_string_equal(u->egress.device, "");
    uplink_set_done(&set);
    (void)state;
}

/* Its destinations are not limited by its own family: a parent proxy behind one family serves both, except
 * SOCKS4a (no IPv6). */
static void test_an_upstream_by_one_link(void **state)
{
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    struct machine_link *eth0 = made_link(&made, "eth0");
    made_addr(&made, eth0, "10.0.0.2");
    struct uplink_spec five = spec_of("socks5://h:1"), four = spec_of("socks4a://g:1");
    (void)snprintf(five.interface, sizeof five.interface, "eth0");
    four.address = ip("10.0.0.2");
    assert_int_equal(uplink_set_add(&set, &five, &made.m), 0);
    assert_int_equal(uplink_set_add(&set, &four, &made.m), 0);
    uplink_spec_done(&five);
    uplink_spec_done(&four);
    for (size_t i = 0; i < set.n; i++) {
        const struct uplink *u = set.items[i];
        assert_true(u->egress.any4 && !u->egress.any6);
        assert_string_equal(u->egress.device, "eth0");
        assert_ip(&u->egress.source4, "10.0.0.2");
        assert_true(u->view.up && u->view.ipv4);
        assert_int_equal(u->view.ipv6, i == 0);
    }
    eth0->carrier = false;
    for (size_t i = 0; i < set.n; i++) {
        struct uplink *u = set.items[i];
        uplink_refresh(u, &made.m);
        assert_false(u->view.up || u->view.ipv4 || u->view.ipv6 || u->egress.any4 || u->egress.any6);
        assert_string_equal(uplink_state_name(u), "down");
        uplink_set_draining(u, true);
        assert_string_equal(uplink_state_name(u), "draining"); /* as `why` says, and until the user ends it */
    }
    uplink_set_done(&set);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interface_takes_both_families),
        cmocka_unit_test(test_interface_with_one_family),
        cmocka_unit_test(test_interface_that_is_not_up),
        cmocka_unit_test(test_interface_comes_and_goes),
        cmocka_unit_test(test_interface_by_another_name),
        cmocka_unit_test(test_refresh_leaves_the_meters),
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_address_comes_and_goes),
        cmocka_unit_test(test_all_of_loopback),
        cmocka_unit_test(test_real_links),
        cmocka_unit_test(test_an_upstream_by_whatever_way),
        cmocka_unit_test(test_an_upstream_by_one_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
