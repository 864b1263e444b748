#include "uplink/discover.h"
#include "uplink/discover_ignored.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

#include "support/lines.h"
#include "uplink/machines.h"

/* --- objections, on hand-made machines ------------------------------------------------------------------ */

/* A usable card: up, with an address and a default route. */
static struct machine_link *made_line(struct made *made, const char *name, const char *addr)
{
    struct machine_link *link = made_link(made, name);
    (void)made_addr(made, link, addr);
    *(strchr(addr, ':') ? &link->default6 : &link->default4) = true;
    return link;
}

static void assert_objection(const struct made *made, const struct machine_link *link, const char *expected)
{
    const char *objection = discover_objection(&made->m, link);
    if (!objection || !expected) {
        assert_ptr_equal(objection, expected);
        return;
    }
    assert_string_equal(objection, expected);
}

static void test_no_objection(void **state)
{
    struct made made;
    made_init(&made);
    assert_objection(&made, made_line(&made, "four", "10.0.1.2"), NULL);
    assert_objection(&made, made_line(&made, "six", "2001:db8::2"), NULL);
    struct machine_link *both = made_line(&made, "both", "10.0.2.2");
    (void)made_addr(&made, both, "2001:db8:2::2");
    both->default6 = true;
    assert_objection(&made, both, NULL);
    (void)state;
}

/* Each reason alone, and then all of them, removed one by one: the first that applies is reported. */
static void test_order_of_objections(void **state)
{
    struct made made;
    made_init(&made);
    struct machine_link *link = made_link(&made, "x");
    *link = (struct machine_link){
        .index = link->index, .name = "x", .kind = "bridge", .loopback = true, .master = 77};
    assert_objection(&made, link, "loopback");
    link->loopback = false;
    assert_objection(&made, link, "down");
    link->up = true;
    assert_objection(&made, link, "no carrier");
    link->carrier = true;
    assert_objection(&made, link, "bridge");
    (void)snprintf(link->kind, sizeof link->kind, "veth");
    assert_objection(&made, link, "member of a bridge or bond");
    link->master = 0;
    assert_objection(&made, link, "container");
    (void)snprintf(link->kind, sizeof link->kind, "tun");
    assert_objection(&made, link, "virtual");
    link->kind[0] = '\0';
    assert_objection(&made, link, "no address");
    (void)made_addr(&made, link, "10.0.1.2");
    assert_objection(&made, link, "no default route");
    link->default4 = true;
    assert_objection(&made, link, NULL);
    (void)state;
}

static void test_each_objection_alone(void **state)
{
    struct made made;
    made_init(&made);
    struct machine_link *link = made_line(&made, "x", "10.0.1.2"), good = *link;
    link->loopback = true;
    assert_objection(&made, link, "loopback");
    *link = good;
    link->up = false;
    assert_objection(&made, link, "down");
    *link = good;
    link->carrier = false;
    assert_objection(&made, link, "no carrier");
    *link = good;
    link->default4 = false;
    (void)snprintf(link->kind, sizeof link->kind, "bridge");
    assert_objection(&made, link, "bridge");
    (void)snprintf(link->kind, sizeof link->kind, "openvswitch");
    assert_objection(&made, link, "bridge");
    link->default4 = true; /* the line is a member of it */
    assert_objection(&made, link, NULL);
    *link = good;
    link->master = 77;
    assert_objection(&made, link, "member of a bridge or bond");
    *link = good;
    link->default4 = false;
    assert_objection(&made, link, "no default route");
    *link = good;
    assert_objection(&made, link, NULL);
    (void)state;
}

