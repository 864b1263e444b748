/* Flows: one question for each client and destination, what waits for its answer, and how long it lasts. */
#include "datagram/room.h"

static void one_question_for_many_datagrams(void **state)
{
    (void)state;
    room_say(&stage.server_at, "1");
    room_say(&stage.server_at, "2");
    room_await_asked(1);
    room_say(&stage.server_at, "3");
    ROOM_UNTIL(stage.asked[0]->n_queued == 3);
    (void)room_answer(stage.asked[0], &stage.server_at);
    (void)room_arrives_str(stage.server, "1");
    (void)room_arrives_str(stage.server, "2");
    (void)room_arrives_str(stage.server, "3");
    room_say(&stage.server_at, "4");
    (void)room_arrives_str(stage.server, "4");
    assert_int_equal(stage.n_asked, 1);
    assert_int_equal(stage.port->shares.all.queued, 0);
}

/* The answer may lead elsewhere: names, and parent proxies. */
static void the_answer_tells_where(void **state)
{
    (void)state;
    room_say(&stage.server_at, "aside");
    room_await_asked(1);
    (void)room_answer(stage.asked[0], &stage.other_at);
    (void)room_arrives_str(stage.other, "aside");
    room_nothing(stage.server);
}

/* --- waiting -------------------------------------------------------------------------------------------- */

static void sixteen_wait_for_an_answer(void **state)
{
    char text[8];
    (void)state;
    for (int i = 0; i < FLOW_QUEUE_MAX + 5; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        room_say(&stage.server_at, text);
    }
    ROOM_UNTIL(room_drops(DROP_QUEUE_FULL) == 5);
    room_await_asked(1);
    (void)room_answer(stage.asked[0], &stage.server_at);
    for (int i = 0; i < FLOW_QUEUE_MAX; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        (void)room_arrives_str(stage.server, text);
    }
    room_nothing(stage.server);
}

/* One of the largest datagrams waits, and not two. */
static void waiting_bytes_are_limited(void **state)
{
    enum { LARGEST = 65507 - 10 };
    static char much[LARGEST];
    (void)state;
    room_say_from(stage.client, &stage.server_at, slice_of(much, sizeof much));
    room_say_from(stage.client, &stage.server_at, slice_of(much, sizeof much));
    room_say(&stage.server_at, "small");
    ROOM_UNTIL(room_drops(DROP_QUEUE_FULL) == 1);
    room_await_asked(1);
    ROOM_UNTIL(stage.asked[0]->n_queued == 2);
    (void)room_answer(stage.asked[0], &stage.server_at);
    (void)room_arrives(stage.server, slice_of(much, sizeof much));
    (void)room_arrives_str(stage.server, "small");
    room_nothing(stage.server);
}

static void empty_datagrams_wait_too(void **state)
{
    (void)state;
    room_say(&stage.server_at, "");
    room_say(&stage.server_at, "full");
    room_say(&stage.server_at, "");
    room_await_asked(1);
    ROOM_UNTIL(stage.asked[0]->n_queued == 3);
    (void)room_answer(stage.asked[0], &stage.server_at);
    (void)room_arrives_str(stage.server, "");
    (void)room_arrives_str(stage.server, "full");
    (void)room_arrives_str(stage.server, "");
}

/* --- refusal -------------------------------------------------------------------------------------------- */

/* What waited is dropped, as is what follows; the main loop is asked again after a while. */
static void a_refusal_lasts_a_while(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        room_say(&stage.server_at, "x");
    room_await_asked(1);
    ROOM_UNTIL(stage.asked[0]->n_queued == 3);
    double refused_s = clock_now_s();
    room_refuse(stage.asked[0]);
    ROOM_UNTIL(room_drops(DROP_REFUSED) == 3);
    assert_int_equal(stage.port->shares.all.queued, 0);
    room_say(&stage.server_at, "x");
    ROOM_UNTIL(room_drops(DROP_REFUSED) == 4);
    assert_int_equal(stage.n_asked, 1);
    ROOM_UNTIL(stage.port->shares.all.n == 0);
    assert_true(clock_now_s() - refused_s >= FLOW_REFUSED_S - 0.1);
    (void)room_open();
    assert_int_equal(stage.n_asked, 2);
    room_nothing(stage.server);
}

