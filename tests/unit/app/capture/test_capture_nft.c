/* What in a table is capture's own, and the script that removes it and nothing else. */
#include "capture/capture_nft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* As `nft -a list table inet steerway` prints them. */
#define OBJECT(kind, name, lines) "\t" kind " " name " { # handle 3\n" lines "\t}\n\n"
#define OURS(rule, handle) "\t\t" rule " comment \"steerway capture\" # handle " handle "\n"
#define THEIRS(rule) "\t\t" rule " # handle 99\n"
#define BASE "\t\ttype route hook output priority mangle; policy accept;\n"
#define NEAR(name)                                                                                           \
    OBJECT("set", name,                                                                                      \
           "\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 0.0.0.0/8,\n\t\t\t     10.0.0.0/8 }\n")
#define SETS NEAR("near4") NEAR("near6")
#define TAKE OBJECT("chain", "take", OURS("ct label set 115", "5"))
#define OUTPUT(more)                                                                                         \
    OBJECT("chain", "output", BASE OURS("goto take", "4") OURS("ip daddr @near4 return", "6") more)
#define ALL SETS TAKE OUTPUT("")
#define RULES                                                                                                \
    "delete rule inet steerway take handle 5\ndelete rule inet steerway output handle 4\n"                   \
    "delete rule inet steerway output handle 6\n"

static struct capture_table parse(const char *objects)
{
    struct capture_table t;
    char text[8192];

    (void)snprintf(text, sizeof text,
                   "table inet steerway { # progname nft # handle 7\n\tflags owner\n\n%s}\n", objects);
    assert_int_equal(capture_table_parse(text, &t), 0);
    assert_true(t.exists);
    return t;
}

static void assert_removal(const char *objects, size_t foreign, const char *example, const char *removal)
{
    struct capture_table t = parse(objects);

    assert_int_equal(t.foreign, foreign);
    assert_string_equal(t.example, example);
    assert_string_equal(t.removal ? t.removal : "", removal);
    capture_table_done(&t);
}

static void a_table_of_capture_goes_as_a_whole(void **state)
{
    (void)state;
    struct capture_table t = parse(ALL);
    assert_int_equal(t.ours, 3);
    capture_table_done(&t);
    assert_removal(ALL, 0, "", "delete table inet steerway\n");
}

#define CHAINS_GO "delete chain inet steerway output\ndelete chain inet steerway take\n"
#define SETS_GO "delete set inet steerway near4\ndelete set inet steerway near6\n"

static void what_others_have_put_there_stays(void **state)
{
    (void)state;
    assert_removal(ALL OBJECT("chain", "mine", ""), 1, "chain mine", RULES CHAINS_GO SETS_GO);
    assert_removal(ALL OBJECT("set", "mine", "\t\ttype ipv4_addr\n")
                       OBJECT("counter", "c", "\t\tpackets 0 bytes 0\n"),
                   2, "set mine", RULES CHAINS_GO SETS_GO);
    assert_removal(SETS TAKE OUTPUT(THEIRS("counter accept")), 1, "a rule in chain output",
                   RULES "delete chain inet steerway take\n" SETS_GO);
    assert_removal(ALL OBJECT("chain", "mine", BASE THEIRS("accept") THEIRS("drop") "\t\tcomment \"x\"\n"), 1,
                   "chain mine", RULES CHAINS_GO SETS_GO);
}

/* A chain or set that a rule names cannot be deleted. */
static void what_others_use_stays(void **state)
{
    (void)state;
    assert_removal(ALL OBJECT("chain", "mine", THEIRS("jump take") THEIRS("ip6 daddr @near6 accept")), 1,
                   "chain mine", RULES "delete chain inet steerway output\ndelete set inet steerway near4\n");
    assert_removal(
        ALL OBJECT("map", "mine", "\t\ttype ipv4_addr : verdict\n\t\telements = { 10.0.0.1 : goto take }\n"),
        1, "map mine", RULES "delete chain inet steerway output\n" SETS_GO);
    assert_removal(ALL OBJECT("chain", "taken", THEIRS("jump taken2")), 1, "chain taken",
                   RULES CHAINS_GO SETS_GO);
}

/* Its comment makes a rule ours, wherever it stands. */
static void a_comment_that_is_alike_is_not_ours(void **state)
{
    (void)state;
    assert_removal(SETS TAKE OUTPUT("\t\taccept comment \"steerway captured\" # handle 8\n"), 1,
                   "a rule in chain output", RULES "delete chain inet steerway take\n" SETS_GO);
}

static void the_sets_are_read(void **state)
{
    struct capture_table t = parse(ALL OBJECT("set", "mine", "\t\telements = { 192.0.2.1 }\n"));
    struct capture_ranges expected = {.n = 0};
    (void)state;
    assert_int_equal(capture_ranges_add_text(&expected, slice_str("0.0.0.0/8, 10.0.0.0/8")), 0);
    capture_ranges_join(&expected);
    assert_true(capture_ranges_same(&t.near, &expected));
    capture_table_done(&t);
    t = parse(OBJECT("set", "near4", "\t\telements = { 0.0.0.0/8, odd }\n") OUTPUT(""));
    assert_int_equal(t.ours, 2); /* what is not understood harms nothing */
    capture_table_done(&t);
    capture_ranges_done(&expected);
}

static void a_table_of_another_program_stays(void **state)
{
    struct capture_table t;
    (void)state;
    assert_removal("", 0, "", "");
    assert_removal(OBJECT("chain", "output", BASE THEIRS("accept")), 1, "a rule in chain output", "");
    assert_removal(SETS, 0, "", "");
    assert_int_equal(capture_table_parse("", &t), 0);
    assert_true(!t.exists && t.ours == 0 && t.foreign == 0);
}

static void it_is_known_where_the_rules_lead(void **state)
{
    struct addr four, six;
    (void)state;
    assert_int_equal(addr_parse(&four, slice_str("127.0.0.1:1081")), 0);
    assert_int_equal(addr_parse(&six, slice_str("[::1]:1082")), 0);
    struct capture_table t = parse(ALL OBJECT(
        "chain", "divert",
        OURS("meta nfproto ipv4 meta l4proto { tcp, udp } tproxy ip to 127.0.0.1:1081 meta mark set 0x1", "8")
            OURS("meta nfproto ipv6 meta l4proto { tcp, udp } tproxy ip6 to [::1]:1082 meta mark set 0x1",
                 "9") THEIRS("tproxy ip to 127.0.0.9:9 accept")));
    assert_true(addr_same_end(&t.to4, &four) && addr_same_end(&t.to6, &six));
    capture_table_done(&t);
    t = parse(ALL);
    assert_true(addr_family(&t.to4) == AF_UNSPEC && addr_family(&t.to6) == AF_UNSPEC);
    capture_table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_of_capture_goes_as_a_whole),
        cmocka_unit_test(what_others_have_put_there_stays),
        cmocka_unit_test(what_others_use_stays),
        cmocka_unit_test(a_comment_that_is_alike_is_not_ours),
        cmocka_unit_test(the_sets_are_read),
        cmocka_unit_test(it_is_known_where_the_rules_lead),
        cmocka_unit_test(a_table_of_another_program_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