static void test_kinds(void **state)
{
    static const char *const virtual_kinds[] = {
        "dummy",  "ifb",       "tun",       "tap",      "wireguard", "gre",       "gretap", "erspan",
        "ip6gre", "ip6gretap", "sit",       "ip6tnl",   "ipip",      "vti",       "vti6",   "xfrm",
        "vxlan",  "geneve",    "nlmon",     "vcan",     "vxcan",     "bareudp",   "vrf",    "gtp",
        "amt",    "ovpn",      "netdevsim", "vsockmon", "ip6erspan", "amneziawg",
    };
    static const char *const real_kinds[] = {
        "",       "ppp",    "vlan", "bond",  "team",  "macvlan", "macvtap",
        "ipvlan", "macsec", "wwan", "rmnet", "ipoib", "dsa",     "something-new",
    };
    struct made made;
    made_init(&made);
    struct machine_link *link = made_line(&made, "x", "10.0.1.2");
    for (size_t i = 0; i < ARRAY_LEN(virtual_kinds); i++) {
        (void)snprintf(link->kind, sizeof link->kind, "%s", virtual_kinds[i]);
        assert_objection(&made, link, "virtual");
    }
    for (size_t i = 0; i < ARRAY_LEN(real_kinds); i++) {
        (void)snprintf(link->kind, sizeof link->kind, "%s", real_kinds[i]);
        assert_objection(&made, link, NULL);
    }
    (void)state;
}

/* On the host, a container's card has no default route; inside the container it has one. */
static void test_veth(void **state)
{
    static const char *const kinds[] = {"veth", "netkit"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct made made;
        made_init(&made);
        struct machine_link *link = made_line(&made, "x", "10.0.1.2");
        (void)snprintf(link->kind, sizeof link->kind, "%s", kinds[i]);
        assert_objection(&made, link, NULL);
        link->default4 = false;
        assert_objection(&made, link, "container");
        link->default6 = true;
        assert_objection(&made, link, "no default route"); /* none for its IPv4 */
        (void)made_addr(&made, link, "2001:db8::2");
        assert_objection(&made, link, NULL);
    }
    (void)state;
}

/* A member of a VRF keeps its addresses and its line. */
static void test_master(void **state)
{
    struct made made;
    made_init(&made);
    struct machine_link *master = made_link(&made, "master"), *link = made_line(&made, "x", "10.0.1.2");
    static const char *const kinds[] = {"bridge", "bond", "team", "openvswitch", ""};
    link->master = master->index;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        (void)snprintf(master->kind, sizeof master->kind, "%s", kinds[i]);
        assert_objection(&made, link, "member of a bridge or bond");
    }
    (void)snprintf(master->kind, sizeof master->kind, "vrf");
    assert_objection(&made, link, NULL);
    (void)state;
}

static void test_addresses_that_do_not_count(void **state)
{
    struct made made;
    made_init(&made);
    struct machine_link *link = made_link(&made, "x");
    link->default4 = link->default6 = true;
    made_addr(&made, link, "fe80::1")->scope = RT_SCOPE_LINK;
    made_addr(&made, link, "2001:db8::2")->tentative = true;
    assert_objection(&made, link, "no address");
    (void)made_addr(&made, link, "2001:db8::3");
    assert_objection(&made, link, NULL);
    link->default6 = false;
    assert_objection(&made, link, "no default route"); /* the route for IPv4 does not help IPv6 */
    (void)state;
}

static void test_add_all(void **state)
{
    struct uplink_set set = {.n = 0};
    struct made made;
    made_init(&made);
    (void)made_line(&made, "eth0", "10.0.1.2");
    made_line(&made, "down", "10.0.2.2")->up = false;
    (void)made_line(&made, "ppp0", "10.0.3.2");
    assert_int_equal(discover_add_all(&set, &made.m), 2);
    assert_int_equal(set.n, 2);
    assert_string_equal(set.items[0]->name, "eth0");
    assert_string_equal(set.items[1]->name, "ppp0");
    for (size_t i = 0; i < set.n; i++) {
        assert_int_equal(set.items[i]->kind, UPLINK_INTERFACE);
        assert_number(set.items[i]->view.weight, 1);
        assert_number(set.items[i]->view.tier, 1);
        assert_true(set.items[i]->view.up);
    }
    assert_int_equal(discover_add_all(&set, &made.m), -EEXIST);
    uplink_set_done(&set);

    struct machine none = {.n_links = 0};
    assert_int_equal(discover_add_all(&set, &none), 0);
    assert_int_equal(set.n, 0);
    (void)state;
}

/* --- on real links -------------------------------------------------------------------------------------- */

