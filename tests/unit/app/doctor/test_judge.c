/* The findings for what was seen. */
#include "doctor/judge.h"
#include "uplink/uplink.h"

#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct diagnosis d;
static struct uplink uplinks[2];
static struct machine_link links[2];
static struct sight sights[2];

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 0), 0);
    return a;
}

static struct sight_family family(int which, const char *source, const char *router)
{
    return (struct sight_family){.family = which,
                                 .used = true,
                                 .leaves = true,
                                 .source = ip(source),
                                 .router = ip(router),
                                 .table = RT_TABLE_MAIN,
                                 .router_likely = ip(router)};
}

/* Two healthy lines, each in its own network. */
static int setup(void **state)
{
    (void)state;
    d = (struct diagnosis){.n_findings = 0};
    for (int i = 0; i < 2; i++) {
        links[i] = (struct machine_link){.index = 5 + i, .up = true, .carrier = true};
        (void)snprintf(links[i].name, sizeof links[i].name, "wan%d", i + 1);
        uplinks[i] = (struct uplink){.kind = UPLINK_INTERFACE, .way.address = {.sa.sa_family = AF_UNSPEC}};
        (void)snprintf(uplinks[i].name, sizeof uplinks[i].name, "line%d", i + 1);
        memcpy(uplinks[i].interface, links[i].name, sizeof links[i].name);
        sights[i] = (struct sight){
            .uplink = &uplinks[i], .link = &links[i], .line = true, .mtu = 1500, .prefix4 = 24};
    }
    sights[0].four = family(AF_INET, "10.0.1.2", "10.0.1.1");
    sights[0].six = family(AF_INET6, "2001:db8:1::2", "fe80::1");
    sights[1].four = family(AF_INET, "10.0.2.2", "10.0.2.1");
    sights[1].six = family(AF_INET6, "2001:db8:2::2", "fe80::2");
    return 0;
}

static const struct finding *only(void)
{
    assert_int_equal(d.n_findings, 1);
    return &d.findings[0];
}

static void assert_found(const char *id, enum severity severity, const char *repair, const char *undo)
{
    judge_uplink(&d, &sights[0]);
    assert_string_equal(only()->id, id);
    assert_string_equal(only()->uplink, "line1");
    assert_int_equal(only()->severity, severity);
    assert_string_equal(only()->repair, repair);
    assert_string_equal(only()->undo, undo);
    assert_true(only()->what[0] && only()->why[0]);
}

static void a_line_that_is_well(void **state)
{
    (void)state;
    judge_uplink(&d, &sights[0]);
    judge_router(&d, &sights[0]);
    judge_pair(&d, &sights[0], &sights[1]);
    assert_int_equal(d.n_findings, 0);
    assert_int_equal(d.n_facts, 4);
    assert_string_equal(d.facts[3].text, "10.0.1.1, fe80::1");
}

static void one_family_without_a_route(void **state)
{
    (void)state;
    sights[0].six.leaves = false;
    sights[0].six.table = 0;
    sights[0].six.router_likely.in6.sin6_scope_id = 1;
    assert_found("route-none", SEVERITY_WARNING, "ip -6 route add default via fe80::1 dev wan1 metric 2005",
                 "ip -6 route del default via fe80::1 dev wan1 metric 2005");
}

static void an_unknown_router_is_not_invented(void **state)
{
    (void)state;
    sights[0].six.leaves = false;
    sights[0].six.table = 0;
    sights[0].six.router_likely.sa.sa_family = AF_UNSPEC;
    assert_found("route-none", SEVERITY_WARNING, "", "");
}

static void a_local_ipv6_network_needs_no_route(void **state)
{
    (void)state;
    sights[0].six.leaves = false;
    sights[0].six.table = 0;
    sights[0].six.source = ip("fd00::2");
    judge_uplink(&d, &sights[0]);
    assert_int_equal(d.n_findings, 0);
}

static void no_route_at_all(void **state)
{
    (void)state;
    sights[0].six.used = sights[0].six.leaves = sights[0].four.leaves = false;
    sights[0].four.table = sights[0].six.table = 0;
    links[0].point_to_point = true;
    assert_found("route-none", SEVERITY_ERROR, "ip route add default dev wan1 metric 2005",
                 "ip route del default dev wan1 metric 2005");
}

