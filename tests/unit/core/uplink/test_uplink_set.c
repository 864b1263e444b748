/* A set of uplinks: copying, refusing and numbering. */
#include "uplink/added.h"

#include <errno.h>
#include <math.h>

static void test_view_starts_empty(void **state)
{
    struct uplink_set set = {.n = 0};
    struct machine none = {.n_links = 0};
    struct uplink *u = add(&set, "eth0@2.5", &none);
    const struct uplink_view expected = {.weight = 2.5, .tier = 1, .quota_left = INFINITY, .id = 1};
    assert_memory_equal(&u->view, &expected, sizeof expected);
    assert_ptr_equal(&u->view, u); /* the pointer that policies receive */
    uplink_set_done(&set);
    (void)state;
}

static void test_ids_and_names(void **state)
{
    struct uplink_set set = {.n = 0};
    struct machine none = {.n_links = 0};
    static const char *const texts[] = {"eth0", "10.0.0.1@7", "[2001:DB8:0::1]@2", "eth1/3"};
    static const char *const names[] = {"eth0", "10.0.0.1", "2001:db8::1", "eth1"};
    static const char *const kinds[] = {"interface", "address", "address", "interface"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct uplink *u = add(&set, texts[i], &none);
        assert_int_equal(u->view.id, i + 1);
        assert_string_equal(u->name, names[i]);
        assert_string_equal(uplink_kind_name(u->kind), kinds[i]);
        assert_ptr_equal(set.items[i], u);
    }
    assert_int_equal(set.n, ARRAY_LEN(texts));
    uplink_set_done(&set);
    assert_int_equal(set.n, 0);
    uplink_set_done(&set);
    (void)state;
}

static void test_names_are_unique(void **state)
{
    struct uplink_set set = {.n = 0};
    struct machine none = {.n_links = 0};
    (void)add(&set, "eth0", &none);
    struct uplink_spec again = spec_of("eth0@3"), other = spec_of("eth1");
    assert_int_equal(uplink_set_add(&set, &again, &none), -EEXIST);
    (void)snprintf(other.name, sizeof other.name, "eth0");
    assert_int_equal(uplink_set_add(&set, &other, &none), -EEXIST);
    (void)snprintf(again.name, sizeof again.name, "again");
    assert_int_equal(uplink_set_add(&set, &again, &none), 0);
    assert_int_equal(set.n, 2);
    assert_string_equal(set.items[1]->name, "again");
    assert_string_equal(set.items[1]->interface, "eth0");
    assert_int_equal(set.items[1]->view.id, 2); /* a refused uplink took no number */
    uplink_set_done(&set);
    (void)state;
}

static void test_longest_names(void **state)
{
    struct uplink_set set = {.n = 0};
    struct machine none = {.n_links = 0};
    struct uplink_spec spec = spec_of("fifteen-letters");
    struct uplink *u = add(&set, "fifteen-letters", &none);
    assert_string_equal(u->interface, "fifteen-letters");
    assert_string_equal(u->egress.device, "fifteen-letters");
    memset(spec.name, 'n', UPLINK_NAME_MAX);
    assert_int_equal(uplink_set_add(&set, &spec, &none), 0);
    assert_int_equal(strlen(set.items[1]->name), UPLINK_NAME_MAX);
    uplink_set_done(&set);
    (void)state;
}

static void test_full_set(void **state)
{
    struct uplink_set set = {.n = 0};
    struct machine none = {.n_links = 0};
    struct uplink_spec spec = spec_of("one-more");
    for (int i = 0; i < UPLINK_MAX; i++) {
        char name[IFNAMSIZ];
        (void)snprintf(name, sizeof name, "eth%d", i);
        (void)add(&set, name, &none);
    }
    assert_int_equal(set.items[UPLINK_MAX - 1]->view.id, UPLINK_MAX);
    assert_int_equal(uplink_set_add(&set, &spec, &none), -ENOSPC);
    assert_int_equal(set.n, UPLINK_MAX);
    uplink_set_done(&set);
    (void)state;
}

static void test_tags_and_tier_are_copied(void **state)
{
    struct uplink_set set = {.n = 0};
    struct machine none = {.n_links = 0};
    struct uplink_spec spec = spec_of("eth0");
    spec.tier = 2;
    for (int i = 0; i < UPLINK_TAGS_MAX; i++) {
        char tag[] = {'t', (char)('a' + i), '\0'};
        spec.tags[spec.n_tags++] = strdup(tag);
    }
    assert_int_equal(uplink_set_add(&set, &spec, &none), 0);
    assert_int_equal(uplink_set_add(&set, &spec, &none), -EEXIST);
    uplink_spec_done(&spec);
    const struct uplink *u = set.items[0];
    assert_number(u->view.tier, 2);
    assert_int_equal(u->n_tags, UPLINK_TAGS_MAX);
    assert_string_equal(u->tags[0], "ta");
    assert_string_equal(u->tags[UPLINK_TAGS_MAX - 1], "th");
    uplink_set_done(&set);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_starts_empty), cmocka_unit_test(test_ids_and_names),
        cmocka_unit_test(test_names_are_unique),  cmocka_unit_test(test_longest_names),
        cmocka_unit_test(test_full_set),          cmocka_unit_test(test_tags_and_tier_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
