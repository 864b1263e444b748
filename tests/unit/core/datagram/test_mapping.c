/* Mappings: by which socket datagrams leave, whose replies come back, and how a mapping ends. */
#include "datagram/room.h"

#include "base/counters.h"

/* Answer the latest question with a mapping that is open already. */
static void answer_with(struct mapping *m, const struct addr *dest)
{
    room_answer_fd(stage.asked[stage.n_asked - 1], m, dest, -1);
}

/* STUN, DHT and games rely on it (RFC 4787 REQ-1). */
static void all_destinations_see_one_source(void **state)
{
    (void)state;
    struct mapping *m = room_open();
    room_say(&stage.server_at, "a");
    struct addr mapped = room_arrives_str(stage.server, "a");
    room_say(&stage.other_at, "b");
    room_await_asked(2);
    answer_with(m, &stage.other_at);
    struct addr same = room_arrives_str(stage.other, "b");
    assert_int_equal(addr_port(&same), addr_port(&mapped));
    room_send(stage.other, &mapped, slice_str("from other"));
    room_hears(stage.client, &stage.other_at, "from other");
    room_send(stage.server, &mapped, slice_str("from server"));
    room_hears(stage.client, &stage.server_at, "from server");
}

/* A mapping has a socket for each family, and headers tell which one a reply came by. */
static void families_have_their_sockets(void **state)
{
    struct addr six_at, own;
    (void)state;
    if (!have_ipv6())
        return;
    int six = socket_at_loopback(AF_INET6, SOCK_DGRAM, &six_at);
    struct mapping *m = room_open();
    room_say(&six_at, "six");
    room_await_asked(2);
    room_answer_fd(stage.asked[1], m, &six_at, socket_at_loopback(AF_INET6, SOCK_DGRAM, &own));
    struct addr mapped = room_arrives_str(six, "six");
    room_send(six, &mapped, slice_str("sixty"));
    room_hears(stage.client, &six_at, "sixty");
    room_say(&stage.server_at, "four");
    (void)room_arrives_str(stage.server, "four");
    (void)close(six);
}

/* --- filters -------------------------------------------------------------------------------------------- */

static int open_at(const char *ip, struct addr *ret)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(addr_parse_ip(ret, slice_str(ip), 0), 0);
    assert_int_equal(bind(fd, &ret->sa, addr_len(ret)), 0);
    *ret = bound_addr(fd);
    return fd;
}

/* The client has sent to the server. Another port of its address, and another address, send to the client. */
static void assert_filter(enum udp_filter filter, bool other_port, bool other_address)
{
    struct addr far_at, mapped;
    int far = open_at("127.0.0.9", &far_at);
    uint64_t dropped = 0;

    stage.filter = filter;
    (void)room_open();
    room_say(&stage.server_at, "hello");
    mapped = room_arrives_str(stage.server, "hello");
    room_send(stage.other, &mapped, slice_str("port"));
    if (other_port)
        room_hears(stage.client, &stage.other_at, "port");
    dropped += !other_port;
    ROOM_UNTIL(room_drops(DROP_UNASKED) == dropped);
    room_send(far, &mapped, slice_str("address"));
    if (other_address)
        room_hears(stage.client, &far_at, "address");
    dropped += !other_address;
    ROOM_UNTIL(room_drops(DROP_UNASKED) == dropped);
    room_send(stage.server, &mapped, slice_str("welcome"));
    room_hears(stage.client, &stage.server_at, "welcome");
    (void)close(far);
}

static void everybody_may_reply(void **state)
{
    (void)state;
    assert_filter(UDP_FILTER_ENDPOINT, true, true);
}

static void known_addresses_may_reply(void **state)
{
    (void)state;
    assert_filter(UDP_FILTER_ADDRESS, true, false);
}

static void known_ports_may_reply(void **state)
{
    (void)state;
    assert_filter(UDP_FILTER_ADDRESS_PORT, false, false);
}

