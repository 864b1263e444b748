/* What may be asked for, and that it survives as JSON and as options. */
#include "capture/capture_request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef int add_fn(struct capture_request *r, const char *text, char *err);

static void assert_refused(add_fn *add, const char *text)
{
    struct capture_request r = {.n_lans = 0};
    char err[CAPTURE_ERROR_MAX] = "";

    if (add(&r, text, err) != -EINVAL)
        fail_msg("'%s' is taken", text);
    assert_true(err[0] != '\0');
    assert_int_equal(r.n_lans + r.n_users + r.n_cgroups, 0);
}

/* Each of these would end the quotes, or mean something else to nft or a shell. */
static void texts_that_could_leave_their_quotes_are_refused(void **state)
{
    static const char *const names[] = {
        "", "lo", "a\"b", "a b", "a;b", "a\nb", "eth*", "a{b", "$x", "a`b", "0123456789abcdef"};
    static const char *const paths[] = {"",
                                        "/",
                                        "a\"b",
                                        "a b",
                                        "a;b",
                                        "a\nb",
                                        "a*",
                                        "../a",
                                        "a/../b",
                                        "a//b",
                                        "a'b",
                                        "$(x)",
                                        "/sys/fs/cgroup/",
                                        "a#b"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_refused(capture_request_add_lan, names[i]);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_refused(capture_request_add_cgroup, paths[i]);
    static const char *const users[] = {"", "no-such-user", "-1", "4294967295", "4294967296", "1x", " 1"};
    for (size_t i = 0; i < ARRAY_LEN(users); i++)
        assert_refused(capture_request_add_user, users[i]);
    assert_refused(capture_request_set_when_gone, "go");
}

static void nothing_is_there_twice_and_no_list_overflows(void **state)
{
    struct capture_request r = {.n_lans = 0};
    char err[CAPTURE_ERROR_MAX], name[16];
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(capture_request_add_lan(&r, "eth0", err), 0);
        assert_int_equal(capture_request_add_user(&r, i == 0 ? "root" : "0", err), 0);
        assert_int_equal(capture_request_add_cgroup(&r, i == 0 ? "/sys/fs/cgroup/unified/a/b/" : "a/b", err),
                         0);
    }
    assert_int_equal(r.n_lans + r.n_users + r.n_cgroups, 3);
    assert_string_equal(r.cgroups[0], "a/b");
    for (int i = 1; i < 100; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_int_equal(capture_request_add_lan(&r, name, err), i < CAPTURE_LANS_MAX ? 0 : -EINVAL);
        assert_int_equal(capture_request_add_user(&r, name, err), i < CAPTURE_USERS_MAX ? 0 : -EINVAL);
        assert_int_equal(capture_request_add_cgroup(&r, name, err), i < CAPTURE_CGROUPS_MAX ? 0 : -EINVAL);
    }
}

static void json_and_options_say_the_same(void **state)
{
    struct capture_request r = {.n_lans = 0}, back = {.n_lans = 0};
    char err[CAPTURE_ERROR_MAX], options[256];
    (void)state;
    assert_string_equal(capture_request_options(&r, options, sizeof options), "");
    assert_int_equal(capture_request_add_lan(&r, "eth1.5", err), 0);
    assert_int_equal(capture_request_add_user(&r, "1000", err), 0);
    assert_int_equal(capture_request_add_cgroup(&r, "system.slice/a\\x2db.service", err), 0);
    assert_int_equal(capture_request_set_when_gone(&r, "stop", err), 0);
    json_t *o = capture_request_json(&r);
    assert_int_equal(capture_request_parse(&back, o, err), 0);
    json_decref(o);
    assert_memory_equal(&back, &r, sizeof r);
    assert_string_equal(capture_request_options(&back, options, sizeof options),
                        " --lan eth1.5 --user 1000 --cgroup system.slice/a\\x2db.service --when-gone stop");
    assert_int_equal(strlen(capture_request_options(&back, options, 12)), 11); /* cut */
}

static void json_that_makes_no_sense_is_refused(void **state)
{
    static const char *const bad[] = {"null",
                                      "[]",
                                      "{\"lan\":[1]}",
                                      "{\"lan\":[\"a b\"]}",
                                      "{\"user\":[-1]}",
                                      "{\"user\":[\"root\"]}",
                                      "{\"user\":[4294967295]}",
                                      "{\"cgroup\":[null]}",
                                      "{\"when_gone\":\"x\"}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct capture_request r = {.n_lans = 7};
        char err[CAPTURE_ERROR_MAX] = "";
        json_t *o = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        assert_non_null(o);
        if (capture_request_parse(&r, o, err) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
        assert_int_equal(r.n_lans, 7); /* untouched */
        json_decref(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_could_leave_their_quotes_are_refused),
        cmocka_unit_test(nothing_is_there_twice_and_no_list_overflows),
        cmocka_unit_test(json_and_options_say_the_same),
        cmocka_unit_test(json_that_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
