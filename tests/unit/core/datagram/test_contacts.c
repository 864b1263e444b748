/* The addresses that a client has sent to: whose replies each filter lets through, and for how long. */
#include "datagram/contacts.h"

#include "support/loopback.h"

static struct contacts contacts;

static int setup(void **state)
{
    (void)state;
    contacts = (struct contacts){.filter = UDP_FILTER_ENDPOINT, .key = {1, 2}};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    contacts_done(&contacts);
    return 0;
}

static struct addr at(const char *ip, uint16_t port)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(ip), port), 0);
    return a;
}

static struct contact *hold(const char *ip, uint16_t port)
{
    const struct addr a = at(ip, port);
    return contacts_hold(&contacts, &a);
}

static struct contact *find(const char *ip, uint16_t port)
{
    const struct addr a = at(ip, port);
    return contacts_find(&contacts, &a);
}

static void words_are_parsed(void **state)
{
    enum udp_filter f;
    (void)state;
    assert_true(udp_filter_parse("endpoint", &f));
    assert_int_equal(f, UDP_FILTER_ENDPOINT);
    assert_true(udp_filter_parse("address", &f));
    assert_int_equal(f, UDP_FILTER_ADDRESS);
    assert_true(udp_filter_parse("address-port", &f));
    assert_int_equal(f, UDP_FILTER_ADDRESS_PORT);
    assert_false(udp_filter_parse("", &f));
    assert_false(udp_filter_parse("addres", &f));
    assert_false(udp_filter_parse("address-ports", &f));
}

static void an_empty_one_knows_nobody(void **state)
{
    (void)state;
    assert_null(find("192.0.2.1", 9));
    contacts_release(&contacts, NULL);
}

static void by_address_ports_do_not_count(void **state)
{
    (void)state;
    contacts.filter = UDP_FILTER_ADDRESS;
    struct contact *c = hold("192.0.2.1", 9);
    assert_non_null(c);
    assert_ptr_equal(find("192.0.2.1", 9), c);
    assert_ptr_equal(find("192.0.2.1", 10), c);
    assert_null(find("192.0.2.2", 9));
    assert_ptr_equal(hold("192.0.2.1", 77), c);
    assert_int_equal(c->holders, 2);
    assert_int_equal(contacts.n, 1);
}

static void by_address_and_port_both_count(void **state)
{
    (void)state;
    contacts.filter = UDP_FILTER_ADDRESS_PORT;
    struct contact *c = hold("2001:db8::1", 9);
    assert_ptr_equal(find("2001:db8::1", 9), c);
    assert_null(find("2001:db8::1", 10));
    assert_null(find("2001:db8::2", 9));
    assert_ptr_not_equal(hold("2001:db8::1", 10), c);
    assert_int_equal(contacts.n, 2);
    assert_ptr_equal(find("2001:db8::1", 9), c); /* after another was found */
}

/* A contact lives as long as one of its flows. */
static void the_last_holder_ends_it(void **state)
{
    (void)state;
    contacts.filter = UDP_FILTER_ADDRESS;
    struct contact *c = hold("192.0.2.1", 9);
    (void)hold("192.0.2.1", 10);
    contacts_release(&contacts, c);
    assert_ptr_equal(find("192.0.2.1", 9), c);
    contacts_release(&contacts, c);
    assert_null(contacts.latest);
    assert_null(find("192.0.2.1", 9));
    assert_int_equal(contacts.n, 0);
}

/* The table grows, and all are found in it; whichever goes, the others stay. */
static void many_are_told_apart(void **state)
{
    enum { MANY = 3000 };
    static struct contact *held[MANY];
    (void)state;
    contacts.filter = UDP_FILTER_ADDRESS_PORT;
    for (size_t i = 0; i < MANY; i++) {
        struct addr a = at(i % 2 ? "192.0.2.1" : "2001:db8::1", (uint16_t)(1 + i));
        held[i] = contacts_hold(&contacts, &a);
        assert_non_null(held[i]);
    }
    assert_int_equal(contacts.n, MANY);
    assert_true(contacts.n_buckets >= MANY);
    for (size_t i = 0; i < MANY; i += 3)
        contacts_release(&contacts, held[i]);
    for (size_t i = 0; i < MANY; i++) {
        struct contact *found = find(i % 2 ? "192.0.2.1" : "2001:db8::1", (uint16_t)(1 + i));
        if (i % 3)
            assert_ptr_equal(found, held[i]);
        else
            assert_null(found);
        assert_null(find(i % 2 ? "2001:db8::1" : "192.0.2.1", (uint16_t)(1 + i)));
    }
    assert_int_equal(contacts.n, MANY - MANY / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(words_are_parsed),
        TEST(an_empty_one_knows_nobody),
        TEST(by_address_ports_do_not_count),
        TEST(by_address_and_port_both_count),
        TEST(the_last_holder_ends_it),
        TEST(many_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
