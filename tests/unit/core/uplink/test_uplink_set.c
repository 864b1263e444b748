/* A set of uplinks: copying, refusing and numbering. */
#include "uplink/added.h"

#include "uplink/uplink_lease.h"

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

/* --- removed uplinks ------------------------------------------------------------------------------------ */

static struct uplink_set three(struct uplink *ret[3])
{
    static const char *const texts[] = {"eth0", "eth1", "eth2"};
    static struct machine none;
    struct uplink_set set = {.n = 0};

    for (size_t i = 0; i < 3; i++)
        ret[i] = add(&set, texts[i], &none);
    return set;
}

/* Names of the items, and of the removed ones behind a '|'. */
static const char *order_of(const struct uplink_set *set, char text[128])
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < set->n_all; i++)
        len += (size_t)snprintf(text + len, 128 - len, "%s%s",
                                i == set->n ? "|"
                                : i > 0     ? " "
                                            : "",
                                set->items[i]->name);
    return text;
}

static void test_a_removed_uplink_lives_while_it_is_used(void **state)
{
    static struct machine none;
    char text[128];
    struct uplink *u[3];
    struct uplink_set set = three(u);
    struct uplink_lease lease = {.uplink = NULL};
    uint32_t changes = set.changes;

    u[0]->view.ipv4 = true;
    uplink_settle(u[0]);
    uplink_acquire(&lease, u[0]);
    (void)uplink_hold(u[1]);
    uplink_set_remove(&set, u[0]);
    assert_string_equal(order_of(&set, text), "eth1 eth2|eth0");
    assert_false(u[0]->view.up);
    assert_int_equal(uplink_bar(u[0]), UPLINK_BAR_REMOVED);
    assert_true(set.changes > changes);
    assert_null(uplink_set_by_name(&set, "eth0"));
    assert_ptr_equal(uplink_set_by_id(&set, 1), u[0]);
    uplink_set_remove(&set, u[1]);
    assert_string_equal(order_of(&set, text), "eth2|eth1 eth0");
    assert_int_equal(add(&set, "eth0", &none)->view.id, 4);
    uplink_let_go(u[1]);
    assert_int_equal(add(&set, "eth3", &none)->view.id, 2); /* eth1's is free again */
    assert_string_equal(order_of(&set, text), "eth2 eth0 eth3|eth0");
    uplink_release(&lease);
    uplink_set_remove(&set, uplink_set_by_name(&set, "eth2"));
    assert_string_equal(order_of(&set, text), "eth0 eth3");
    assert_null(uplink_set_by_id(&set, 1));
    assert_null(uplink_set_by_id(&set, 3));
    uplink_set_done(&set);
    (void)state;
}

static void test_items_are_placed(void **state)
{
    static const struct {
        size_t which, to;
        const char *order;
    } cases[] = {{0, 0, "eth0 eth1 eth2"},
                 {0, 2, "eth1 eth2 eth0"},
                 {2, 0, "eth2 eth0 eth1"},
                 {1, 0, "eth1 eth0 eth2"},
                 {1, 9, "eth0 eth2 eth1"}};
    char text[128];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uplink *u[3];
        struct uplink_set set = three(u);
        uplink_set_place(&set, u[cases[i].which], cases[i].to);
        assert_string_equal(order_of(&set, text), cases[i].order);
        for (int32_t id = 1; id <= 3; id++)
            assert_int_equal(uplink_set_by_id(&set, id)->view.id, id);
        uplink_set_done(&set);
    }
    (void)state;
}

static void note_freed(void *arg, struct uplink *u)
{
    (void)snprintf(arg, 16, "%.15s", u->name);
}

static void test_what_belongs_to_a_freed_uplink_is_freed_before(void **state)
{
    char freed[16] = "";
    struct uplink *u[3];
    struct uplink_set set = three(u);

    set.freeing = note_freed;
    set.freeing_arg = freed;
    (void)uplink_hold(u[1]);
    uplink_set_remove(&set, u[1]);
    assert_string_equal(freed, "");
    uplink_let_go(u[1]);
    uplink_set_remove(&set, u[2]); /* sweeps both, in whichever order */
    assert_true(strcmp(freed, "eth1") == 0 || strcmp(freed, "eth2") == 0);
    assert_int_equal(set.n_all, 1);
    uplink_set_done(&set);
    (void)state;
}

static void test_bytes_of_a_removed_uplink_count_for_its_name(void **state)
{
    static struct machine none;
    struct uplink *u[3];
    struct uplink_set set = three(u);
    struct uplink_lease lease = {.uplink = NULL};
    struct uplink_spec spec = spec_of("eth0");

    uplink_acquire(&lease, u[0]);
    uplink_set_remove(&set, u[0]);
    spec.quota.bytes = 1000;
    assert_int_equal(uplink_set_add(&set, &spec, &none), 0);
    struct uplink *heir = uplink_set_by_name(&set, "eth0");
    uplink_note_bytes(&lease, 300, 500);
    (void)uplink_set_tick(&set, UPLINK_TICK_S);
    assert_number(heir->quota.used, 800);
    assert_number(heir->view.quota_left, 200);
    uplink_release(&lease);
    uplink_set_done(&set);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_starts_empty),
        cmocka_unit_test(test_ids_and_names),
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_longest_names),
        cmocka_unit_test(test_full_set),
        cmocka_unit_test(test_tags_and_tier_are_copied),
        cmocka_unit_test(test_a_removed_uplink_lives_while_it_is_used),
        cmocka_unit_test(test_items_are_placed),
        cmocka_unit_test(test_what_belongs_to_a_freed_uplink_is_freed_before),
        cmocka_unit_test(test_bytes_of_a_removed_uplink_count_for_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
