/* What the doctor says of a capture: nothing of one that works, and how to end or mend the others. */
#include "doctor/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct diagnosis d;

static struct capture_sight sight(bool known, size_t there, size_t of, size_t ours)
{
    struct capture_sight s = {
        .n_steps = there, .table_seen = true, .table = {.exists = ours > 0, .ours = ours}};
    char err[CAPTURE_ERROR_MAX];

    s.record.known = known;
    s.record.steps.n = of;
    assert_int_equal(capture_request_add_lan(&s.record.request, "eth1", err), 0);
    return s;
}

static void assert_says(const struct capture_sight *s, bool proxy, const char *id, const char *repair,
                        const char *undo)
{
    d = (struct diagnosis){.n_findings = 0};
    judge_capture(&d, s, proxy);
    assert_int_equal(d.n_findings, id ? 1 : 0);
    if (!id)
        return;
    assert_string_equal(d.findings[0].id, id);
    assert_int_equal(d.findings[0].severity, SEVERITY_WARNING);
    assert_string_equal(d.findings[0].repair, repair);
    assert_string_equal(d.findings[0].undo, undo);
    assert_true(d.findings[0].what[0] && d.findings[0].why[0]);
}

static const char ON[] = "steerway capture on --lan eth1", OFF[] = "steerway capture off";

static void a_capture_that_works_is_a_fact(void **state)
{
    struct capture_sight s = sight(true, 6, 6, 30);
    (void)state;
    assert_says(&s, true, NULL, NULL, NULL);
    assert_int_equal(d.n_facts, 1);
    s = sight(false, 0, 0, 0);
    assert_says(&s, true, NULL, NULL, NULL);
    assert_says(&s, false, NULL, NULL, NULL);
    assert_int_equal(d.n_facts, 0);
    s = sight(true, 6, 6, 0);
    s.table_seen = false; /* a user may not look */
    assert_says(&s, true, NULL, NULL, NULL);
}

static void one_whose_proxy_is_gone_can_be_ended(void **state)
{
    struct capture_sight s = sight(true, 6, 6, 0);
    (void)state;
    assert_says(&s, false, "capture-stale", OFF, ON);
    s = sight(true, 6, 6, 30);
    assert_says(&s, false, "capture-stale", OFF, ON);
    assert_non_null(strstr(d.findings[0].what, "stopped"));
    s = sight(false, 0, 0, 0);
    s.n_unknown = 2; /* without a record, nobody knows how it was begun */
    assert_says(&s, false, "capture-stale", OFF, "");
    s = sight(true, 0, 6, 0); /* as after a reboot */
    assert_says(&s, false, NULL, NULL, NULL);
}

static void one_that_is_damaged_can_be_mended(void **state)
{
    struct capture_sight s = sight(true, 5, 6, 30);
    (void)state;
    assert_says(&s, true, "capture-incomplete", ON, OFF);
    s = sight(true, 6, 6, 0);
    assert_says(&s, true, "capture-incomplete", ON, OFF);
}

static void one_that_does_not_fit_the_machine_is_found(void **state)
{
    struct capture_sight s = sight(true, 6, 6, 30);
    (void)state;
    (void)snprintf(s.missing, sizeof s.missing, "10.7.0.0/24");
    assert_says(&s, true, "capture-outdated", ON, OFF);
    assert_non_null(strstr(d.findings[0].what, "does not know the network 10.7.0.0/24"));
    s.missing[0] = '\0';
    (void)snprintf(s.former, sizeof s.former, "10.8.0.0/24");
    assert_says(&s, true, "capture-outdated", ON, OFF);
    assert_non_null(strstr(d.findings[0].what, "10.8.0.0/24"));
    judge_capture(&d, &s, false); /* one that stays without the proxy */
    assert_int_equal(d.n_findings, 3);
    assert_string_equal(d.findings[1].id, "capture-stale");
    assert_string_equal(d.findings[2].id, "capture-outdated");
    assert_string_equal(d.findings[2].repair, OFF);
    assert_string_equal(d.findings[2].undo, ON);
}

static void tell(struct capture_sight *s, const char *to4, const char *to6, const char *answer)
{
    json_t *o = json_loads(answer, 0, NULL);

    assert_non_null(o);
    s->table.to4.sa.sa_family = s->table.to6.sa.sa_family = AF_UNSPEC;
    assert_int_equal(*to4 ? addr_parse(&s->table.to4, slice_str(to4)) : 0, 0);
    assert_int_equal(*to6 ? addr_parse(&s->table.to6, slice_str(to6)) : 0, 0);
    s->unheard[0] = '\0';
    capture_sight_ask(s, o);
    json_decref(o);
}

static void one_that_leads_elsewhere_than_to_the_proxy_is_found(void **state)
{
    struct capture_sight s = sight(true, 6, 6, 30);
    (void)state;
    tell(&s, "127.0.0.1:5", "[::1]:5",
         "{\"listeners\": [\"127.0.0.1:6\", \"[::1]:5\"], \"outdated\": \"the reason\"}");
    assert_says(&s, true, "capture-misled", ON, OFF);
    assert_non_null(strstr(d.findings[0].what, "led to 127.0.0.1:5,"));
    assert_non_null(strstr(d.findings[0].why, "It says: the reason"));
    tell(&s, "127.0.0.1:5", "[::1]:5", "{\"listeners\": [\"127.0.0.1:5\"], \"outdated\": null}");
    assert_says(&s, true, "capture-misled", ON, OFF);
    assert_non_null(strstr(d.findings[0].what, "led to [::1]:5,"));
    tell(&s, "127.0.0.1:5", "", "{\"listeners\": []}"); /* capture on would be refused */
    assert_says(&s, true, "capture-misled", OFF, ON);
    assert_says(&s, false, "capture-stale", OFF, ON);
}

static void one_that_leads_to_the_proxy_is_well(void **state)
{
    static const struct {
        const char *to4, *to6, *answer;
    } cases[] = {
        {"127.0.0.1:5", "[::1]:5", "{\"listeners\": [\"127.0.0.1:5\", \"[::1]:5\"]}"},
        {"127.0.0.1:5", "[::1]:6", "{\"listeners\": [\"0.0.0.0:5\", \"[::]:6\"]}"}, /* at every address */
        {"127.0.0.1:5", "[fe80::1]:6", "{\"listeners\": [\"[fe80::1%eth7]:6\", \"127.0.0.1:5\"]}"},
        {"127.0.0.1:5", "", "{\"listeners\": [\"127.0.0.1:5\"]}"},
        {"127.0.0.1:5", "[::1]:5", "{}"}, /* an older proxy, or one that does not answer */
        {"127.0.0.1:5", "[::1]:5", "{\"listeners\": 5}"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct capture_sight s = sight(true, 6, 6, 30);
        tell(&s, cases[i].to4, cases[i].to6, cases[i].answer);
        assert_says(&s, true, NULL, NULL, NULL);
    }
    struct capture_sight s = sight(true, 6, 6, 0);
    s.table_seen = false; /* a user may not look */
    capture_sight_ask(&s, NULL);
    assert_says(&s, true, NULL, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_leads_elsewhere_than_to_the_proxy_is_found),
        cmocka_unit_test(one_that_leads_to_the_proxy_is_well),
        cmocka_unit_test(a_capture_that_works_is_a_fact),
        cmocka_unit_test(one_whose_proxy_is_gone_can_be_ended),
        cmocka_unit_test(one_that_is_damaged_can_be_mended),
        cmocka_unit_test(one_that_does_not_fit_the_machine_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
