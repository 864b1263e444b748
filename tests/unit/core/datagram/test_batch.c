/* Datagrams in batches, between real sockets: as trains or apart, each arrives whole, once and in its order.
 */
#include "datagram/ends.h"

#include <netinet/udp.h>

enum { MUCH = 65507 }; /* the largest datagram of IPv4 */

static void a_train_arrives_datagram_by_datagram(void **state)
{
    (void)state;
    forget_received();
    for (size_t i = 0; i < 40; i++)
        add(i * 700, 700);
    add(40 * 700, 3); /* the last of a train may be shorter */
    add(500, 700);
    batch_flush(&out);
    assert_sent(42);
    for (size_t i = 0; i < 40; i++)
        take_plain(i * 700, 700);
    take_plain(40 * 700, 3);
    take_plain(500, 700);
    assert_nothing_more();
}

/* Trains are there to save system calls: on a kernel that has them, several datagrams come as one message. */
static bool have_trains(void)
{
    const int on = 1;

    if (setsockopt(to, SOL_UDP, 104 /* UDP_GRO */, &on, sizeof on) == 0)
        return true;
    print_message("skipped in part: this kernel has no UDP_GRO\n");
    return false;
}

static void trains_are_received_as_trains(void **state)
{
    (void)state;
    if (!have_trains())
        return;
    forget_received();
    for (size_t i = 0; i < 20; i++)
        add(i * 900, 900);
    batch_flush(&out);
    assert_false(from.no_gso);
    for (size_t i = 0; i < 20; i++)
        take_plain(i * 900, 900);
    assert_int_equal(longest, 20);
}

/* Sizes that rise and fall, so that trains begin and end everywhere. */
static void sizes_may_differ(void **state)
{
    static const size_t sizes[] = {9, 9, 9, 10, 1472, 1472, 1471, 1472, 1, 1, 1, 2000, 2000, 30000, 5, 5};
    (void)state;
    forget_received();
    for (size_t round = 0; round < 8; round++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
            add(round * 100 + i, sizes[i]);
        batch_flush(&out);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
            take_plain(round * 100 + i, sizes[i]);
    }
    assert_nothing_more();
    assert_sent(8 * ARRAY_LEN(sizes));
}

/* A train ends at 64 datagrams and at 65,535 bytes, a batch at 32 messages and 1,024 pieces. */
static void more_than_a_batch_holds_is_sent_in_several(void **state)
{
    (void)state;
    bool trains = have_trains();
    forget_received();
    for (size_t i = 0; i < 300; i++)
        add(i, 100);
    for (size_t i = 0; i < 80; i++)
        add(i, 1400);
    batch_flush(&out);
    for (size_t i = 0; i < 300; i++)
        take_plain(i, 100);
    longest = 0;
    for (size_t i = 0; i < 80; i++)
        take_plain(i, 1400);
    if (trains) {
        assert_false(from.no_gso); /* the kernel has refused none */
        assert_true(longest > 40);
    }
    for (size_t i = 0; i < 40; i++)
        add(i, i % 2 ? 300 : 200); /* each one is a message */
    batch_flush(&out);
    for (size_t i = 0; i < 40; i++)
        take_plain(i, i % 2 ? 300 : 200);
    for (size_t i = 0; i < 600; i++)
        batch_add(&out, &from, &to_at, slice_str("headed"), piece(i, 40));
    batch_flush(&out);
    for (size_t i = 0; i < 600; i++)
        take("headed", piece(i, 40));
    assert_nothing_more();
    assert_sent(300 + 80 + 40 + 600);
}

/* The header is copied: the caller's may be gone before the flush. */
static void each_datagram_has_its_own_header(void **state)
{
    char header[BATCH_HEADER_MAX + 1];
    (void)state;
    forget_received();
    for (size_t i = 0; i < 30; i++) {
        (void)snprintf(header, sizeof header, "head %02zu", i);
        batch_add(&out, &from, &to_at, slice_str(header), piece(i, 50));
    }
    memset(header, 'x', sizeof header);
    batch_flush(&out);
    for (size_t i = 0; i < 30; i++) {
        (void)snprintf(header, sizeof header, "head %02zu", i);
        take(header, piece(i, 50));
    }
    assert_nothing_more();
    assert_sent(30);
}

/* Trains of one destination only. */
static void each_destination_gets_its_own(void **state)
{
    struct addr other_at;
    int other = open_end(AF_INET, &other_at), first = to;
    (void)state;
    for (size_t i = 0; i < 12; i++)
        batch_add(&out, &from, i % 3 ? &to_at : &other_at, slice_of("", 0), piece(i, 60));
    batch_flush(&out);
    assert_sent(12);
    forget_received();
    for (size_t i = 0; i < 12; i++)
        if (i % 3)
            take_plain(i, 60);
    assert_nothing_more();
    to = other;
    forget_received();
    for (size_t i = 0; i < 12; i++)
        if (i % 3 == 0)
            take_plain(i, 60);
    assert_nothing_more();
    to = first;
    (void)close(other);
}