static void a_rule_in_the_way(void **state)
{
    (void)state;
    sights[0].four.leaves = false;
    sights[0].four.barred = true;
    sights[0].four.barrier = 700;
    assert_found("rule-blocks", SEVERITY_WARNING, "ip rule add pref 699 from 10.0.1.2 lookup main",
                 "ip rule del pref 699 from 10.0.1.2 lookup main");
}

static void a_rule_against_other_uplinks(void **state)
{
    (void)state;
    sights[0].four.barred = true;
    judge_uplink(&d, &sights[0]);
    assert_int_equal(d.n_findings, 0);
}

static void a_rule_that_compares_the_bit_of_own_packets(void **state)
{
    (void)state;
    uplinks[0].way.mark = 7;
    sights[0].four.leaves = false;
    sights[0].four.table = 107;
    sights[0].four.bit_apart = 0x80000000;
    assert_found("mark-rule-exact", SEVERITY_WARNING,
                 "ip rule add pref 30005 fwmark 0x7/0x7fffffff lookup 107",
                 "ip rule del pref 30005 fwmark 0x7/0x7fffffff lookup 107");
    d.n_findings = 0;
    sights[0].four.table = 0;
    assert_found("mark-rule-exact", SEVERITY_WARNING, "", "");
}

static void a_table_that_no_rule_asks(void **state)
{
    (void)state;
    sights[0].six.leaves = false;
    sights[0].six.table = 77;
    assert_found("route-unused", SEVERITY_WARNING, "ip -6 rule add pref 30005 from 2001:db8:1::2 lookup 77",
                 "ip -6 rule del pref 30005 from 2001:db8:1::2 lookup 77");
}

static void a_strict_filter(void **state)
{
    (void)state;
    sights[0].settings.rp_filter_all = 1;
    judge_uplink(&d, &sights[0]); /* the route back is the same */
    assert_int_equal(d.n_findings, 0);
    sights[0].back_by_other = true;
    assert_found("rp-filter-strict", SEVERITY_ERROR, "sysctl -w net.ipv4.conf.wan1.rp_filter=2",
                 "sysctl -w net.ipv4.conf.wan1.rp_filter=0");
    d.n_findings = 0;
    sights[0].settings.rp_filter = 2; /* the greater value counts */
    judge_uplink(&d, &sights[0]);
    assert_int_equal(d.n_findings, 0);
}

static void ipv6_that_is_off(void **state)
{
    (void)state;
    sights[0].settings.ipv6_off = 1;
    sights[0].six.used = sights[0].six.leaves = false;
    assert_found("ipv6-off", SEVERITY_NOTE, "sysctl -w net.ipv6.conf.wan1.disable_ipv6=0",
                 "sysctl -w net.ipv6.conf.wan1.disable_ipv6=1");
    d.n_findings = 0;
    sights[0].settings.ipv6_off_all = 1; /* switched off by the owner, everywhere */
    judge_uplink(&d, &sights[0]);
    assert_int_equal(d.n_findings, 0);
}

static void advertisements_that_are_ignored(void **state)
{
    (void)state;
    sights[0].settings.accept_ra = 1;
    sights[0].settings.forwarding6 = 1;
    judge_uplink(&d, &sights[0]); /* it has IPv6 nevertheless */
    assert_int_equal(d.n_findings, 0);
    sights[0].six.used = sights[0].six.leaves = false;
    assert_found("ra-ignored", SEVERITY_NOTE, "sysctl -w net.ipv6.conf.wan1.accept_ra=2",
                 "sysctl -w net.ipv6.conf.wan1.accept_ra=1");
}

static void a_loopback_address(void **state)
{
    (void)state;
    uplinks[0].way.address = sights[0].four.source = ip("127.0.0.5");
    links[0].loopback = true;
    sights[0].line = false;
    assert_found("address-loopback", SEVERITY_ERROR, "", "");
}

static void a_gateway_that_is_not_a_neighbour(void **state)
{
    (void)state;
    uplinks[0].way.gateway4 = (struct uplink_gateway){.addr = ip("192.0.2.1"), .failed = true};
    uplinks[0].way.mark = 1;
    sights[0].four.used = sights[0].six.used = sights[0].four.leaves = sights[0].six.leaves = false;
    assert_found("gateway-unreachable", SEVERITY_ERROR, "", "");
}