/* Each datagram counts, also if the kernel has put several together. */
static void unasked_datagrams_are_counted(void **state)
{
    struct batch_sent sent = {.sent = 0};
    struct batch_out out = {.sent = &sent};
    struct addr far_at, mapped;
    struct batch_socket far = {.fd = open_at("127.0.0.9", &far_at)};
    (void)state;
    struct mapping *m = room_open();
    room_say(&stage.server_at, "hello");
    mapped = room_arrives_str(stage.server, "hello");
    for (size_t i = 0; i < 9; i++)
        batch_add(&out, &far, &mapped, slice_of("", 0), slice_str("unasked"));
    batch_flush(&out);
    ROOM_UNTIL(room_drops(DROP_UNASKED) >= 9);
    assert_int_equal(room_drops(DROP_UNASKED), 9);
    assert_int_equal(counters_get(&m->counters.rx), 0);
    room_nothing(stage.client);
    batch_out_done(&out);
    (void)close(far.fd);
}

/* --- account and sockets -------------------------------------------------------------------------------- */

/* The main loop has stopped to read the counters: it is told of the next byte, once. */
static void a_resting_counter_wakes_the_main_loop(void **state)
{
    (void)state;
    struct mapping *m = room_open();
    atomic_store(&m->counters.resting, true);
    room_say(&stage.server_at, "12345");
    struct addr mapped = room_arrives_str(stage.server, "12345");
    ROOM_UNTIL(stage.n_woke == 1);
    assert_int_equal(counters_get(&m->counters.tx), 5 + strlen("first"));
    room_say(&stage.server_at, "6");
    (void)room_arrives_str(stage.server, "6");
    room_turn();
    assert_int_equal(stage.n_woke, 1);
    atomic_store(&m->counters.resting, true);
    room_send(stage.server, &mapped, slice_str("reply"));
    room_hears(stage.client, &stage.server_at, "reply");
    ROOM_UNTIL(stage.n_woke == 2);
    assert_int_equal(counters_get(&m->counters.rx), 5);
}

/* A probe for the size of the path must be lost, and not go in fragments (RFC 8899). */
static void packets_are_kept_whole(void **state)
{
    int how = -1;
    (void)state;
    struct mapping *m = room_open();
    assert_true(m->four.socket.keeps_whole);
    assert_int_equal(getsockopt(m->four.socket.fd, SOL_IP, IP_MTU_DISCOVER, &how, &(socklen_t){sizeof how}),
                     0);
    assert_int_equal(how, IP_PMTUDISC_DO);
}

static void a_closed_destination_ends_nothing(void **state)
{
    (void)state;
    struct mapping *m = room_open();
    (void)close(stage.other);
    room_say(&stage.other_at, "lost");
    room_await_asked(2);
    answer_with(m, &stage.other_at);
    for (int i = 0; i < 3; i++) {
        room_say(&stage.other_at, "lost");
        room_turn();
    }
    room_say(&stage.server_at, "not lost");
    struct addr mapped = room_arrives_str(stage.server, "not lost");
    room_send(stage.server, &mapped, slice_str("reply"));
    room_hears(stage.client, &stage.server_at, "reply");
    stage.other = room_end(&stage.other_at);
}

/* --- the end -------------------------------------------------------------------------------------------- */

/* Its sockets are closed, its flows are forgotten, and its client's next datagram is a question again. */
static void an_ordered_end_forgets_all(void **state)
{
    (void)state;
    int before = count_fds();
    struct mapping *m = room_open();
    room_say(&stage.other_at, "b");
    room_await_asked(2);
    answer_with(m, &stage.other_at);
    (void)room_arrives_str(stage.other, "b");
    assert_int_equal(count_fds(), before + 1);
    mapping_order_end(m);
    ROOM_UNTIL(stage.n_ended == 1);
    assert_int_equal(count_fds(), before);
    assert_int_equal(stage.port->shares.all.n, 0);
    (void)room_open(); /* asks, and is answered with a new one */
    assert_int_equal(stage.n_asked, 3);
    assert_int_equal(stage.n_ended, 1);
}

/* Flows of other mappings stay. */
static void an_end_concerns_one_mapping(void **state)
{
    (void)state;
    struct mapping *m = room_open();
    room_say(&stage.other_at, "b");
    room_await_asked(2);
    (void)room_answer(stage.asked[1], &stage.other_at);
    (void)room_arrives_str(stage.other, "b");
    mapping_order_end(m);
    ROOM_UNTIL(stage.n_ended == 1);
    room_say(&stage.other_at, "still there");
    (void)room_arrives_str(stage.other, "still there");
    assert_int_equal(stage.n_asked, 2);
}

