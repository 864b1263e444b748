#include "machine/machine.h"

#include "support/ip.h"

#include <linux/rtnetlink.h>

/* Worst first: each is better than all before it. */
static void test_best_source(void **state)
{
    struct machine_addr addrs[] = {
        {.link = 9, .addr = ip("2001:db8::9")},
        {.link = 1, .addr = ip("fe80::1"), .scope = RT_SCOPE_LINK},
        {.link = 1, .addr = ip("2001:db8::1"), .tentative = true},
        {.link = 1, .addr = ip("::1"), .scope = RT_SCOPE_HOST},
        {.link = 1, .addr = ip("2001:db8::2"), .deprecated = true},
        {.link = 1, .addr = ip("fd00::1"), .temporary = true},
        {.link = 1, .addr = ip("fd00::2")},
        {.link = 1, .addr = ip("2001:db8::3"), .temporary = true},
        {.link = 1, .addr = ip("2001:db8::4")},
        {.link = 1, .addr = ip("2001:db8::5")}, /* as good, but later */
    };
    struct machine m = {.addrs = addrs};
    const size_t first_usable = 4, best = 8;
    for (; m.n_addrs < first_usable; m.n_addrs++)
        assert_null(machine_source(&m, 1, AF_INET6));
    for (m.n_addrs = first_usable + 1; m.n_addrs <= best + 1; m.n_addrs++)
        assert_ptr_equal(machine_source(&m, 1, AF_INET6), &addrs[m.n_addrs - 1].addr);
    m.n_addrs = ARRAY_LEN(addrs);
    assert_ptr_equal(machine_source(&m, 1, AF_INET6), &addrs[best].addr);
    assert_null(machine_source(&m, 1, AF_INET));
    assert_ptr_equal(machine_source(&m, 9, AF_INET6), &addrs[0].addr);
    assert_null(machine_source(&m, 2, AF_INET6));
    /* whichever comes first */
    struct machine_addr last = addrs[ARRAY_LEN(addrs) - 1];
    addrs[ARRAY_LEN(addrs) - 1] = addrs[first_usable];
    addrs[first_usable] = last;
    assert_ptr_equal(machine_source(&m, 1, AF_INET6), &addrs[first_usable].addr);
    (void)state;
}

static void test_temporary_where_wanted(void **state)
{
    struct machine_link link = {.index = 1, .temporary6 = true};
    struct machine_addr addrs[] = {
        {.link = 1, .addr = ip("2001:db8::4")},
        {.link = 1, .addr = ip("2001:db8::5"), .temporary = true, .deprecated = true},
        {.link = 1, .addr = ip("2001:db8::6"), .temporary = true},
        {.link = 1, .addr = ip("fd00::1"), .temporary = true},
    };
    struct machine m = {.links = &link, .n_links = 1, .addrs = addrs, .n_addrs = ARRAY_LEN(addrs)};
    static const size_t order[] = {2, 0, 3, 1};
    const struct addr *all[MACHINE_SOURCES_MAX];
    assert_ptr_equal(machine_source(&m, 1, AF_INET6), &addrs[2].addr);
    assert_int_equal(machine_sources(&m, 1, AF_INET6, true, all), ARRAY_LEN(order));
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        assert_ptr_equal(all[i], &addrs[order[i]].addr);
    link.temporary6 = false;
    assert_ptr_equal(machine_source(&m, 1, AF_INET6), &addrs[0].addr);
    (void)state;
}

/* The best are kept, wherever they are in the list. */
static void test_more_sources_than_are_kept(void **state)
{
    struct machine_addr addrs[MACHINE_SOURCES_MAX + 4];
    const struct addr *all[MACHINE_SOURCES_MAX];
    struct machine m = {.addrs = addrs, .n_addrs = ARRAY_LEN(addrs)};
    for (size_t i = 0; i < ARRAY_LEN(addrs); i++)
        addrs[i] = (struct machine_addr){.link = 1, .addr = ip("2001:db8::1"), .deprecated = i < 6};
    assert_int_equal(machine_sources(&m, 1, AF_INET6, false, all), MACHINE_SOURCES_MAX);
    for (size_t i = 0; i < MACHINE_SOURCES_MAX; i++)
        assert_ptr_equal(all[i], &addrs[i < 14 ? i + 6 : i - 14].addr);
    (void)state;
}

