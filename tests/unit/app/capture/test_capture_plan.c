/* The steps and the table that capture adds, for some machines and wishes. */
#include "capture/capture_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct addr at(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, slice_str(text)), 0);
    return a;
}

static const struct capture_ground *ground(void)
{
    static struct cidr near[2];
    static struct capture_ground g;

    assert_int_equal(cidr_parse(&near[0], slice_str("192.168.1.0/24")), 0);
    assert_int_equal(cidr_parse(&near[1], slice_str("fd00:1::/64")), 0);
    g = (struct capture_ground){.own_mark = 0x80000000,
                                .to4 = at("127.0.0.1:1081"),
                                .to6 = at("[::1]:1082"),
                                .near = near,
                                .n_near = 2};
    return &g;
}

static struct capture_request asks(const char *lan, const char *user, const char *cgroup, bool stops)
{
    struct capture_request r = {.stops = stops};
    char err[CAPTURE_ERROR_MAX];

    assert_true(!lan || capture_request_add_lan(&r, lan, err) == 0);
    assert_true(!user || capture_request_add_user(&r, user, err) == 0);
    assert_true(!cgroup || capture_request_add_cgroup(&r, cgroup, err) == 0);
    return r;
}

/* --- steps ---------------------------------------------------------------------------------------------- */

static void assert_commands(const struct capture_request *r, bool six, const char *const expected[])
{
    struct capture_steps steps;
    char command[CAPTURE_COMMAND_MAX], undo[CAPTURE_COMMAND_MAX];

    capture_plan_steps(r, six, &steps);
    for (size_t i = 0; i < steps.n; i++) {
        assert_non_null(expected[i]);
        assert_string_equal(capture_step_command(&steps.items[i], command), expected[i]);
        /* The undo is the same with del for add. */
        char *verb = strstr(command, " add ");
        assert_non_null(verb);
        memcpy(verb, " del ", 5);
        assert_string_equal(capture_step_undo(&steps.items[i], undo), command);
        assert_true(capture_steps_have(&steps, &steps.items[i]));
    }
    assert_null(expected[steps.n]);
}

static void routes_come_before_the_rules_that_lead_there(void **state)
{
    const struct capture_request own = asks(NULL, NULL, NULL, false), lan = asks("eth1", "0", NULL, true);
    (void)state;
    assert_commands(&own, false,
                    (const char *[]){"ip -4 route add local default dev lo table 0x5357fff0 proto 83",
                                     "ip -4 rule add fwmark 0x5357fff0 lookup 0x5357fff0 pref 1000", NULL});
    assert_commands(&lan, true,
                    (const char *[]){"ip -4 route add local default dev lo table 0x5357fff0 proto 83",
                                     "ip -6 route add local default dev lo table 0x5357fff0 proto 83",
                                     "ip -4 rule add fwmark 0x5357fff0 lookup 0x5357fff0 pref 1000",
                                     "ip -4 rule add iif eth1 fwmark 0x5357fff1 lookup 0x5357fff0 pref 1000",
                                     "ip -6 rule add fwmark 0x5357fff0 lookup 0x5357fff0 pref 1000",
                                     "ip -6 rule add iif eth1 fwmark 0x5357fff1 lookup 0x5357fff0 pref 1000",
                                     NULL});
}

static void steps_are_told_apart(void **state)
{
    const struct capture_request one = asks("eth1", NULL, NULL, false),
                                 other = asks("eth2", NULL, NULL, false);
    struct capture_steps a, b;
    size_t shared = 0;
    (void)state;
    capture_plan_steps(&one, true, &a);
    capture_plan_steps(&other, true, &b);
    for (size_t i = 0; i < b.n; i++)
        shared += capture_steps_have(&a, &b.items[i]);
    assert_int_equal(a.n, 6);
    assert_int_equal(shared, 4); /* all but the rules of the interface */
}

/* --- the table ------------------------------------------------------------------------------------------ */

static const char *table(const struct capture_request *r, const struct capture_ground *g)
{
    static char text[CAPTURE_SCRIPT_MAX + 1];
    struct buf b;

    buf_init(&b, CAPTURE_SCRIPT_MAX);
    assert_int_equal(capture_plan_table(r, g, &b), 0);
    memcpy(text, buf_slice(&b).data, b.len);
    text[b.len] = '\0';
    buf_done(&b);
    return text;
}

/* The place of a line in the chain. */
static size_t place(const char *text, const char *chain, const char *line)
{
    char head[64];
    (void)snprintf(head, sizeof head, "  chain %s {", chain);
    const char *begin = strstr(text, head), *found = begin ? strstr(begin, line) : NULL,
               *end = begin ? strstr(begin, "\n  }") : NULL;

    if (!found || found > end)
        fail_msg("chain %s has no \"%s\":\n%s", chain, line, text);
    return (size_t)(found - begin);
}

static void assert_order(const char *text, const char *chain, const char *const lines[])
{
    for (size_t i = 1; lines[i]; i++)
        if (place(text, chain, lines[i - 1]) >= place(text, chain, lines[i]))
            fail_msg("chain %s: \"%s\" must come before \"%s\"", chain, lines[i - 1], lines[i]);
}