/* The warning for an uplink; "" for none. */
static const char *warning_of(const char *text, char *out, size_t size)
{
    struct uplink_set set = {.n = 0};
    struct uplink_spec spec;
    struct machine m;
    assert_int_equal(uplink_spec_parse(&spec, text, out, size), 0);
    assert_int_equal(machine_read(&m), 0);
    assert_int_equal(uplink_set_add(&set, &spec, &m), 0);
    (void)snprintf(out, size, "untouched");
    if (!discover_route_warning(set.items[0], &m, out, size)) {
        assert_string_equal(out, "untouched");
        out[0] = '\0';
    }
    uplink_set_done(&set);
    machine_done(&m);
    return out;
}

static int index_of(const char *link)
{
    return (int)if_nametoindex(link);
}

static void test_real_machine(void **state)
{
    static const struct {
        const char *name, *objection;
    } expected[] = {
        {"lo", "loopback"},
        {"fibre", NULL},
        {"lte", NULL},
        {"fibre-peer", "container"},
        {"br0", "bridge"},
        {"lan", "container"},
        {"lte-peer", "member of a bridge or bond"},
        {"unplugged", "no carrier"},
        {"unplugged-peer", "down"},
    };
    struct uplink_set set = {.n = 0};
    struct machine m;
    lines_enter("route add default via 10.0.1.1 dev fibre metric 100\n"
                "route add default via 10.0.2.1 dev lte table 7\n"
                "link add br0 type bridge\n"
                "link set lte-peer master br0\n"
                "link set br0 up\n"
                "link add unplugged type veth peer name unplugged-peer\n"
                "link set unplugged up\n"
                "addr add 10.0.9.1/24 dev br0\n");
    netns_read(&m, "br0", true);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        const char *objection = discover_objection(&m, netns_link(&m, expected[i].name));
        if ((objection == NULL) != (expected[i].objection == NULL) ||
            (objection && strcmp(objection, expected[i].objection) != 0))
            fail_msg("%s: %s", expected[i].name, objection ? objection : "no objection");
    }
    assert_int_equal(discover_add_all(&set, &m), 2);
    assert_string_equal(set.items[0]->name, "fibre");
    assert_string_equal(set.items[1]->name, "lte");
    assert_true(set.items[0]->view.up && set.items[1]->view.up);
    uplink_set_done(&set);
    machine_done(&m);
    (void)state;
}

/* A machine that is read often: without its routes. */
static void test_links_that_come_later(void **state)
{
    static const struct {
        const char *change, *name; /* what has changed, or NULL */
    } steps[] = {
        {"", "fibre"},
        {"", NULL},
        {"route add default via 10.0.2.1 dev lte metric 50\n", "lte"},
        {"", NULL},
        {"route add default via 10.0.3.1 dev lan table 103\n", NULL}, /* no rule leads there */
        {"rule add from 10.0.3.2 table 103\n", "lan"},
        {"link add br0 type bridge\nlink set lte-peer master br0\nlink set br0 up\n"
         "addr add 10.0.9.1/24 dev br0\n",
         NULL},
        {"route add default via 10.0.9.9 dev br0 metric 10\n", "br0"},
        {"", NULL},
    };
    struct discover_ignored ignored = {.n = 0};
    struct uplink_set set = {.n = 0};
    struct uplink_spec spec;
    struct machine m;

    lines_enter("route add default via 10.0.1.1 dev fibre metric 100\n");
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        netns_ip(steps[i].change);
        if (strstr(steps[i].change, "br0 up")) { /* the kernel reports its carrier a little later */
            netns_read(&m, "br0", true);
            machine_done(&m);
        }
        assert_int_equal(machine_read_links(&m), 0);
        assert_int_equal(discover_new(&set, &ignored, &m, &spec), steps[i].name != NULL);
        if (steps[i].name) {
            assert_string_equal(spec.interface, steps[i].name);
            assert_int_equal(uplink_set_add(&set, &spec, &m), 0);
        }
        machine_done(&m);
    }
    uplink_set_drop_last(&set);
    assert_int_equal(set.n, 3);
    assert_int_equal(machine_read_links(&m), 0);
    discover_ignore(&ignored, "br0");
    assert_false(discover_new(&set, &ignored, &m, &spec));
    discover_heed(&ignored, "br0");
    assert_true(discover_new(&set, &ignored, &m, &spec));
    machine_done(&m);
    uplink_set_done(&set);
    (void)state;
}

