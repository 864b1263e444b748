/* Datagrams by a parent proxy. Its relay is the server of the stage: it sees a header before each datagram,
 * and writes one before each reply. */
#include "datagram/room.h"

#include "base/counters.h"

/* A mapping by that relay, whose first flow goes to this destination. */
static struct mapping *open_by_parent(const struct addr *relay, const struct addr *dest, bool by_name)
{
    struct flow *f = stage.asked[stage.n_asked - 1];
    struct mapping *m = room_mapping(f);
    struct addr at;

    m->relay = *relay;
    f->answer = (struct flow_answer){.mapping = m,
                                     .dest = *dest,
                                     .by_name = by_name,
                                     .fd = socket_at_loopback(addr_family(relay), SOCK_DGRAM, &at)};
    mailbox_send(&stage.room.orders, &f->order.message, ORDER_ANSWER);
    return m;
}

static struct addr far_away(const char *ip, uint16_t port)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(&a, slice_str(ip), port), 0);
    return a;
}

/* Exactly this datagram, for that destination, comes to the relay. @return where from */
static struct addr relayed(int relay, const struct addr *dest, const char *payload)
{
    char text[512];
    size_t n = room_header(text, dest);

    memcpy(text + n, payload, strlen(payload));
    return room_arrives(relay, slice_of(text, n + strlen(payload)));
}

/* The relay sends what has come from there. */
static void reply(int relay, const struct addr *to, const struct addr *source, const char *payload)
{
    char text[512];
    size_t n = room_header(text, source);

    memcpy(text + n, payload, strlen(payload));
    room_send(relay, to, slice_of(text, n + strlen(payload)));
}

static struct mapping *open_to(const struct addr *dest, struct addr *ret_mapped)
{
    room_say(dest, "first");
    room_await_asked(1);
    struct mapping *m = open_by_parent(&stage.server_at, dest, false);
    *ret_mapped = relayed(stage.server, dest, "first");
    return m;
}

/* --- headers -------------------------------------------------------------------------------------------- */

static void each_datagram_names_its_destination(void **state)
{
    const struct addr four = far_away("192.0.2.1", 4000), six = far_away("2001:db8::1", 4000);
    struct addr mapped, same;
    (void)state;
    struct mapping *m = open_to(&four, &mapped);
    room_say(&six, "six");
    room_await_asked(2);
    room_answer_fd(stage.asked[1], m, &six, -1); /* by the socket for the relay, whatever the family */
    same = relayed(stage.server, &six, "six");
    assert_int_equal(addr_port(&same), addr_port(&mapped));
    for (int i = 0; i < 3; i++) {
        room_say(&four, "again");
        (void)relayed(stage.server, &four, "again");
    }
    room_say(&four, "");
    (void)relayed(stage.server, &four, "");
    assert_int_equal(counters_get(&m->counters.tx), strlen("firstsix") + 3 * strlen("again"));
}

static void a_name_goes_on_as_a_name(void **state)
{
    static const char name[] = "A-long-label-of-some-length.another-label-of-some-length.example.org";
    const struct addr unknown = far_away("0.0.0.0", 5000), source = far_away("192.0.2.9", 5000);
    char text[512];
    size_t n = socks_udp_write_name(text, slice_str(name), 5000);
    (void)state;
    memcpy(text + n, "hello", 5);
    room_say_name(name, 5000, "hello");
    room_say_name(name, 5000, "hello"); /* it waits as well */
    room_await_asked(1);
    (void)open_by_parent(&stage.server_at, &unknown, true);
    (void)room_arrives(stage.server, slice_of(text, n + 5));
    struct addr mapped = room_arrives(stage.server, slice_of(text, n + 5));
    reply(stage.server, &mapped, &source, "from its address");
    room_hears(stage.client, &source, "from its address");
}

/* Datagrams of one size are still sent as trains, and each has its header. */
static void trains_keep_their_headers(void **state)
{
    const struct addr dest = far_away("192.0.2.1", 4000), source = far_away("192.0.2.1", 4001);
    struct batch_sent sent = {.sent = 0};
    struct batch_out out = {.sent = &sent};
    struct batch_socket from = {.fd = stage.server}, client = {.fd = stage.client};
    char head[SOCKS_UDP_HEADER_MAX], payload[40][1200];
    struct addr mapped;
    (void)state;
    struct mapping *m = open_to(&dest, &mapped);
    size_t n = room_header(head, &dest);
    for (size_t i = 0; i < 40; i++) {
        memset(payload[i], (int)('0' + i), sizeof payload[i]);
        batch_add(&out, &client, &stage.port_at, slice_of(head, n), slice_of(payload[i], sizeof payload[i]));
    }
    batch_flush(&out);
    for (size_t i = 0; i < 40; i++) {
        char text[SOCKS_UDP_HEADER_MAX + 1200];
        memcpy(text, head, n);
        memcpy(text + n, payload[i], sizeof payload[i]);
        (void)room_arrives(stage.server, slice_of(text, n + sizeof payload[i]));
    }
    n = room_header(head, &source);
    for (size_t i = 0; i < 40; i++)
        batch_add(&out, &from, &mapped, slice_of(head, n), slice_of(payload[i], 900));
    batch_flush(&out);
    for (size_t i = 0; i < 40; i++) {
        char text[901];
        (void)snprintf(text, sizeof text, "%.900s", payload[i]);
        room_hears(stage.client, &source, text);
    }
    assert_int_equal(counters_get(&m->counters.rx), 40 * 900);
    batch_out_done(&out);
}