static void own_packets_are_left_out_before_anything_else(void **state)
{
    const struct capture_request r = asks("eth1", NULL, NULL, false);
    const char *text = table(&r, ground());
    (void)state;
    assert_order(text, "output",
                 (const char *[]){"meta mark & 0x80000000 != 0 return", "ct direction reply return",
                                  "ct label 115 meta l4proto { tcp, udp } meta mark set 0x5357fff0 counter "
                                  "return",
                                  "ct state != new return", "meta l4proto != { tcp, udp } return",
                                  "fib daddr type local return", "tcp flags", "th dport 53 goto choose",
                                  "{ 67, 68, 546, 547 } return", "fib daddr type { local, broadcast",
                                  "@near4 return", "@near6 return", "\n    goto choose", NULL});
    assert_order(text, "prerouting",
                 (const char *[]){"iif lo ct direction original ct label 115 goto divert",
                                  "iifname != { \"eth1\" } return", "ct direction reply return",
                                  "\n    ct label 115 goto divert", "ct state != new return",
                                  "meta l4proto != { tcp, udp } return", "tcp flags", "th dport 53 goto lan",
                                  "fib daddr type { local, broadcast", "@near4 return", "\n    goto lan",
                                  NULL});
    (void)place(text, "divert", "tproxy ip to 127.0.0.1:1081 meta mark set 0x5357fff1 counter accept");
    (void)place(text, "divert", "tproxy ip6 to [::1]:1082");
    assert_non_null(strstr(text, "224.0.0.0/3, 192.168.1.0/24 }"));
    assert_non_null(strstr(text, "ff00::/8, fd00:1::/64 }"));
}

static void without_the_proxy_traffic_passes_or_is_stopped(void **state)
{
    const struct capture_request pass = asks("eth1", NULL, NULL, false),
                                 stop = asks("eth1", NULL, NULL, true);
    const char *text = table(&pass, ground());
    (void)state;
    assert_non_null(strstr(text, "table inet steerway {\n  flags owner\n"));
    assert_null(strstr(text, "drop"));
    text = table(&stop, ground());
    assert_null(strstr(text, "owner"));
    assert_order(text, "divert",
                 (const char *[]){"tproxy ip6", "meta l4proto { tcp, udp } counter drop", NULL});
}

static void users_and_control_groups_choose(void **state)
{
    const struct capture_request all = asks(NULL, NULL, NULL, false),
                                 some = asks(NULL, "1000", "/sys/fs/cgroup/system.slice/x.service/", false);
    const char *text = table(&all, ground());
    (void)state;
    (void)place(text, "choose", "    goto take");
    assert_null(strstr(text, "skuid"));
    assert_null(strstr(text, "iifname"));
    assert_null(strstr(text, "chain lan"));
    text = table(&some, ground());
    (void)place(text, "choose", "meta skuid 1000 goto take");
    (void)place(text, "choose", "socket cgroupv2 level 2 \"system.slice/x.service\" goto take");
    assert_null(strstr(text, "    goto take"));
}

static void listeners_decide_what_can_be_captured(void **state)
{
    const struct capture_request r = asks("eth1", NULL, NULL, false);
    struct capture_ground g = *ground();
    (void)state;
    g.to6.sa.sa_family = AF_UNSPEC;
    g.to4 = at("0.0.0.0:1081");
    const char *text = table(&r, &g);
    (void)place(text, "output", "meta nfproto ipv6 return");
    (void)place(text, "prerouting", "meta nfproto ipv6 return");
    (void)place(text, "divert", "meta l4proto { tcp, udp } tproxy ip to 127.0.0.1:1081 ");
    assert_null(strstr(text, "ip6 to"));
}

static void every_rule_carries_the_comment(void **state)
{
    const struct capture_request r = asks("eth1", "0", "a", true);
    char *text = strdup(table(&r, ground())), *rest;
    size_t rules = 0;
    bool in_chain = false;
    (void)state;
    assert_non_null(text);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        bool inner = strncmp(line, "    ", 4) == 0;
        in_chain = inner ? in_chain : strstr(line, "chain") != NULL;
        if (!inner || !in_chain || strncmp(line, "    type ", 9) == 0)
            continue;
        rules++;
        if (!strstr(line, " comment \"" CAPTURE_COMMENT "\""))
            fail_msg("no comment: %s", line);
    }
    assert_true(rules > 25);
    free(text);
}

static void sets_are_filled_without_touching_rules(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, CAPTURE_SCRIPT_MAX);
    assert_int_equal(capture_plan_sets(ground(), &b), 0);
    assert_int_equal(buf_append(&b, "", 1), 0);
    assert_string_equal(buf_slice(&b).data,
                        "flush set inet steerway near4\n"
                        "add element inet steerway near4 { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, "
                        "224.0.0.0/3, 192.168.1.0/24 }\n"
                        "flush set inet steerway near6\n"
                        "add element inet steerway near6 { ::/127, fe80::/10, ff00::/8, fd00:1::/64 }\n");
    buf_done(&b);
}

static void a_table_that_is_too_long_is_an_error(void **state)
{
    const struct capture_request r = asks(NULL, NULL, NULL, false);
    struct buf b;
    (void)state;
    buf_init(&b, 1000);
    assert_true(capture_plan_table(&r, ground(), &b) < 0);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_come_before_the_rules_that_lead_there),
        cmocka_unit_test(steps_are_told_apart),
        cmocka_unit_test(own_packets_are_left_out_before_anything_else),
        cmocka_unit_test(without_the_proxy_traffic_passes_or_is_stopped),
        cmocka_unit_test(users_and_control_groups_choose),
        cmocka_unit_test(listeners_decide_what_can_be_captured),
        cmocka_unit_test(every_rule_carries_the_comment),
        cmocka_unit_test(sets_are_filled_without_touching_rules),
        cmocka_unit_test(a_table_that_is_too_long_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