/* The answer that names it, and the order to end it, are read in one go. */
static void an_answer_and_an_end_may_come_together(void **state)
{
    (void)state;
    room_say(&stage.server_at, "brief");
    room_await_asked(1);
    struct mapping *m = room_answer(stage.asked[0], &stage.server_at);
    mapping_order_end(m);
    (void)room_arrives_str(stage.server, "brief");
    ROOM_UNTIL(stage.n_ended == 1);
    assert_int_equal(stage.port->shares.all.n, 0);
}

/* The main loop orders the end of a mapping and of its port at once. */
static void a_mapping_and_its_port_may_end_together(void **state)
{
    (void)state;
    struct mapping *m = room_open();
    mapping_order_end(m);
    room_order_end();
    ROOM_UNTIL(!stage.port);
    assert_int_equal(stage.n_ended, 1);
}

/* It reports that it is idle, and again until it ends, which it does by order only. */
static void an_idle_one_is_reported(void **state)
{
    (void)state;
    stage.idle_s = 0.2;
    double begun_s = clock_now_s();
    struct mapping *m = room_open();
    ROOM_UNTIL(stage.n_idle >= 1);
    assert_true(clock_now_s() - begun_s >= 0.2 - 0.02); /* the coarse clock is late by up to 10 ms */
    ROOM_UNTIL(stage.n_idle >= 2);
    assert_int_equal(stage.n_ended, 0);
    mapping_order_end(m);
    ROOM_UNTIL(stage.n_ended == 1);
}

/* Datagrams in either direction keep it (RFC 4787 REQ-6). The test looks in place of the wheel. */
static void use_keeps_it(void **state)
{
    (void)state;
    struct mapping *m = room_open();
    for (int replies = 0; replies < 2; replies++) {
        m->last_s -= 2 * stage.idle_s;
        room_say(&stage.server_at, "a");
        struct addr mapped = room_arrives_str(stage.server, "a");
        if (replies) {
            m->last_s -= 2 * stage.idle_s;
            room_send(stage.server, &mapped, slice_str("reply"));
            room_hears(stage.client, &stage.server_at, "reply");
        }
        mapping_look(m);
        room_turn();
        assert_int_equal(stage.n_idle, 0);
        assert_true(wheel_is_set(&m->look));
    }
    m->last_s -= 2 * stage.idle_s;
    mapping_look(m);
    ROOM_UNTIL(stage.n_idle >= 1);
}

/* What nobody asked for does not keep it. */
static void unasked_datagrams_do_not_keep_it(void **state)
{
    struct addr far_at, mapped;
    int far = open_at("127.0.0.9", &far_at);
    (void)state;
    struct mapping *m = room_open();
    room_say(&stage.server_at, "a");
    mapped = room_arrives_str(stage.server, "a");
    m->last_s -= 2 * stage.idle_s;
    room_send(far, &mapped, slice_str("unasked"));
    ROOM_UNTIL(room_drops(DROP_UNASKED) == 1);
    mapping_look(m);
    ROOM_UNTIL(stage.n_idle >= 1);
    (void)close(far);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, room_setup_socks, room_teardown)
        TEST(all_destinations_see_one_source),
        TEST(families_have_their_sockets),
        TEST(everybody_may_reply),
        TEST(known_addresses_may_reply),
        TEST(known_ports_may_reply),
        TEST(unasked_datagrams_are_counted),
        TEST(a_resting_counter_wakes_the_main_loop),
        TEST(packets_are_kept_whole),
        TEST(a_closed_destination_ends_nothing),
        TEST(an_ordered_end_forgets_all),
        TEST(an_end_concerns_one_mapping),
        TEST(an_answer_and_an_end_may_come_together),
        TEST(a_mapping_and_its_port_may_end_together),
        TEST(an_idle_one_is_reported),
        TEST(use_keeps_it),
        TEST(unasked_datagrams_do_not_keep_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