static void tell_to_ask_again(struct flow *f)
{
    f->answer = (struct flow_answer){.again = true, .fd = -1};
    mailbox_send(&stage.room.orders, &f->order.message, ORDER_ANSWER);
}

/* The mapping that it waited for has ended: what waits is not lost. */
static void a_flow_asks_again_if_it_is_told_to(void **state)
{
    (void)state;
    room_say(&stage.server_at, "1");
    room_await_asked(1);
    tell_to_ask_again(stage.asked[0]);
    room_await_asked(2);
    assert_ptr_equal(stage.asked[1], stage.asked[0]);
    room_say(&stage.server_at, "2");
    ROOM_UNTIL(stage.asked[0]->n_queued == 2);
    (void)room_answer(stage.asked[0], &stage.server_at);
    (void)room_arrives_str(stage.server, "1");
    (void)room_arrives_str(stage.server, "2");
    assert_int_equal(room_drops(DROP_REFUSED), 0);
}

static void a_flow_asks_again_a_few_times(void **state)
{
    (void)state;
    room_say(&stage.server_at, "x");
    for (size_t i = 0; i <= FLOW_AGAIN_MAX; i++) {
        room_await_asked(i + 1);
        tell_to_ask_again(stage.asked[0]);
    }
    ROOM_UNTIL(room_drops(DROP_REFUSED) == 1);
    assert_int_equal(stage.n_asked, FLOW_AGAIN_MAX + 1);
    assert_true(stage.asked[0]->state == FLOW_REFUSED);
}

/* The answer has crossed the mapping's end. */
static void a_flow_asks_again_if_its_mapping_has_ended(void **state)
{
    (void)state;
    struct mapping *m = room_open();
    room_say(&stage.other_at, "late");
    room_await_asked(2);
    mapping_end(m); /* its report waits in the mailbox */
    stage.asked[1]->answer = (struct flow_answer){.mapping = m, .dest = stage.other_at, .fd = room_socket()};
    flow_answered(stage.asked[1]);
    room_await_asked(3);
    assert_ptr_equal(stage.asked[2], stage.asked[1]);
    (void)room_answer(stage.asked[2], &stage.other_at);
    (void)room_arrives_str(stage.other, "late");
}

/* --- keys ----------------------------------------------------------------------------------------------- */

/* Say it, and see whether that is a new destination. */
static void assert_asks(bool new, const char *name, uint16_t port)
{
    size_t before = stage.n_asked;

    room_say_name(name, port, "x");
    room_turn();
    ROOM_UNTIL(stage.n_asked == before + new || stage.n_asked > before);
    assert_int_equal(stage.n_asked, before + new);
}

static void names_and_ports_tell_flows_apart(void **state)
{
    struct addr address;
    char label[256];
    (void)state;
    assert_asks(true, "a.example", 80);
    assert_asks(false, "a.example", 80);
    assert_asks(true, "a.example", 81);
    assert_asks(true, "b.example", 80);
    assert_asks(true, "a.example.org", 80);
    assert_asks(true, "A.example", 80); /* as it stands in the datagram */
    for (size_t i = 0; i < 253; i++)
        label[i] = i % 50 == 49 ? '.' : 'l';
    label[253] = '\0';
    assert_asks(true, label, 80);
    assert_asks(false, label, 80);
    label[0] = 'm';
    assert_asks(true, label, 80);
    assert_asks(true, "192.0.2.1", 80); /* an address in text is an address */
    assert_int_equal(addr_parse_ip(&address, slice_str("192.0.2.1"), 80), 0);
    room_say(&address, "x");
    room_turn();
    assert_asks(false, "192.0.2.1", 80);
    assert_asks(false, "a.example", 80); /* after others were found */
    for (size_t i = 0; i < stage.n_asked; i++)
        room_refuse(stage.asked[i]);
}