static void a_silent_router(void **state)
{
    (void)state;
    sights[0].six.router_is.state = NEIGHBOUR_SILENT;
    judge_router(&d, &sights[0]);
    assert_string_equal(only()->id, "router-silent");
    assert_string_equal(only()->what, "its router fe80::1 does not answer");
}

static void two_behind_one_router(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        sights[i].six.router_is = (struct neighbour){.state = NEIGHBOUR_KNOWN, .mac = "02:00:00:00:00:01"};
    judge_pair(&d, &sights[0], &sights[1]); /* two routers with a MAC address in common are still two */
    assert_int_equal(d.n_findings, 0);
    sights[1].six.router = sights[0].six.router;
    judge_pair(&d, &sights[0], &sights[1]);
    assert_string_equal(only()->id, "same-router");
    assert_string_equal(only()->uplink, "line2");
}

/* Twin modems: the routers' address and MAC are the same, and so are this machine's. */
static void twins_are_two_lines(void **state)
{
    const struct addr own = sights[0].four.source, other = sights[1].four.source,
                      other6 = sights[1].six.source;
    (void)state;
    for (int i = 0; i < 2; i++) {
        sights[i].four.router = ip("192.168.8.1");
        sights[i].four.router_is = (struct neighbour){.state = NEIGHBOUR_KNOWN, .mac = "02:00:00:00:00:01"};
        sights[i].settings.arp_ignore = sights[i].settings.arp_ignore_all = 1;
    }
    judge_pair(&d, &sights[0], &sights[1]);
    assert_string_equal(only()->id, "same-router");
    d.n_findings = 0;
    sights[1].four.source = own; /* the same address */
    judge_pair(&d, &sights[0], &sights[1]);
    assert_int_equal(d.n_findings, 0);
    sights[1].four.source = other;
    sights[1].six.source = sights[0].six.source;
    judge_pair(&d, &sights[0], &sights[1]);
    assert_int_equal(d.n_findings, 0);
    sights[1].six.source = other6;
    judge_pair(&d, &sights[0], &sights[1]);
    assert_string_equal(only()->id, "same-router");
    d.n_findings = 0;
    sights[1].four.source = ip("10.0.1.9"); /* the same MAC */
    (void)snprintf(sights[0].mac, sizeof sights[0].mac, "02:00:00:00:00:09");
    (void)snprintf(sights[1].mac, sizeof sights[1].mac, "02:00:00:00:00:09");
    sights[0].settings.arp_ignore = sights[1].settings.arp_ignore = 0;
    sights[0].settings.arp_ignore_all = sights[1].settings.arp_ignore_all = 0;
    judge_pair(&d, &sights[0], &sights[1]); /* and neither answers for the other */
    assert_int_equal(d.n_findings, 0);
    sights[1].mac[1] = '4';
    sights[1].four.source = ip("10.0.2.2");
    (void)snprintf(sights[0].seen, sizeof sights[0].seen, "198.51.100.1"); /* two public addresses */
    (void)snprintf(sights[1].seen, sizeof sights[1].seen, "203.0.113.1");
    judge_pair(&d, &sights[0], &sights[1]);
    assert_int_equal(d.n_findings, 0);
    (void)snprintf(sights[1].seen, sizeof sights[1].seen, "198.51.100.1");
    judge_pair(&d, &sights[0], &sights[1]);
    assert_string_equal(only()->id, "same-router");
    d.n_findings = 0;
    for (int i = 0; i < 2; i++) /* one router forwards both with their own addresses */
        (void)addr_format_ip(&sights[i].four.source, sights[i].seen);
    judge_pair(&d, &sights[0], &sights[1]);
    assert_string_equal(only()->id, "same-router");
}

static void an_address_that_two_links_have(void **state)
{
    (void)state;
    uplinks[0].way.address = sights[0].four.source;
    sights[0].also = &links[1];
    judge_uplink(&d, &sights[0]);
    assert_string_equal(only()->id, "address-ambiguous");
    assert_int_equal(only()->severity, SEVERITY_WARNING);
}