static void test_no_warning(void **state)
{
    static const char *const fine[] = {"fibre", "lte", "10.0.1.2", "nosuch0", "10.9.9.9"};
    char out[512];
    lines_enter("route add default via 10.0.1.1 dev fibre metric 100\n"
                "route add default via 10.0.2.1 dev lte metric 200\n");
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        assert_string_equal(warning_of(fine[i], out, sizeof out), "");
    (void)state;
}

/* An address leaves by its own link, or not at all. */
static void test_an_address_needs_a_route_of_its_link(void **state)
{
    char out[512], expected[512];
    lines_enter("route add default via 10.0.1.1 dev fibre metric 100\n"
                "route add default via 10.0.2.1 dev lte metric 200\n");
    assert_string_equal(warning_of("10.0.2.2@3", out, sizeof out), "");
    lines_enter("route add default dev fibre\n");
    (void)snprintf(expected, sizeof expected,
                   "Uplink 10.0.2.2: no route leads its IPv4 packets to the internet. Add one: 'ip route add "
                   "default via GATEWAY dev lte metric %d'.",
                   2000 + index_of("lte"));
    assert_string_equal(warning_of("10.0.2.2", out, sizeof out), expected);
    /* a rule that routes by source makes it true */
    netns_ip("route add default via 10.0.2.1 dev lte table 7\nrule add from 10.0.2.2 table 7\n");
    assert_string_equal(warning_of("10.0.2.2", out, sizeof out), "");
    (void)state;
}

static void test_no_route(void **state)
{
    char out[512], expected[512];
    lines_enter("route add default via 10.0.1.1 dev fibre\n");
    (void)snprintf(
        expected, sizeof expected,
        "Uplink lte: no route leads its IPv4 packets to the internet. Add one: 'ip route add default via "
        "GATEWAY dev lte metric %d'.",
        2000 + index_of("lte"));
    assert_string_equal(warning_of("lte", out, sizeof out), expected);
    /* and the advice of the warning works */
    (void)snprintf(expected, sizeof expected, "route add default via 10.0.2.1 dev lte metric %d\n",
                   2000 + index_of("lte"));
    netns_ip(expected);
    assert_string_equal(warning_of("lte", out, sizeof out), "");
    assert_string_equal(warning_of("fibre", out, sizeof out), "");

    lines_enter("");
    assert_non_null(strstr(warning_of("10.0.2.2", out, sizeof out), "no route leads its IPv4 packets"));
    lines_enter("route add unreachable default\n");
    assert_non_null(strstr(warning_of("10.0.2.2", out, sizeof out), "no route leads its IPv4 packets"));
    lines_enter("route add blackhole default\n");
    assert_non_null(strstr(warning_of("10.0.2.2", out, sizeof out), "no route leads its IPv4 packets"));
    lines_enter("route add prohibit default\n");
    assert_non_null(strstr(warning_of("10.0.2.2", out, sizeof out), "no route leads its IPv4 packets"));
    (void)state;
}

