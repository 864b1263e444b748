/* Datagrams that a batch cannot send: each is counted by its reason, and costs no other one. */
#include "support/netns.h"

#include "datagram/ends.h"

/* The kernel reports that nobody listens by an error of the next call, and that one's datagram is sent all
 * the same. */
static void a_closed_peer_costs_its_own_datagrams_only(void **state)
{
    struct addr closed_at;
    int closed = open_end(AF_INET, &closed_at);
    const int on = 1;
    (void)state;
    (void)close(closed);
    forget_received();
    /* Without this, Linux does not report such errors to a socket that is not connected. */
    assert_int_equal(setsockopt(from.fd, SOL_IP, IP_RECVERR, &on, sizeof on), 0);
    for (size_t i = 0; i < 10; i++) {
        batch_add(&out, &from, &closed_at, slice_of("", 0), piece(0, 10));
        batch_flush(&out);
        add(i, 20);
        batch_flush(&out);
        take_plain(i, 20);
    }
    assert_nothing_more();
    assert_sent(20);
    assert_true(batch_receive(&in, from.fd) <= 0); /* such an error ends nothing */
}

static void what_cannot_leave_is_counted(void **state)
{
    struct addr nowhere;
    (void)state;
    forget_received();
    assert_int_equal(addr_parse_ip(&nowhere, slice_str("255.255.255.255"), 9), 0);
    for (size_t i = 0; i < 5; i++)
        batch_add(&out, &from, &nowhere, slice_of("", 0), piece(0, 10)); /* no broadcasts */
    add(0, 10);
    batch_flush(&out);
    assert_int_equal(sent.failed, 5);
    assert_int_equal(sent.sent, 1);
    take_plain(0, 10);
    assert_nothing_more();
}

/* A queue that is full loses datagrams, which are counted, and nothing waits. */
static void a_full_queue_is_counted(void **state)
{
    const int small = 1;
    struct addr mute;
    (void)state;
    netns_enter();
    netns_ip("link set lo up\nlink add s1 type veth peer name s2\nlink set s2 up\nlink set s1 up\n"
             "addr add 192.0.2.1/24 dev s1\n");
    (void)close(from.fd);
    from.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(from.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    /* The neighbour does not tell its hardware address, so its datagrams stay in the socket's buffer. */
    assert_int_equal(addr_parse_ip(&mute, slice_str("192.0.2.7"), 9), 0);
    for (size_t i = 0; i < 64; i++)
        batch_add(&out, &from, &mute, slice_of("", 0), piece(0, 1000 + i % 2));
    batch_flush(&out);
    assert_int_equal(sent.sent + sent.no_room, 64);
    assert_true(sent.no_room > 0);
}

/* On an Ethernet: a probe that is too large is lost, as its sender expects. What no Ethernet carries goes in
 * fragments. */
static void probes_are_kept_whole(void **state)
{
    (void)state;
    netns_enter();
    netns_ip("link set lo mtu 1400\nlink set lo up\n");
    (void)close(from.fd);
    (void)close(to);
    begin(AF_INET);
    forget_received();
    assert_int_equal(batch_keep_whole(&from, AF_INET), 0);
    add(0, 1372); /* and 28 bytes of headers */
    add(1, 1373);
    add(2, 1472);
    add(3, 1473);
    add(4, 9000);
    add(5, 1372);
    batch_flush(&out);
    take_plain(0, 1372);
    take_plain(3, 1473);
    take_plain(4, 9000);
    take_plain(5, 1372);
    assert_nothing_more();
    assert_int_equal(sent.sent, 4);
    assert_int_equal(sent.in_fragments, 2);
    assert_int_equal(sent.too_big, 2);
    for (size_t i = 0; i < 3; i++)
        add(i, 1380); /* a train of such */
    add(3, 900);
    batch_flush(&out);
    assert_int_equal(sent.too_big, 5);
    take_plain(3, 900);
    assert_nothing_more();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_closed_peer_costs_its_own_datagrams_only),
        TEST(what_cannot_leave_is_counted),
        TEST(a_full_queue_is_counted), /* in network namespaces, from here on */
        TEST(probes_are_kept_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
