/* Which targets an uplink's checks have. */
#include "health/checks.h"
#include "uplink/uplink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void targets_are_a_list(void **state)
{
    static const struct {
        const char *text;
        int result;
        size_t n;
    } cases[] = {
        {"none", 0, 0},
        {"192.0.2.1:443", 0, 1},
        {"192.0.2.1:443,http://example.org/x", 0, 2},
        {"a.org:1,b.org:2,c.org:3,d.org:4", 0, 4},
        {"a.org:1,b.org:2,c.org:3,d.org:4,e.org:5", -E2BIG, 0},
        {"", -EINVAL, 0},
        {"a.org:1,", -EINVAL, 0},
        {",a.org:1", -EINVAL, 0},
        {"none,a.org:1", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct checks_targets t = {.n = 99};
        if (checks_targets_parse(&t, cases[i].text) != cases[i].result ||
            t.n != (cases[i].result < 0 ? 99 : cases[i].n))
            fail_msg("'%s': %zu targets", cases[i].text, t.n);
    }
}

static void a_metered_uplink_has_only_its_own_targets(void **state)
{
    static char metered[] = "metered", one[] = "own.org:1", none[] = "none", bad[] = "?";
    static const struct {
        char *own, *tag;
        double quota;
        int result;
        const char *host; /* NULL: no target */
    } cases[] = {
        {NULL, NULL, 0, 0, "common.org"}, {one, NULL, 0, 0, "own.org"},    {none, NULL, 0, 0, NULL},
        {NULL, metered, 0, 0, NULL},      {one, metered, 0, 0, "own.org"}, {NULL, NULL, 1e9, 0, NULL},
        {one, NULL, 1e9, 0, "own.org"},   {bad, NULL, 0, -EINVAL, NULL},
    };
    struct checks_targets common, t;

    (void)state;
    assert_int_equal(checks_targets_parse(&common, "common.org:1"), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uplink u = {.check = cases[i].own,
                           .tags = {cases[i].tag},
                           .n_tags = cases[i].tag != NULL,
                           .quota = {.plan = {.bytes = cases[i].quota}}};
        assert_int_equal(checks_targets_for(&t, &u, &common), cases[i].result);
        if (cases[i].result == 0 &&
            (t.n != (cases[i].host != NULL) || (t.n && strcmp(t.items[0].to.host, cases[i].host) != 0)))
            fail_msg("case %zu: %zu targets", i, t.n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_a_list),
        cmocka_unit_test(a_metered_uplink_has_only_its_own_targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
