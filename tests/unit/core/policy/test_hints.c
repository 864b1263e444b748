/* Additions to Lua's messages: the file's whole path, once, and advice. */
#include "policy/hints.h"

#include "base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LONG "/srv/a-folder-with-a-long-name/and-another-one/and-more/"

enum { ROOM = 128 };

static void a_file_is_named_once_and_whole(void **state)
{
    static const struct {
        const char *file, *err, *expected;
    } all[] = {
        {"p.lua", "p.lua:3: wrong", "p.lua:3: wrong"},
        {"p.lua", "wrong", "p.lua: wrong"},
        {LONG "p.lua", ".../and-more/p.lua:3: wrong", LONG "p.lua:3: wrong"},
        {LONG "p.lua", ".../p.lua:3: wrong", LONG "p.lua:3: wrong"},
        {LONG "p.lua", "...: wrong", LONG "p.lua: ...: wrong"},
        {LONG "p.lua", "...", LONG "p.lua: ..."},
        /* a required file has its own place */
        {LONG "p.lua", ".../and-more/helper.lua:3: wrong", LONG "p.lua: .../and-more/helper.lua:3: wrong"},
        {"p.lua", ".../a/longer/path/than/that/p.lua:1: x", ".../a/longer/path/than/that/p.lua:1: x"},
        {"p.lua", "", "p.lua: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        char err[ROOM];
        (void)snprintf(err, sizeof err, "%s", all[i].err);
        hints_name_file(all[i].file, err, sizeof err);
        assert_string_equal(err, all[i].expected);
    }
    (void)state;
}

/* The text is more important than a long path, of which only the end is shown. */
static void a_long_path_leaves_room_for_the_text(void **state)
{
    char path[2000], err[1024];

    for (size_t len = 1; len < sizeof path; len++) {
        memset(path, 'p', len);
        path[len] = '\0';
        (void)snprintf(err, sizeof err, "wrong");
        hints_name_file(path, err, sizeof err);
        assert_true(strlen(err) < sizeof err);
        assert_string_equal(err + strlen(err) - strlen("p: wrong"), "p: wrong");
    }
    (void)snprintf(path, sizeof path, "%s", LONG "p.lua");
    memset(err, 'x', sizeof err);
    err[sizeof err - 1] = '\0';
    hints_name_file(path, err, sizeof err);
    assert_int_equal(strlen(err), sizeof err - 1);
    assert_memory_equal(err, LONG "p.lua: xxx", strlen(LONG "p.lua: xxx"));
    (void)state;
}

static void hints_say_what_to_do(void **state)
{
    static const struct {
        const char *err, *expected;
    } all[] = {
        {"p.lua:2: attempt to index global 'io' (a nil value)", "io is not in the sandbox"},
        {"p.lua:2: attempt to index local 'uplinks' (a nil value)", "pick is called as pick(conn, uplinks)"},
        {"p.lua:2: attempt to get length of local 'uplinks' (a nil value)", "without self"},
        {"p.lua:2: attempt to index local 'conn' (a nil value)", "a hook's first argument is conn"},
        {"p.lua:2: attempt to call field 'execute' (a nil value)", "a policy starts no program"},
    };
    char err[512];

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        (void)snprintf(err, sizeof err, "%s", all[i].err);
        hints_add(err, sizeof err, false);
        assert_non_null(strstr(err, all[i].expected));
        (void)snprintf(err, sizeof err, "%s", all[i].err);
        hints_add(err, strlen(err) + 10, false); /* hints are not cut */
        assert_string_equal(err, all[i].err);
    }
    (void)snprintf(err, sizeof err, "p.lua:2: attempt to index local 'uplink' (a nil value)");
    hints_add(err, sizeof err, false);
    assert_string_equal(err, "p.lua:2: attempt to index local 'uplink' (a nil value)");
    (void)state;
}

/* A config file has no ctx and no hooks. */
static void a_config_file_has_hints_of_its_own(void **state)
{
    static const struct {
        const char *err, *expected;
    } all[] = {
        {"c.lua:2: attempt to index global 'io' (a nil value)", "not available in a config file"},
        {"c.lua:2: attempt to call global 'dofile' (a nil value)", "beside the config file"},
        {"c.lua:2: attempt to index global 'ctx' (a nil value)", "a config file has no ctx"},
        {"c.lua:2: attempt to call field 'execute' (a nil value)", "a config file starts no program"},
        {"c.lua:2: attempt to index local 'conn' (a nil value)", "(a nil value)"},
    };
    char err[512];

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        (void)snprintf(err, sizeof err, "%s", all[i].err);
        hints_add(err, sizeof err, true);
        assert_non_null(strstr(err, all[i].expected));
        assert_null(strstr(err, "ctx."));
        assert_null(strstr(err, "hook"));
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_named_once_and_whole),
        cmocka_unit_test(a_long_path_leaves_room_for_the_text),
        cmocka_unit_test(hints_say_what_to_do),
        cmocka_unit_test(a_config_file_has_hints_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