/* Datagrams of another socket are sent first. */
static void sockets_take_turns(void **state)
{
    struct addr other_at, first_at = from_at;
    struct batch_socket other = {.fd = open_end(AF_INET, &other_at)};
    (void)state;
    add(0, 10);
    add(1, 10);
    batch_add(&out, &other, &to_at, slice_of("", 0), piece(2, 10));
    assert_int_equal(sent.sent, 2);
    add(3, 10);
    batch_flush(&out);
    assert_sent(4);
    forget_received();
    take_plain(0, 10);
    take_plain(1, 10);
    from_at = other_at;
    take_plain(2, 10);
    from_at = first_at;
    take_plain(3, 10);
    assert_nothing_more();
    (void)close(other.fd);
}

static void empty_datagrams_are_datagrams(void **state)
{
    (void)state;
    forget_received();
    add(0, 0);
    add(0, 0);
    add(7, 5);
    add(7, 5);
    add(0, 0);
    for (size_t i = 0; i < 3; i++)
        batch_add(&out, &from, &to_at, slice_str("head"), slice_of("", 0));
    batch_flush(&out);
    assert_sent(8);
    take_plain(0, 0);
    at_byte = 0; /* an empty one is over at once */
    message.bytes.len = 0;
    take_plain(0, 0);
    take_plain(7, 5);
    take_plain(7, 5);
    take_plain(0, 0);
    for (size_t i = 0; i < 3; i++)
        take("head", slice_of("", 0));
    assert_nothing_more();
}

/* A kernel or a device without trains: all that is different is the number of system calls. The kernel
 * refuses trains of a socket without checksums. */
static void a_refused_train_is_sent_apart(void **state)
{
    const int on = 1;
    (void)state;
    forget_received();
    assert_int_equal(setsockopt(from.fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    for (size_t i = 0; i < 5; i++)
        batch_add(&out, &from, &to_at, slice_str("head"), piece(i, 20));
    batch_add(&out, &from, &to_at, slice_str("head"), slice_of("", 0));
    for (size_t i = 0; i < 3; i++)
        batch_add(&out, &from, &to_at, slice_str("bare"), slice_of("", 0));
    for (size_t i = 0; i < 4; i++)
        add(i, 33);
    batch_flush(&out);
    assert_true(from.no_gso);
    assert_sent(5 + 1 + 3 + 4);
    for (size_t i = 0; i < 5; i++)
        take("head", piece(i, 20));
    take("head", slice_of("", 0));
    for (size_t i = 0; i < 3; i++)
        take("bare", slice_of("", 0));
    for (size_t i = 0; i < 4; i++)
        take_plain(i, 33);
    assert_nothing_more();
    add(0, 50); /* and no train is tried again */
    add(1, 50);
    assert_int_equal(out.n, 2);
    batch_flush(&out);
    take_plain(0, 50);
    take_plain(1, 50);
    assert_nothing_more();
}

static void the_largest_datagram_passes(void **state)
{
    (void)state;
    forget_received();
    assert_int_equal(batch_keep_whole(&from, AF_INET), 0);
    add(0, MUCH);
    add(1, 100);
    batch_flush(&out);
    assert_sent(2);
    take_plain(0, MUCH);
    take_plain(1, 100);
    assert_nothing_more();
    batch_add(&out, &from, &to_at, slice_str("head"), piece(0, MUCH)); /* one that nothing can carry */
    add(2, 100);
    batch_flush(&out);
    assert_int_equal(sent.too_big, 1);
    assert_int_equal(sent.sent, 3);
    assert_int_equal(sent.in_fragments, 0);
    take_plain(2, 100);
    assert_nothing_more();
}

static void ipv6_works_as_well(void **state)
{
    (void)state;
    if (!have_ipv6())
        return;
    (void)close(from.fd);
    (void)close(to);
    begin(AF_INET6);
    forget_received();
    assert_int_equal(batch_keep_whole(&from, AF_INET6), 0);
    for (size_t i = 0; i < 10; i++)
        add(i, 1200);
    batch_flush(&out);
    assert_sent(10);
    for (size_t i = 0; i < 10; i++)
        take_plain(i, 1200);
    assert_nothing_more();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_train_arrives_datagram_by_datagram),
        TEST(trains_are_received_as_trains),
        TEST(sizes_may_differ),
        TEST(more_than_a_batch_holds_is_sent_in_several),
        TEST(each_datagram_has_its_own_header),
        TEST(each_destination_gets_its_own),
        TEST(sockets_take_turns),
        TEST(empty_datagrams_are_datagrams),
        TEST(a_refused_train_is_sent_apart),
        TEST(the_largest_datagram_passes),
        TEST(ipv6_works_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