static void test_link_of_addr(void **state)
{
    struct machine_link links[] = {
        {.index = 1, .name = "lo", .loopback = true, .up = true, .carrier = true},
        {.index = 2, .name = "down"},
        {.index = 3, .name = "up", .up = true, .carrier = true},
        {.index = 4, .name = "idle", .up = true},
    };
    struct machine_addr addrs[] = {
        {.link = 1, .addr = ip("127.0.0.1"), .prefix = 8, .scope = RT_SCOPE_HOST},
        {.link = 1, .addr = ip("::1"), .prefix = 128, .scope = RT_SCOPE_HOST},
        {.link = 1, .addr = ip("2001:db8:1::1"), .prefix = 64},
        {.link = 2, .addr = ip("192.0.2.1"), .prefix = 24},
        {.link = 4, .addr = ip("192.0.2.1"), .prefix = 24},
        {.link = 3, .addr = ip("192.0.2.1"), .prefix = 24},
        {.link = 2, .addr = ip("192.0.2.9"), .prefix = 24},
        {.link = 3, .addr = ip("192.0.2.8"), .prefix = 24, .tentative = true},
        {.link = 77, .addr = ip("192.0.2.7"), .prefix = 24},
    };
    const struct machine m = {
        .links = links, .n_links = ARRAY_LEN(links), .addrs = addrs, .n_addrs = ARRAY_LEN(addrs)};
    static const struct {
        const char *text, *link;
    } cases[] = {
        {"127.0.0.1", "lo"}, {"127.0.0.2", "lo"}, {"127.255.255.254", "lo"}, {"128.0.0.1", NULL},
        {"::1", "lo"},       {"::2", NULL},       {"2001:db8:1::1", "lo"},   {"2001:db8:1::2", NULL},
        {"192.0.2.1", "up"}, {"192.0.2.2", NULL}, {"192.0.2.9", "down"},     {"192.0.2.8", NULL},
        {"192.0.2.7", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr a = ip(cases[i].text);
        const struct machine_link *link = machine_link_of_addr(&m, &a);
        if ((link != NULL) != (cases[i].link != NULL) || (link && strcmp(link->name, cases[i].link) != 0))
            fail_msg("%s: found on %s", cases[i].text, link ? link->name : "nothing");
    }
    assert_null(machine_link_of_addr(&m, &(struct addr){.sa.sa_family = AF_UNSPEC}));
    (void)state;
}

static void test_link_by_name_and_index(void **state)
{
    struct machine_link links[] = {{.index = 1, .name = "lo"}, {.index = 7, .name = "eth0"}};
    const struct machine m = {.links = links, .n_links = ARRAY_LEN(links)}, none = {.n_links = 0};
    assert_ptr_equal(machine_link_by_name(&m, "eth0"), &links[1]);
    assert_ptr_equal(machine_link_by_index(&m, 7), &links[1]);
    assert_null(machine_link_by_name(&m, "eth"));
    assert_null(machine_link_by_name(&m, "eth01"));
    assert_null(machine_link_by_name(&m, ""));
    assert_null(machine_link_by_index(&m, 0));
    assert_null(machine_link_by_name(&none, "lo"));
    assert_null(machine_link_by_index(&none, 1));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_source),
        cmocka_unit_test(test_temporary_where_wanted),
        cmocka_unit_test(test_more_sources_than_are_kept),
        cmocka_unit_test(test_link_of_addr),
        cmocka_unit_test(test_link_by_name_and_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
