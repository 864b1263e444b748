/* Findings are printed as text and as JSON, and decide whether an uplink is well. */
#include "doctor/diagnosis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct diagnosis d;

static int setup(void **state)
{
    (void)state;
    d = (struct diagnosis){.n_findings = 0};
    diagnosis_fact(&d, "one", "link", "%s, up", "eth0");
    struct finding *f = diagnosis_find(&d, SEVERITY_ERROR, "link-down", "two", "%s is off", "eth1");
    diagnosis_why(f, "Nothing goes by it.");
    diagnosis_repair(f, "ip link set %s up", "eth1");
    diagnosis_undo(f, "ip link set %s down", "eth1");
    f = diagnosis_find(&d, SEVERITY_WARNING, "files-few", "", "few files");
    diagnosis_why(f, "Thirty letters and some words more than a line of a terminal would have room for, so "
                     "that it is wrapped.");
    return 0;
}

static void only_errors_keep_from_serving(void **state)
{
    (void)state;
    assert_true(diagnosis_is_well(&d, "one"));
    assert_false(diagnosis_is_well(&d, "two"));
    assert_true(diagnosis_is_well(&d, ""));
    assert_true(diagnosis_has(&d, "two", "link-down"));
    assert_false(diagnosis_has(&d, "one", "link-down"));
}

static void a_reader_finds_commands_to_copy(void **state)
{
    static const char *const names[] = {"one", "two"};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    (void)state;
    assert_non_null(f);
    diagnosis_print(f, &d, names, 2);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(text,
                        "one\n"
                        "  link             eth0, up\n"
                        "\n"
                        "two\n"
                        "\n"
                        "  error (link-down): eth1 is off\n"
                        "    Nothing goes by it.\n"
                        "    repair:  ip link set eth1 up\n"
                        "    undo:    ip link set eth1 down\n"
                        "\n"
                        "this machine\n"
                        "\n"
                        "  warning (files-few): few files\n"
                        "    Thirty letters and some words more than a line of a terminal would have room\n"
                        "    for, so that it is wrapped.\n"
                        "\n");
    free(text);
}

static void json_has_the_same_content(void **state)
{
    static const char *const names[] = {"one", "two"};
    json_t *o = diagnosis_json(&d, names, 2, true);
    char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    (void)state;
    assert_string_equal(
        text,
        "{\"findings\":["
        "{\"id\":\"link-down\",\"repair\":\"ip link set eth1 up\",\"severity\":\"error\",\"undo\":\"ip link "
        "set eth1 "
        "down\",\"uplink\":\"two\",\"what\":\"eth1 is off\",\"why\":\"Nothing goes by it.\"},"
        "{\"id\":\"files-few\",\"severity\":\"warning\",\"what\":\"few files\",\"why\":\"Thirty letters and "
        "some words more than a line of a terminal would have room for, so that it is wrapped.\"}],"
        "\"machine\":{},\"uplinks\":[{\"facts\":{\"link\":\"eth0, up\"},\"name\":\"one\",\"well\":true},"
        "{\"facts\":{},\"name\":\"two\",\"well\":false}],\"would_start\":true}");
    free(text);
    json_decref(o);
}

static void findings_beyond_the_limit_are_dropped(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        diagnosis_fact(&d, "one", "x", "%d", i);
        diagnosis_why(diagnosis_find(&d, SEVERITY_NOTE, "x", "one", "%d", i), "so");
    }
    assert_int_equal(d.n_findings, FINDINGS_MAX);
    assert_int_equal(d.n_facts, FACTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_errors_keep_from_serving, setup),
        cmocka_unit_test_setup(a_reader_finds_commands_to_copy, setup),
        cmocka_unit_test_setup(json_has_the_same_content, setup),
        cmocka_unit_test_setup(findings_beyond_the_limit_are_dropped, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
