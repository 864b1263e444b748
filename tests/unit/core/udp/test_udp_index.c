/* The index of mappings, associations and sockets: it finds what was put there by the same end, and no other.
 */
#include "udp/udp_index.h"

#include "support/loopback.h"

enum { MANY = 5000 };

static struct udp_index x;
static int one, two; /* what entries belong to */

static int setup(void **state)
{
    (void)state;
    x = (struct udp_index){.key = {1, 2}};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    udp_index_done(&x);
    return 0;
}

static struct addr at(const char *ip, uint16_t port)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(ip), port), 0);
    return a;
}

static void put(struct udp_index_entry *e, const void *of, const char *ip, uint16_t port)
{
    const struct addr end = at(ip, port);
    assert_true(udp_index_put(&x, e, of, &end));
}

static struct udp_index_entry *find(const void *of, const char *ip, uint16_t port)
{
    const struct addr end = at(ip, port);
    return udp_index_find(&x, of, &end);
}

static void an_empty_one_finds_nothing(void **state)
{
    struct udp_index_entry none = {.present = false};
    (void)state;
    assert_null(find(&one, "192.0.2.1", 9));
    udp_index_remove(&x, &none);
}

static void address_port_and_owner_tell_entries_apart(void **state)
{
    struct udp_index_entry e[6];
    (void)state;
    put(&e[0], &one, "192.0.2.1", 9);
    put(&e[1], &one, "192.0.2.1", 10);
    put(&e[2], &one, "192.0.2.2", 9);
    put(&e[3], &two, "192.0.2.1", 9);
    put(&e[4], &one, "2001:db8::1", 9);
    put(&e[5], NULL, "192.0.2.1", 0);
    assert_ptr_equal(find(&one, "192.0.2.1", 9), &e[0]);
    assert_ptr_equal(find(&one, "192.0.2.1", 10), &e[1]);
    assert_ptr_equal(find(&one, "192.0.2.2", 9), &e[2]);
    assert_ptr_equal(find(&two, "192.0.2.1", 9), &e[3]);
    assert_ptr_equal(find(&one, "2001:db8::1", 9), &e[4]);
    assert_ptr_equal(find(NULL, "192.0.2.1", 0), &e[5]);
    assert_null(find(&two, "192.0.2.2", 9));
    assert_null(find(&two, "2001:db8::1", 9));
    assert_null(find(NULL, "192.0.2.1", 9));
    udp_index_remove(&x, &e[0]);
    udp_index_remove(&x, &e[0]);
    assert_null(find(&one, "192.0.2.1", 9));
    assert_ptr_equal(find(&two, "192.0.2.1", 9), &e[3]);
    assert_int_equal(x.n, 5);
}

/* One side may not know the link of a link-local address. */
static void an_unknown_scope_fits(void **state)
{
    struct udp_index_entry e;
    struct addr end = at("fe80::1", 9);
    (void)state;
    end.in6.sin6_scope_id = 1;
    assert_true(udp_index_put(&x, &e, &one, &end));
    assert_ptr_equal(find(&one, "fe80::1", 9), &e);
    end.in6.sin6_scope_id = 2;
    assert_null(udp_index_find(&x, &one, &end));
}

static void many_are_found(void **state)
{
    static struct udp_index_entry e[MANY];
    (void)state;
    for (uint16_t i = 0; i < MANY; i++)
        put(&e[i], i % 2 ? &one : &two, "192.0.2.1", i);
    for (uint16_t i = 0; i < MANY; i += 3)
        udp_index_remove(&x, &e[i]);
    for (uint16_t i = 0; i < MANY; i++) {
        assert_ptr_equal(find(i % 2 ? &one : &two, "192.0.2.1", i), i % 3 ? &e[i] : NULL);
        assert_null(find(i % 2 ? &two : &one, "192.0.2.1", i));
    }
    for (uint16_t i = 0; i < MANY; i++)
        udp_index_remove(&x, &e[i]);
    assert_int_equal(x.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_empty_one_finds_nothing),
        TEST(address_port_and_owner_tell_entries_apart),
        TEST(an_unknown_scope_fits),
        TEST(many_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
