/* What two readings of a config file differ in: every option, lists, uplinks, and what is not shown. */
#include "options/config_changes.h"
#include "options/config_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "key: change (applies)", a line for each, in out. */
static const char *changes_of(const char *before, const char *now, const struct option_value *given, size_t n,
                              bool uplinks_given, char out[1024])
{
    json_t *was = before ? json_loads(before, 0, NULL) : NULL, *is = json_loads(now, 0, NULL);
    json_t *list = config_changes(was, is, given, n, uplinks_given);
    const json_t *change;
    size_t i, len = 0;

    assert_true(is && list);
    out[0] = '\0';
    json_array_foreach(list, i, change)
    {
        len += (size_t)snprintf(out + len, 1024 - len, "%s: %s (%s)\n",
                                json_string_value(json_object_get(change, "key")),
                                json_string_value(json_object_get(change, "change")),
                                json_string_value(json_object_get(change, "applies")));
    }
    json_decref(was);
    json_decref(is);
    json_decref(list);
    return out;
}

static void each_option_is_compared(void **state)
{
    char key[CONFIG_FILE_KEY_MAX], now[128], out[1024], want[160];

    (void)state;
    for (size_t i = 0; option_at(i); i++) {
        const struct option *o = option_at(i);
        config_file_key(o, key);
        if (!*key)
            continue;
        bool list = o->kind == OPTION_LIST || o->kind == OPTION_PATHS || o->kind == OPTION_RULES;
        (void)snprintf(now, sizeof now, "{\"%s\": \"some\"}", key);
        (void)snprintf(want, sizeof want, "%s: %s%s (%s)\n", key, list ? "with " : "not set → ",
                       o->secret ? "(not shown)" : "some", o->restart ? "restart" : "now");
        assert_string_equal(changes_of(NULL, now, NULL, 0, false, out), want);
        assert_string_equal(changes_of(now, now, NULL, 0, false, out), "");
        const struct option_value given = {.option = o, .text = "other"};
        changes_of("{}", now, &given, 1, false, out);
        assert_non_null(strstr(out, "(never)\n"));
    }
}

static void words_of_changes(void **state)
{
    static const struct {
        const char *before, *now, *changes;
    } cases[] = {
        {"{\"port\": 1080}", "{\"port\": 1081}", "port: 1080 → 1081 (now)\n"},
        {"{\"port\": 1080}", "{}", "port: 1080 → not set (now)\n"},
        {"{\"http\": true}", "{\"http\": false}", "http: true → false (now)\n"},
        {"{\"hedge\": 0.25}", "{\"hedge\": 0.25}", ""},
        {"{\"allow\": \"10.0.0.0/8\"}", "{\"allow\": [\"10.0.0.0/8\", \"::1\"]}", "allow: with ::1 (now)\n"},
        {"{\"allow\": [\"10.0.0.0/8\"]}", "{\"allow\": \"10.0.0.0/8\"}", ""},
        {"{\"allow\": [\"a\", \"b\"]}", "{\"allow\": [\"b\", \"a\"]}", "allow: in another order (now)\n"},
        {"{\"allow\": {}}", "{}", ""},
        {"{\"set\": {\"a\": 1}}", "{\"set\": {\"a\": 2}}", "set: {\"a\":1} → {\"a\":2} (now)\n"},
        {"{\"uplinks\": [\"eth0@2\", \"eth1\"]}", "{\"uplinks\": [\"eth1\", \"eth2/3\"]}",
         "uplinks: without eth0 (now)\nuplinks: with eth2 (now)\n"},
        {"{\"uplinks\": [\"eth0@2\"]}", "{\"uplinks\": [\"eth0@3\"]}",
         "uplink eth0: eth0@2 → eth0@3 (now)\n"},
        {"{\"uplinks\": [{\"interface\": \"eth0\", \"tier\": 2, \"weight\": 1}]}",
         "{\"uplinks\": [{\"interface\": \"eth0\", \"quota\": \"1G\", \"weight\": 1}]}",
         "uplink eth0: quota: not set → 1G (now)\nuplink eth0: tier: 2 → not set (now)\n"},
        {"{\"uplinks\": [{\"name\": \"a\", \"upstream\": \"socks5://u:secret@h:1\"}]}",
         "{\"uplinks\": [{\"name\": \"a\", \"upstream\": \"socks5://u:hidden@h:1\"}]}",
         "uplink a: upstream: (not shown) → (not shown) (now)\n"},
        {"{\"uplinks\": [\"socks5://u:secret@h:1\"]}", "{\"uplinks\": []}",
         "uplinks: without socks5://… (now)\n"},
    };
    char out[1024];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        changes_of(cases[i].before, cases[i].now, NULL, 0, false, out);
        if (strcmp(out, cases[i].changes) != 0)
            fail_msg("%s, then %s:\n%s", cases[i].before, cases[i].now, out);
        assert_null(strstr(out, "secret"));
        assert_null(strstr(out, "hidden"));
    }
}

static void the_command_line_overrides(void **state)
{
    const struct option_value port = {.option = option_by_name(slice_str("port")), .text = "7"};
    char out[1024];

    (void)state;
    assert_string_equal(changes_of("{}", "{\"uplinks\": [\"eth0\"]}", NULL, 0, true, out),
                        "uplinks: with eth0 (never)\n");
    assert_string_equal(changes_of("{}", "{\"port\": 3, \"threads\": 2}", &port, 1, false, out),
                        "port: not set → 3 (never)\nthreads: not set → 2 (restart)\n");
    assert_string_equal(changes_of("{}", "{\"listen\": \"::1:3\"}", &port, 1, false, out),
                        "listen: with ::1:3 (never)\n"); /* --port replaces listen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_option_is_compared),
        cmocka_unit_test(words_of_changes),
        cmocka_unit_test(the_command_line_overrides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
