/* What in a table is capture's own, and the script that removes it and nothing else. */
#include "capture/capture_nft.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TABLE "{\"table\":{\"family\":\"inet\",\"name\":\"steerway\",\"handle\":1}}"
#define CHAIN(name)                                                                                          \
    "{\"chain\":{\"family\":\"inet\",\"table\":\"steerway\",\"name\":\"" name "\",\"handle\":2}}"
#define SET(name) "{\"set\":{\"family\":\"inet\",\"table\":\"steerway\",\"name\":\"" name "\",\"handle\":3}}"
#define OURS(chain, handle)                                                                                  \
    "{\"rule\":{\"chain\":\"" chain "\",\"handle\":" handle ",\"comment\":\"steerway "                       \
    "capture\",\"expr\":[]}}"
#define THEIRS(chain, expr) "{\"rule\":{\"chain\":\"" chain "\",\"handle\":99,\"expr\":[" expr "]}}"
#define ALL                                                                                                  \
    TABLE "," SET("near4") "," SET("near6") "," CHAIN("output") "," CHAIN("take") "," OURS(                  \
        "output", "4") "," OURS("take", "5")

static struct capture_table parse(const char *items)
{
    struct capture_table t;
    char text[4096];

    (void)snprintf(text, sizeof text, "{\"nftables\":[{\"metainfo\":{\"version\":\"1\"}}%s%s]}",
                   *items ? "," : "", items);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    assert_int_equal(capture_table_parse(o, &t), 0);
    json_decref(o);
    return t;
}

static void assert_removal(const char *items, size_t foreign, const char *example, const char *removal)
{
    struct capture_table t = parse(items);

    assert_int_equal(t.foreign, foreign);
    assert_string_equal(t.example, example);
    assert_string_equal(t.removal ? t.removal : "", removal);
    capture_table_done(&t);
}

static void a_table_of_capture_goes_as_a_whole(void **state)
{
    (void)state;
    struct capture_table t = parse(ALL);
    assert_true(t.exists);
    assert_int_equal(t.ours, 2);
    capture_table_done(&t);
    assert_removal(ALL, 0, "", "delete table inet steerway\n");
}

#define RULES "delete rule inet steerway output handle 4\ndelete rule inet steerway take handle 5\n"

static void what_others_have_put_there_stays(void **state)
{
    (void)state;
    assert_removal(ALL "," CHAIN("mine"), 1, "chain mine",
                   RULES "delete chain inet steerway output\ndelete chain inet steerway take\n"
                         "delete set inet steerway near4\ndelete set inet steerway near6\n");
    assert_removal(ALL "," SET("mine") ",{\"counter\":{\"name\":\"c\"}}", 2, "set mine",
                   RULES "delete chain inet steerway output\ndelete chain inet steerway take\n"
                         "delete set inet steerway near4\ndelete set inet steerway near6\n");
    assert_removal(ALL "," THEIRS("output", ""), 1, "a rule in chain output",
                   RULES "delete chain inet steerway take\n"
                         "delete set inet steerway near4\ndelete set inet steerway near6\n");
}

/* A chain or set that a rule names cannot be deleted. */
static void what_others_use_stays(void **state)
{
    (void)state;
    assert_removal(ALL "," CHAIN("mine") "," THEIRS("mine", "{\"jump\":{\"target\":\"take\"}}") "," THEIRS(
                       "mine", "\"@near6\""),
                   3, "chain mine",
                   RULES "delete chain inet steerway output\ndelete set inet steerway near4\n");
}

static void a_table_of_another_program_stays(void **state)
{
    (void)state;
    assert_removal("", 0, "", "");
    struct capture_table t = parse(TABLE);
    assert_true(t.exists && t.ours == 0 && !t.removal);
    assert_removal(TABLE "," CHAIN("output") "," THEIRS("output", ""), 1, "a rule in chain output", "");
}

static void an_answer_that_makes_no_sense_is_an_error(void **state)
{
    struct capture_table t;
    (void)state;
    assert_int_equal(capture_table_parse(NULL, &t), -EPROTO);
    json_t *o = json_loads("{\"nftables\":1}", 0, NULL);
    assert_int_equal(capture_table_parse(o, &t), -EPROTO);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_of_capture_goes_as_a_whole),
        cmocka_unit_test(what_others_have_put_there_stays),
        cmocka_unit_test(what_others_use_stays),
        cmocka_unit_test(a_table_of_another_program_stays),
        cmocka_unit_test(an_answer_that_makes_no_sense_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