/* The table grows. */
static void many_flows_are_told_apart(void **state)
{
    enum { MANY = 500 };
    struct mapping *m = room_open();
    char text[16];
    (void)state;
    for (uint16_t i = 0; i < MANY; i++) {
        struct addr to = loopback(AF_INET, (uint16_t)(1 + i));
        (void)snprintf(text, sizeof text, "%u", i);
        room_say(&to, text);
        room_await_asked((size_t)i + 2);
    }
    for (size_t i = 0; i < MANY; i++)
        room_answer_fd(stage.asked[1 + i], m, i % 2 ? &stage.server_at : &stage.other_at, -1);
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(text, sizeof text, "%zu", i);
        (void)room_arrives_str(i % 2 ? stage.server : stage.other, text);
    }
    for (uint16_t i = 0; i < MANY; i++) {
        struct addr to = loopback(AF_INET, (uint16_t)(1 + i));
        (void)snprintf(text, sizeof text, "again %u", i);
        room_say(&to, text);
        (void)room_arrives_str(i % 2 ? stage.server : stage.other, text);
    }
    assert_int_equal(stage.n_asked, MANY + 1);
}

/* --- the end -------------------------------------------------------------------------------------------- */

/* Its destination may not reply any more, though the mapping lives. */
static void an_idle_flow_ends_before_its_mapping(void **state)
{
    (void)state;
    stage.filter = UDP_FILTER_ADDRESS_PORT;
    struct mapping *m = room_open();
    room_say(&stage.other_at, "b");
    room_await_asked(2);
    room_answer_fd(stage.asked[1], m, &stage.other_at, -1);
    struct addr mapped = room_arrives_str(stage.other, "b");
    stage.asked[1]->last_s -= 2 * stage.idle_s;
    stage.asked[1]->contact->last_s -= 2 * stage.idle_s;
    wheel_set(&stage.room.flows, &stage.asked[1]->look, 0);
    ROOM_UNTIL(stage.port->shares.all.n == 1);
    room_send(stage.other, &mapped, slice_str("late"));
    ROOM_UNTIL(room_drops(DROP_UNASKED) == 1);
    assert_int_equal(stage.n_idle, 0);
    room_say(&stage.server_at, "c"); /* by the same socket */
    struct addr same = room_arrives_str(stage.server, "c");
    assert_int_equal(addr_port(&same), addr_port(&mapped));
}

/* A destination that only sends, such as a stream, may do so for as long as it does. */
static void replies_keep_a_flow(void **state)
{
    (void)state;
    (void)room_open();
    room_say(&stage.server_at, "subscribe");
    struct addr mapped = room_arrives_str(stage.server, "subscribe");
    struct flow *f = stage.asked[0];
    f->last_s -= 2 * stage.idle_s;
    f->contact->last_s -= 2 * stage.idle_s;
    room_send(stage.server, &mapped, slice_str("news"));
    room_hears(stage.client, &stage.server_at, "news");
    wheel_set(&stage.room.flows, &f->look, 0);
    ROOM_UNTIL(wheel_left_s(&f->look) > 1);
    assert_int_equal(stage.port->shares.all.n, 1);
    assert_true(f->state == FLOW_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, room_setup_socks, room_teardown)
        TEST(one_question_for_many_datagrams),
        TEST(the_answer_tells_where),
        TEST(sixteen_wait_for_an_answer),
        TEST(waiting_bytes_are_limited),
        TEST(empty_datagrams_wait_too),
        TEST(a_refusal_lasts_a_while),
        TEST(a_flow_asks_again_if_it_is_told_to),
        TEST(a_flow_asks_again_a_few_times),
        TEST(a_flow_asks_again_if_its_mapping_has_ended),
        TEST(names_and_ports_tell_flows_apart),
        TEST(many_flows_are_told_apart),
        TEST(an_idle_flow_ends_before_its_mapping),
        TEST(replies_keep_a_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