static void test_each_family(void **state)
{
    char out[512], expected[512];
    lines_enter("route add default via 10.0.1.1 dev fibre metric 100\n"
                "route add default via 10.0.2.1 dev lte metric 200\n");
    if (!netns_have_ipv6())
        return;
    netns_ip(LINES6);
    netns_ip("route add default via 2001:db8:1::1 dev fibre\n");
    assert_string_equal(warning_of("fibre", out, sizeof out), "");
    (void)snprintf(
        expected, sizeof expected,
        "Uplink lte: no route leads its IPv6 packets to the internet. Add one: 'ip -6 route add default "
        "via GATEWAY dev lte metric %d'.",
        2000 + index_of("lte"));
    assert_string_equal(warning_of("lte", out, sizeof out), expected);
    assert_non_null(strstr(warning_of("2001:db8:2::2", out, sizeof out),
                           "no route leads its IPv6 packets to the internet."));
    netns_ip("route del default via 10.0.2.1 dev lte metric 200\n");
    (void)warning_of("lte", out, sizeof out);
    assert_non_null(strstr(out, "its IPv4 packets to the internet. Add one: 'ip route add"));
    assert_non_null(strstr(out, "'. Uplink lte: no route leads its IPv6 packets"));
    /* cut to the room */
    memset(out, 'x', sizeof out);
    assert_int_equal(strlen(warning_of("lte", out, 100)), 99);
    for (size_t i = 100; i < sizeof out; i++)
        assert_int_equal(out[i], 'x');
    netns_ip("route add default via 10.0.2.1 dev lte metric 200\n"
             "route add default via 2001:db8:2::1 dev lte metric 9000\n");
    assert_string_equal(warning_of("lte", out, sizeof out), "");
    (void)state;
}

/* Home networks have such addresses with and without IPv6 internet access. */
static void test_unique_local_promises_nothing(void **state)
{
    char out[512];
    lines_enter("route add default via 10.0.1.1 dev fibre\n");
    if (!netns_have_ipv6())
        return;
    netns_ip("addr add fd00:1::2/64 dev fibre nodad\n");
    assert_string_equal(warning_of("fibre", out, sizeof out), "");
    netns_ip("addr del 10.0.1.2/24 dev fibre\n"); /* no other address is left */
    assert_non_null(strstr(warning_of("fibre", out, sizeof out), "no route leads its IPv6 packets"));
    (void)state;
}

static void test_loopback_goes_nowhere(void **state)
{
    char out[512];
    lines_enter("route add default via 10.0.1.1 dev fibre\n"
                "addr add 192.0.2.7/32 dev lo\n");
    assert_string_equal(warning_of("127.0.0.2", out, sizeof out),
                        "Uplink 127.0.0.2: a loopback address reaches this machine only.");
    assert_string_equal(warning_of("192.0.2.7", out, sizeof out), ""); /* routed elsewhere on purpose */
    (void)state;
}

static void test_lines_without_gateway(void **state)
{
    char out[512], expected[512];
    netns_enter();
    if (!netns_have("tun", "tuntap add ppp0 mode tun\n"
                           "link set ppp0 up\n"))
        return;
    netns_ip("addr add 10.0.1.2 peer 10.0.1.1 dev ppp0\n");
    struct machine m;
    assert_int_equal(machine_read(&m), 0);
    struct machine_link *ppp0 = &m.links[netns_link(&m, "ppp0") - m.links];
    struct uplink_set set = {.n = 0};
    struct uplink_spec spec;
    ppp0->carrier = true; /* without a program at its other end it has none */
    assert_int_equal(uplink_spec_parse(&spec, "ppp0", out, sizeof out), 0);
    assert_int_equal(uplink_set_add(&set, &spec, &m), 0);
    assert_true(discover_route_warning(set.items[0], &m, out, sizeof out));
    (void)snprintf(
        expected, sizeof expected,
        "Uplink ppp0: no route leads its IPv4 packets to the internet. Add one: 'ip route add default dev "
        "ppp0 metric %d'.",
        2000 + index_of("ppp0"));
    assert_string_equal(out, expected);
    uplink_set_done(&set);
    machine_done(&m);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_objection),
        cmocka_unit_test(test_order_of_objections),
        cmocka_unit_test(test_each_objection_alone),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_veth),
        cmocka_unit_test(test_master),
        cmocka_unit_test(test_addresses_that_do_not_count),
        cmocka_unit_test(test_add_all),
        cmocka_unit_test(test_real_machine),
        cmocka_unit_test(test_links_that_come_later),
        cmocka_unit_test(test_no_warning),
        cmocka_unit_test(test_an_address_needs_a_route_of_its_link),
        cmocka_unit_test(test_no_route),
        cmocka_unit_test(test_each_family),
        cmocka_unit_test(test_unique_local_promises_nothing),
        cmocka_unit_test(test_loopback_goes_nowhere),
        cmocka_unit_test(test_lines_without_gateway),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
