#include "machine/addr_places.h"

#include "support/ip.h"

static struct addr_places places(struct machine_addr *addrs, size_t n)
{
    struct addr_places ret;
    const struct machine m = {.addrs = addrs, .n_addrs = n};

    assert_int_equal(addr_places_init(&ret, &m), 0);
    return ret;
}

static void test_what_a_change_loses(void **state)
{
    struct machine_addr before_addrs[] = {
        {.link = 7, .addr = ip("192.0.2.1")},    {.link = 3, .addr = ip("192.0.2.2")},
        {.link = 4, .addr = ip("192.0.2.3")},    {.link = 5, .addr = ip("192.0.2.3")},
        {.link = 3, .addr = ip("2001:db8::1")},  {.link = 3, .addr = ip("192.0.2.5")},
        {.link = 1, .addr = ip("198.51.100.1")}, {.link = 3, .addr = ip("192.0.2.9"), .tentative = true},
    };
    struct machine_addr now_addrs[] = {
        {.link = 5, .addr = ip("192.0.2.3")},    {.link = 3, .addr = ip("192.0.2.2")},
        {.link = 8, .addr = ip("192.0.2.1")},    {.link = 3, .addr = ip("192.0.2.5"), .tentative = true},
        {.link = 9, .addr = ip("198.51.100.1")}, {.link = 1, .addr = ip("198.51.100.1")},
    };
    static const struct {
        const char *ip;
        int link;
        bool lost;
    } cases[] = {
        {"192.0.2.2", 3, false},                            /* stayed */
        {"192.0.2.2", 0, false},    {"192.0.2.1", 7, true}, /* moved */
        {"192.0.2.1", 8, false},    {"192.0.2.1", 0, false},
        {"192.0.2.1", 6, false}, /* borrowed, and still there to borrow */
        {"192.0.2.3", 4, true},  /* was on two links, is on one */
        {"192.0.2.3", 5, false},    {"192.0.2.3", 0, false},
        {"2001:db8::1", 3, true},                              /* went */
        {"2001:db8::1", 0, true},   {"2001:db8::1", 6, true},  /* borrowed */
        {"192.0.2.5", 3, true},                                /* is not had yet, again */
        {"192.0.2.9", 3, false},                               /* was not had yet */
        {"198.51.100.1", 0, false},                            /* another link has it too */
        {"198.51.100.1", 1, false}, {"203.0.113.1", 0, false}, /* never was there */
        {"203.0.113.1", 3, false},  {"::1", 0, false},
    };
    struct addr_places before = places(before_addrs, ARRAY_LEN(before_addrs));
    struct addr_places now = places(now_addrs, ARRAY_LEN(now_addrs));
    const struct addr_change c = {.before = &before, .now = &now};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a = ip(cases[i].ip);
        addr_set_port(&a, 80); /* as a socket has one */
        if (addr_change_loses(&c, &a, cases[i].link) != cases[i].lost)
            fail_msg("%s on %d", cases[i].ip, cases[i].link);
    }
    addr_places_done(&before);
    addr_places_done(&now);
    (void)state;
}

static void test_whether_a_change_loses_any(void **state)
{
    struct machine_addr addrs[] = {
        {.link = 1, .addr = ip("192.0.2.1")},
        {.link = 2, .addr = ip("192.0.2.2")},
        {.link = 2, .addr = ip("2001:db8::2")},
        {.link = 3, .addr = ip("192.0.2.2")},
    };
    const size_t n = ARRAY_LEN(addrs);
    struct addr_places all = places(addrs, n), none = {.n = 0};

    assert_false(addr_change_loses_any(&(struct addr_change){.before = &none, .now = &all}));
    assert_false(addr_change_loses_any(&(struct addr_change){.before = &all, .now = &all}));
    assert_false(addr_change_loses_any(&(struct addr_change){.before = &none, .now = &none}));
    assert_true(addr_change_loses_any(&(struct addr_change){.before = &all, .now = &none}));
    for (size_t i = 0; i < n; i++) { /* each as the one that is missing */
        struct machine_addr last = addrs[n - 1];
        addrs[n - 1] = addrs[i];
        addrs[i] = last;
        struct addr_places fewer = places(addrs, n - 1);
        assert_true(addr_change_loses_any(&(struct addr_change){.before = &all, .now = &fewer}));
        assert_false(addr_change_loses_any(&(struct addr_change){.before = &fewer, .now = &all}));
        addr_places_done(&fewer);
    }
    addr_places_done(&all);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_change_loses),
        cmocka_unit_test(test_whether_a_change_loses_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
