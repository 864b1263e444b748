/* The record is written, read, locked and cleared; one that makes no sense counts as none. */
#include "capture/capture_record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/capture-record-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    (void)unsetenv("STATE_DIRECTORY");
    return mkdtemp(folder) && setenv("XDG_STATE_HOME", folder, 1) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void what_was_written_is_read(void **state)
{
    struct capture_book b, other;
    struct capture_record r;
    char err[CAPTURE_ERROR_MAX];
    (void)state;
    assert_int_equal(capture_record_read(&r), 0);
    assert_false(r.known);
    assert_int_equal(capture_book_open(&b), 0);
    assert_false(b.record.known);
    assert_int_equal(capture_book_open(&other), -EADDRINUSE);
    assert_int_equal(capture_request_add_lan(&b.record.request, "eth1", err), 0);
    b.record.request.stops = true;
    capture_plan_steps(&b.record.request, true, &b.record.steps);
    (void)snprintf(b.record.control, sizeof b.record.control, "/run/x.sock");
    assert_int_equal(capture_book_write(&b), 0);
    const struct capture_steps steps = b.record.steps;
    capture_book_close(&b);

    assert_int_equal(capture_record_read(&r), 0);
    assert_true(r.known && r.request.stops);
    assert_string_equal(r.request.lans[0], "eth1");
    assert_string_equal(r.control, "/run/x.sock");
    assert_int_equal(r.steps.n, steps.n);
    for (size_t i = 0; i < steps.n; i++)
        assert_true(capture_step_same(&r.steps.items[i], &steps.items[i]));

    assert_int_equal(capture_book_open(&b), 0);
    assert_true(b.record.known);
    assert_int_equal(capture_book_clear(&b), 0);
    assert_int_equal(capture_book_clear(&b), 0); /* harmless */
    capture_book_close(&b);
    assert_int_equal(capture_record_read(&r), 0);
    assert_false(r.known);
}

static void a_record_that_makes_no_sense_is_none(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"request\":{},\"steps\":1}",
        "{\"request\":{},\"steps\":[{\"what\":\"flood\",\"family\":4}]}",
        "{\"request\":{},\"steps\":[{\"what\":\"route\",\"family\":5}]}",
        "{\"request\":{},\"steps\":[{\"what\":\"rule\",\"family\":4,\"mark\":1,\"table\":0,\"priority\":1,"
        "\"in\":\"\"}]}",
        "{\"request\":{},\"steps\":[{\"what\":\"rule\",\"family\":4,\"mark\":1,\"table\":1,\"priority\":1,"
        "\"in\":\"0123456789abcdef\"}]}",
        "{\"request\":{\"lan\":[\"a b\"]},\"steps\":[]}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct capture_record r = {.known = false};
        json_t *o = json_loads(texts[i], 0, NULL);
        if (capture_record_parse(&r, o) != -EPROTO)
            fail_msg("%s is taken", texts[i]);
        assert_false(r.known);
        json_decref(o);
    }
}

static void too_many_steps_do_not_overflow(void **state)
{
    json_t *steps = json_array(), *o = json_pack("{s:{}, s:o}", "request", "steps", steps);
    struct capture_record r;
    (void)state;
    for (int i = 0; i <= CAPTURE_STEPS_MAX; i++)
        (void)json_array_append_new(steps, json_pack("{s:s, s:i}", "what", "route", "family", 4));
    assert_int_equal(capture_record_parse(&r, o), -EPROTO);
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_record_that_makes_no_sense_is_none),
        cmocka_unit_test(too_many_steps_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