static void a_relay_by_ipv6_has_its_socket(void **state)
{
    const struct addr dest = far_away("192.0.2.1", 4000);
    struct addr relay_at, mapped;
    (void)state;
    if (!have_ipv6())
        return;
    int relay = socket_at_loopback(AF_INET6, SOCK_DGRAM, &relay_at);
    room_say(&dest, "first");
    room_await_asked(1);
    struct mapping *m = open_by_parent(&relay_at, &dest, false);
    mapped = relayed(relay, &dest, "first");
    assert_true(m->six.socket.keeps_whole && m->four.socket.fd < 0);
    reply(relay, &mapped, &dest, "answer");
    room_hears(stage.client, &dest, "answer");
    (void)close(relay);
}

/* --- replies -------------------------------------------------------------------------------------------- */

/* Only the relay may send, and the header tells the source, which is filtered as without a parent proxy. */
static void replies_are_the_relays_and_wanted(void **state)
{
    const struct addr dest = far_away("192.0.2.1", 4000), other = far_away("192.0.2.2", 4000);
    struct addr mapped;
    (void)state;
    struct mapping *m = open_to(&dest, &mapped);
    reply(stage.other, &mapped, &dest, "forged");
    ROOM_UNTIL(room_drops(DROP_UNASKED) == 1);
    reply(stage.server, &mapped, &other, "unasked");
    ROOM_UNTIL(room_drops(DROP_UNASKED) == 2);
    m->last_s -= 2 * stage.idle_s;
    reply(stage.server, &mapped, &other, "unasked"); /* which does not keep the mapping */
    ROOM_UNTIL(room_drops(DROP_UNASKED) == 3);
    mapping_look(m);
    ROOM_UNTIL(stage.n_idle >= 1);
    assert_int_equal(counters_get(&m->counters.rx), 0);
    reply(stage.server, &mapped, &dest, "answer");
    room_hears(stage.client, &dest, "answer");
    assert_int_equal(counters_get(&m->counters.rx), strlen("answer"));
}

static void malformed_replies_are_dropped_and_counted(void **state)
{
    static const struct slice malformed[] = {
        {"", 0},
        {"\0\0\0\1\300\0\2\1\17", 9},
        {"\0\0\0\1\300\0\2\1\0\0x", 11},      /* port 0 */
        {"\0\0\0\3\4name\17\240from", 15},    /* a name */
        {"\0\0\0\5\300\0\2\1\17\240from", 14} /* no type of addresses */
    };
    const struct addr dest = far_away("192.0.2.1", 4000);
    struct addr mapped;
    (void)state;
    (void)open_to(&dest, &mapped);
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
        room_send(stage.server, &mapped, malformed[i]);
    ROOM_UNTIL(room_drops(DROP_MALFORMED) == ARRAY_LEN(malformed));
    room_send(stage.server, &mapped, slice_of("\0\0\1\1\300\0\2\1\17\240part", 14));
    ROOM_UNTIL(room_drops(DROP_FRAGMENT) == 1);
    reply(stage.server, &mapped, &dest, "answer");
    room_hears(stage.client, &dest, "answer");
}

/* The address of a name is unknown here, so that any source may be its own: with that port, if ports count.
 */
static void a_names_source_may_be_anybody(void **state)
{
    const struct addr unknown = far_away("0.0.0.0", 5000), source = far_away("192.0.2.9", 5000),
                      port = far_away("192.0.2.9", 5001);
    (void)state;
    stage.filter = UDP_FILTER_ADDRESS_PORT;
    room_say_name("some.name", 5000, "hello");
    room_await_asked(1);
    (void)open_by_parent(&stage.server_at, &unknown, true);
    struct addr mapped;
    (void)room_receive(stage.server, &mapped);
    reply(stage.server, &mapped, &port, "another port");
    ROOM_UNTIL(room_drops(DROP_UNASKED) == 1);
    reply(stage.server, &mapped, &source, "answer");
    room_hears(stage.client, &source, "answer");
}

/* On a full port that many clients share, a client with more flows than another one gives up a flow whose
 * datagram, with its header, is still in the batch. */
static void a_flow_is_not_freed_before_its_datagram_leaves(void **state)
{
    enum { ROOM = 4 };
    struct addr to[ROOM + 1], other_at;
    struct mapping *m = NULL;
    int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)state;
    assert_int_equal(addr_parse_ip(&other_at, slice_str("127.0.0.2"), 0), 0);
    assert_int_equal(bind(other, &other_at.sa, addr_len(&other_at)), 0);
    stage.port->client = (struct addr){.sa.sa_family = AF_UNSPEC};
    stage.port->flows_max = ROOM;
    for (size_t i = 0; i <= ROOM; i++)
        to[i] = far_away("192.0.2.1", (uint16_t)(4000 + i));
    for (size_t i = 0; i < ROOM; i++) {
        room_say(&to[i], "first");
        room_await_asked(i + 1);
        if (i == 0)
            m = open_by_parent(&stage.server_at, &to[0], false);
        else
            room_answer_fd(stage.asked[i], m, &to[i], -1);
        (void)relayed(stage.server, &to[i], "first");
    }
    for (size_t i = 0; i < ROOM; i++)
        room_say(&to[i], "again");
    room_say_from(other, &to[ROOM], slice_str("new"));
    room_await_asked(ROOM + 1);
    for (size_t i = 0; i < ROOM; i++)
        (void)relayed(stage.server, &to[i], "again");
    room_refuse(stage.asked[ROOM]);
    room_turn();
    (void)close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, room_setup_socks, room_teardown)
        TEST(each_datagram_names_its_destination), TEST(a_name_goes_on_as_a_name),
        TEST(trains_keep_their_headers),           TEST(a_relay_by_ipv6_has_its_socket),
        TEST(replies_are_the_relays_and_wanted),   TEST(malformed_replies_are_dropped_and_counted),
        TEST(a_names_source_may_be_anybody),       TEST(a_flow_is_not_freed_before_its_datagram_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