static void two_in_one_network(void **state)
{
    (void)state;
    sights[1].four.source = ip("10.0.1.3");
    judge_pair(&d, &sights[0], &sights[1]);
    assert_string_equal(only()->id, "arp-for-others");
    assert_string_equal(only()->repair,
                        "sysctl -w net.ipv4.conf.wan1.arp_ignore=1 net.ipv4.conf.wan2.arp_ignore=1");
    assert_string_equal(only()->undo,
                        "sysctl -w net.ipv4.conf.wan1.arp_ignore=0 net.ipv4.conf.wan2.arp_ignore=0");
    d.n_findings = 0;
    sights[0].settings.arp_ignore_all = 1;
    judge_pair(&d, &sights[0], &sights[1]);
    assert_int_equal(d.n_findings, 0);
}

static void names_with_shell_characters_are_in_no_command(void **state)
{
    (void)state;
    (void)snprintf(links[0].name, sizeof links[0].name, "a;reboot");
    links[0].up = false;
    assert_found("link-down", SEVERITY_ERROR, "", "");
}

static void rights_and_limits(void **state)
{
    struct config c = {.n_listen = 0};
    struct machine m = {.n_links = 0};
    struct sight_self self = {.files = {.rlim_cur = 512, .rlim_max = RLIM_INFINITY},
                              .program = "/usr/bin/steerway"};
    (void)state;
    judge_machine(&d, &self, &c, &m);
    judge_mark(&d, &self, &uplinks[0]);
    assert_int_equal(d.n_findings, 0);
    self.files.rlim_max = 1024;
    judge_machine(&d, &self, &c, &m);
    assert_string_equal(only()->repair, "prlimit --pid $$ --nofile=65536:65536");
    assert_string_equal(only()->undo, "prlimit --pid $$ --nofile=512:1024");
    d.n_findings = 0;
    uplinks[0].way.mark = 7;
    judge_mark(&d, &self, &uplinks[0]);
    assert_string_equal(only()->repair, "setcap cap_net_admin+ep /usr/bin/steerway");
    d.n_findings = 0;
    self.files.rlim_max = 65536;
    struct config wants = {.transparents = {{.tproxy = false}}, .n_transparents = 1};
    judge_machine(&d, &self, &wants, &m);
    assert_int_equal(d.n_findings, 0);
    wants.transparents[0].tproxy = true;
    judge_machine(&d, &self, &wants, &m);
    assert_string_equal(only()->id, "tproxy-not-permitted");
    assert_string_equal(only()->repair, "setcap cap_net_admin+ep /usr/bin/steerway");
    d.n_findings = 0;
    self.may_administer = true;
    judge_machine(&d, &self, &wants, &m);
    judge_mark(&d, &self, &uplinks[0]);
    assert_int_equal(d.n_findings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_that_is_well, setup),
        cmocka_unit_test_setup(one_family_without_a_route, setup),
        cmocka_unit_test_setup(an_unknown_router_is_not_invented, setup),
        cmocka_unit_test_setup(a_local_ipv6_network_needs_no_route, setup),
        cmocka_unit_test_setup(no_route_at_all, setup),
        cmocka_unit_test_setup(a_rule_in_the_way, setup),
        cmocka_unit_test_setup(a_rule_against_other_uplinks, setup),
        cmocka_unit_test_setup(a_rule_that_compares_the_bit_of_own_packets, setup),
        cmocka_unit_test_setup(a_table_that_no_rule_asks, setup),
        cmocka_unit_test_setup(a_strict_filter, setup),
        cmocka_unit_test_setup(ipv6_that_is_off, setup),
        cmocka_unit_test_setup(advertisements_that_are_ignored, setup),
        cmocka_unit_test_setup(a_loopback_address, setup),
        cmocka_unit_test_setup(a_gateway_that_is_not_a_neighbour, setup),
        cmocka_unit_test_setup(a_silent_router, setup),
        cmocka_unit_test_setup(two_behind_one_router, setup),
        cmocka_unit_test_setup(twins_are_two_lines, setup),
        cmocka_unit_test_setup(an_address_that_two_links_have, setup),
        cmocka_unit_test_setup(two_in_one_network, setup),
        cmocka_unit_test_setup(names_with_shell_characters_are_in_no_command, setup),
        cmocka_unit_test_setup(rights_and_limits, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
