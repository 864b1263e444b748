/* Links that were removed: kept by name, and a bounded number of them. */
#include "uplink/discover_ignored.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_the_oldest_ignored_name_is_forgotten(void **state)
{
    struct discover_ignored ignored = {.n = 0};
    char name[MACHINE_NAME_SIZE], too_long[MACHINE_NAME_SIZE + 1];

    memset(too_long, 'n', MACHINE_NAME_SIZE);
    too_long[MACHINE_NAME_SIZE] = '\0';
    for (int i = 0; i <= UPLINK_MAX; i++) {
        (void)snprintf(name, sizeof name, "eth%d", i);
        discover_ignore(&ignored, name);
        discover_ignore(&ignored, name);
    }
    discover_ignore(&ignored, too_long);
    assert_int_equal(ignored.n, UPLINK_MAX);
    assert_false(discover_is_ignored(&ignored, "eth0"));
    assert_true(discover_is_ignored(&ignored, "eth1"));
    assert_string_equal(ignored.names[0], "eth1");
    assert_string_equal(ignored.names[UPLINK_MAX - 1], "eth64");
    discover_heed(&ignored, "eth1");
    discover_heed(&ignored, "eth1");
    assert_int_equal(ignored.n, UPLINK_MAX - 1);
    assert_string_equal(ignored.names[0], "eth2");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_ignored_name_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
