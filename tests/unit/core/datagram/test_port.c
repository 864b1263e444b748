/* Ports: whose datagrams they take, what they ask, and how they end. */
#include "datagram/room.h"

#include "base/counters.h"

/* --- what is taken -------------------------------------------------------------------------------------- */

/* The header is removed on the way out; on the way back it names the source. */
static void datagrams_pass_in_both_directions(void **state)
{
    (void)state;
    room_say(&stage.server_at, "hello");
    room_await_asked(1);
    const struct flow *f = stage.asked[0];
    assert_int_equal(addr_port(&f->to), addr_port(&stage.server_at));
    assert_true(addr_same_ip(&f->to, &stage.server_at));
    assert_int_equal(addr_port(&f->client), addr_port(&stage.client_at));
    assert_int_equal(f->name_len, 0);
    struct mapping *m = room_answer(stage.asked[0], &stage.server_at);
    struct addr mapped = room_arrives_str(stage.server, "hello");
    room_send(stage.server, &mapped, slice_str("welcome"));
    room_hears(stage.client, &stage.server_at, "welcome");
    room_say(&stage.server_at, "");
    (void)room_arrives_str(stage.server, "");
    room_send(stage.server, &mapped, slice_of("", 0));
    room_hears(stage.client, &stage.server_at, "");
    assert_int_equal(stage.n_asked, 1);
    assert_int_equal(counters_get(&m->counters.tx), strlen("hello"));
    assert_int_equal(counters_get(&m->counters.rx), strlen("welcome"));
    assert_int_equal(counters_get(&stage.room.moved), 4);
}

static void names_are_asked_as_they_are(void **state)
{
    (void)state;
    room_say_name("Name.Example", 53, "query");
    room_await_asked(1);
    const struct flow *f = stage.asked[0];
    assert_int_equal(f->name_len, strlen("Name.Example"));
    assert_memory_equal(f->name, "Name.Example", f->name_len);
    assert_int_equal(f->to_port, 53);
    (void)room_answer(stage.asked[0], &stage.server_at);
    struct addr mapped = room_arrives_str(stage.server, "query");
    room_send(stage.server, &mapped, slice_str("answer"));
    room_hears(stage.client, &stage.server_at, "answer"); /* the real source, and not the name */
}

static void what_is_not_a_datagram_of_socks_is_dropped(void **state)
{
    static const char fragment[] = "\0\0\1\1\x7f\0\0\1\0\x09payload", short_one[] = "\0\0\0\1\x7f\0\0\1";
    static const char bad_type[] = "\0\0\0\2\x7f\0\0\1\0\x09payload";
    (void)state;
    room_send(stage.client, &stage.port_at, slice_of(fragment, sizeof fragment - 1));
    room_send(stage.client, &stage.port_at, slice_of(short_one, sizeof short_one - 1));
    room_send(stage.client, &stage.port_at, slice_of(bad_type, sizeof bad_type - 1));
    room_send(stage.client, &stage.port_at, slice_of("", 0));
    room_say(&stage.server_at, "good");
    room_await_asked(1);
    assert_int_equal(room_drops(DROP_FRAGMENT), 1);
    assert_int_equal(room_drops(DROP_MALFORMED), 3);
    (void)room_answer(stage.asked[0], &stage.server_at);
    (void)room_arrives_str(stage.server, "good");
}

/* Another address of this machine, 127.0.0.2. */
static int open_stranger(void)
{
    struct addr at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(addr_parse_ip(&at, slice_str("127.0.0.2"), 0), 0);
    assert_int_equal(bind(fd, &at.sa, addr_len(&at)), 0);
    return fd;
}

/* Each datagram counts, also if the kernel has put several together. */
static void strangers_are_dropped_and_counted(void **state)
{
    struct batch_sent sent = {.sent = 0};
    struct batch_out out = {.sent = &sent};
    struct batch_socket stranger = {.fd = open_stranger()};
    size_t n = room_header(room_text, &stage.server_at);
    (void)state;
    for (size_t i = 0; i < 7; i++)
        batch_add(&out, &stranger, &stage.port_at, slice_of("", 0), slice_of(room_text, n + 5));
    batch_flush(&out);
    ROOM_UNTIL(room_drops(DROP_STRANGER) >= 7);
    assert_int_equal(room_drops(DROP_STRANGER), 7);
    assert_int_equal(stage.n_asked, 0);
    batch_out_done(&out);
    (void)close(stranger.fd);
}

/* Some programs send from several ports; replies come to the right one. */
static void each_port_of_the_client_has_its_own_replies(void **state)
{
    struct addr second_at;
    int second = room_end(&second_at);
    (void)state;
    room_say(&stage.server_at, "one");
    room_say_from(second, &stage.server_at, slice_str("two"));
    room_await_asked(2);
    (void)room_answer(stage.asked[0], &stage.server_at);
    struct addr first_mapped = room_arrives_str(stage.server, "one");
    (void)room_answer(stage.asked[1], &stage.server_at);
    struct addr second_mapped = room_arrives_str(stage.server, "two");
    assert_int_not_equal(addr_port(&first_mapped), addr_port(&second_mapped));
    room_send(stage.server, &second_mapped, slice_str("to two"));
    room_send(stage.server, &first_mapped, slice_str("to one"));
    room_hears(second, &stage.server_at, "to two");
    room_hears(stage.client, &stage.server_at, "to one");
    room_nothing(second);
    (void)close(second);
}

static void the_largest_datagrams_pass(void **state)
{
    enum { LARGEST = 65507 - 10 };
    static char much[LARGEST];
    (void)state;
    memset(much, 'm', sizeof much);
    room_say_from(stage.client, &stage.server_at, slice_of(much, sizeof much));
    room_await_asked(1);
    (void)room_answer(stage.asked[0], &stage.server_at);
    struct addr mapped = room_arrives(stage.server, slice_of(much, sizeof much));
    room_send(stage.server, &mapped, slice_of(much, sizeof much));
    struct addr source;
    assert_int_equal(room_receive(stage.client, &source), 10 + LARGEST);
    assert_memory_equal(room_text + 10, much, LARGEST);
}

/* A forward knows its destination, and adds no headers. */
static void forwards_have_no_headers(void **state)
{
    (void)state;
    room_send(stage.client, &stage.port_at, slice_str("plain"));
    room_await_asked(1);
    assert_int_equal(addr_port(&stage.asked[0]->to), addr_port(&stage.server_at));
    (void)room_answer(stage.asked[0], &stage.server_at);
    struct addr mapped = room_arrives_str(stage.server, "plain"), source;
    room_send(stage.server, &mapped, slice_str("reply"));
    assert_int_equal(room_receive(stage.client, &source), strlen("reply"));
    assert_memory_equal(room_text, "reply", strlen("reply"));
    int stranger = open_stranger(); /* who may use it is up to the main loop */
    room_send(stranger, &stage.port_at, slice_str("me too"));
    room_await_asked(2);
    room_refuse(stage.asked[1]);
    ROOM_UNTIL(room_drops(DROP_REFUSED) == 1);
    (void)close(stranger);
}

/* --- the end -------------------------------------------------------------------------------------------- */

static void an_end_ends_the_mappings_first(void **state)
{
    (void)state;
    int before = count_fds();
    (void)room_open();
    room_say(&stage.other_at, "other");
    room_await_asked(2);
    (void)room_answer(stage.asked[1], &stage.other_at);
    (void)room_arrives_str(stage.other, "other");
    room_order_end();
    ROOM_UNTIL(!stage.port);
    assert_int_equal(stage.n_ended, 2);
    assert_int_equal(count_fds(), before - 1); /* the port's */
}

/* The main loop has the questions: their flows, and the port, wait for the answers. */
static void an_end_waits_for_answers(void **state)
{
    (void)state;
    for (uint16_t i = 1; i <= 3; i++) {
        struct addr to = loopback(AF_INET, i);
        room_say(&to, "question");
    }
    room_await_asked(3);
    room_refuse(stage.asked[1]);
    room_turn();
    room_order_end();
    room_turn();
    assert_non_null(stage.port);
    room_refuse(stage.asked[2]);
    room_turn();
    assert_non_null(stage.port);
    room_refuse(stage.asked[0]);
    ROOM_UNTIL(!stage.port);
}

/* An answer and the end come in one go: the datagrams leave, and the mapping ends. */
static void an_answer_before_the_end_counts(void **state)
{
    (void)state;
    room_say(&stage.server_at, "last words");
    room_await_asked(1);
    (void)room_answer(stage.asked[0], &stage.server_at);
    room_order_end();
    (void)room_arrives_str(stage.server, "last words");
    ROOM_UNTIL(!stage.port);
    assert_int_equal(stage.n_ended, 1);
}

/* A question is on its way to the main loop while the end is on its way to the room. */
static void an_end_crosses_a_question(void **state)
{
    (void)state;
    room_turn();
    room_say(&stage.server_at, "crossing");
    /* The room reads the datagram and then the order; the main loop reads nothing yet. */
    ev_feed_fd_event(stage.loop, stage.port->socket.fd, EV_READ);
    ev_invoke_pending(stage.loop);
    assert_int_equal(stage.port->n_asked, 1);
    room_order_end();
    mailbox_empty(&stage.room.orders);
    assert_int_equal(stage.n_asked, 0);
    mailbox_empty(&stage.news);
    assert_int_equal(stage.n_asked, 1);
    assert_non_null(stage.port);
    room_refuse(stage.asked[0]);
    ROOM_UNTIL(!stage.port);
}

static void a_port_may_end_before_it_has_begun(void **state)
{
    (void)state;
    room_order_end(); /* the order to begin was not read yet */
    ROOM_UNTIL(!stage.port);
}

/* --- limits --------------------------------------------------------------------------------------------- */

/* A destination of its own for each number. */
static struct addr numbered(size_t i)
{
    struct addr a;
    char text[32];

    (void)snprintf(text, sizeof text, "127.9.%zu.%zu", i / 200, 1 + i % 200);
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 9), 0);
    return a;
}

/* As many flows as a port has room for. */
static void fill(void)
{
    for (size_t i = 0; i < PORT_FLOWS_MAX; i++) {
        struct addr to = numbered(i);
        room_say(&to, "x");
        if (i % 64 == 63)
            ROOM_UNTIL(stage.n_asked == i + 1);
    }
    assert_int_equal(stage.n_asked, PORT_FLOWS_MAX);
    assert_int_equal(stage.port->shares.all.n, PORT_FLOWS_MAX);
}

/* What comes to the server, up to this. */
static void server_hears_up_to(const char *payload)
{
    struct addr source;

    for (;;) {
        size_t n = room_receive(stage.server, &source);
        if (n == strlen(payload) && memcmp(room_text, payload, n) == 0)
            return;
    }
}

static void make_older(struct flow *f, double by_s)
{
    f->last_s -= by_s;
    f->placed_s -= by_s;
}

static void flows_in_use_are_not_forgotten(void **state)
{
    struct addr one_more = numbered(PORT_FLOWS_MAX);
    (void)state;
    fill();
    for (size_t i = 0; i < PORT_FLOWS_MAX; i++)
        stage.asked[i]->last_s -= 60;
    room_say(&one_more, "y"); /* each other one waits for its answer, which names it */
    ROOM_UNTIL(room_drops(DROP_QUEUE_FULL) == 1);
    struct mapping *m = room_mapping(stage.asked[0]);
    for (size_t i = 0; i < PORT_FLOWS_MAX; i++)
        room_answer_fd(stage.asked[i], m, &stage.server_at, i == 0 ? room_socket() : -1);
    ROOM_UNTIL(stage.port->n_asked == 0);
    room_say(&one_more, "y"); /* each was used just now */
    ROOM_UNTIL(room_drops(DROP_QUEUE_FULL) == 2);
    assert_int_equal(stage.n_asked, PORT_FLOWS_MAX);
    for (size_t i = 0; i < PORT_FLOWS_MAX; i++)
        make_older(stage.asked[i], 60);
    for (size_t i = 0; i < PORT_FLOWS_MAX; i += 2) {
        struct addr used = numbered(i);
        room_say(&used, "u");
        server_hears_up_to("u");
    }
    room_say(&one_more, "y");
    room_await_asked(PORT_FLOWS_MAX + 1);
    assert_int_equal(stage.port->shares.all.n, PORT_FLOWS_MAX); /* one that was idle is forgotten */
    for (size_t i = 0; i < PORT_FLOWS_MAX; i += 2) {
        struct addr kept = numbered(i);
        room_say(&kept, "z");
        server_hears_up_to("z");
    }
    assert_int_equal(stage.n_asked, PORT_FLOWS_MAX + 1);
    room_refuse(stage.asked[PORT_FLOWS_MAX]);
}

/* What strangers send to a forward is refused, and leaves room for clients. */
static void refused_flows_make_room_at_once(void **state)
{
    struct addr one_more = numbered(PORT_FLOWS_MAX);
    (void)state;
    fill();
    for (size_t i = 0; i < PORT_FLOWS_MAX; i++)
        room_refuse(stage.asked[i]);
    ROOM_UNTIL(stage.port->n_asked == 0);
    room_say(&one_more, "y");
    room_await_asked(PORT_FLOWS_MAX + 1);
    room_refuse(stage.asked[PORT_FLOWS_MAX]);
    assert_int_equal(stage.port->shares.all.n, PORT_FLOWS_MAX);
}

/* A client sends much to many destinations while the main loop is busy. */
static void what_waits_in_a_port_is_limited(void **state)
{
    enum { SIZE = 32 * 1024, FLOWS = 3 * PORT_QUEUE_BYTES / SIZE };
    static char much[SIZE];
    (void)state;
    for (size_t i = 0; i < FLOWS; i++) {
        struct addr to = numbered(i);
        room_say_from(stage.client, &to, slice_of(much, sizeof much));
        ROOM_UNTIL(stage.n_asked == i + 1);
    }
    assert_true(stage.port->shares.all.queued <= PORT_QUEUE_BYTES / 3); /* the rest is for other clients */
    assert_true(stage.port->shares.all.queued > PORT_QUEUE_BYTES / 4);
    assert_true(room_drops(DROP_QUEUE_FULL) >= FLOWS / 2);
    for (size_t i = 0; i < FLOWS; i++)
        room_refuse(stage.asked[i]);
    ROOM_UNTIL(stage.port->n_asked == 0);
    assert_int_equal(stage.port->shares.all.queued, 0);
}

/* --- clients that share a port -------------------------------------------------------------------------- */

enum { SHARED_FLOWS = 48 };

/* Two clients: one floods, and `other` does not. @return its socket */
static int share(void)
{
    struct addr at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(addr_parse_ip(&at, slice_str("127.0.0.2"), 0), 0);
    assert_int_equal(bind(fd, &at.sa, addr_len(&at)), 0);
    assert_int_equal(stage.port->flows_max, PORT_FLOWS_MAX);
    stage.port->client = (struct addr){.sa.sa_family = AF_UNSPEC};
    stage.port->flows_max = SHARED_FLOWS;
    return fd;
}

static void say_from(int client, size_t to, const char *text)
{
    struct addr a = numbered(to);

    room_say_from(client, &a, slice_str(text));
}

/* Its flow goes on by the same mapping, though it was used before all flows of the other one. */
static void who_floods_a_shared_port_loses_its_own_flows(void **state)
{
    int other = share();
    (void)state;
    say_from(other, 0, "mine");
    room_await_asked(1);
    struct mapping *m = room_answer(stage.asked[0], &stage.server_at);
    struct addr mapped = room_arrives_str(stage.server, "mine");
    struct mapping *floods = NULL;
    for (size_t i = 1; i < 10 * SHARED_FLOWS; i++) {
        say_from(stage.client, i, "flood");
        ROOM_UNTIL(stage.n_asked == i + 1 || room_drops(DROP_QUEUE_FULL) > 0);
        if (stage.n_asked <= i)
            break; /* its flows are in use */
        if (!floods)
            floods = room_answer(stage.asked[i], &stage.other_at);
        else
            room_answer_fd(stage.asked[i], floods, &stage.other_at, -1);
    }
    assert_int_equal(stage.port->shares.all.n, SHARED_FLOWS);
    size_t asked = stage.n_asked;
    for (size_t i = 1; i < SHARED_FLOWS / 3; i++) { /* more flows than it has: the flooder makes room */
        say_from(other, 1000 + i, "more");
        room_await_asked(asked + i);
        room_answer_fd(stage.asked[asked + i - 1], m, &stage.server_at, -1);
        (void)room_arrives_str(stage.server, "more");
    }
    assert_int_equal(stage.port->shares.all.n, SHARED_FLOWS);
    say_from(other, 0, "again");
    struct addr same = room_arrives_str(stage.server, "again");
    assert_int_equal(addr_port(&same), addr_port(&mapped));
    assert_int_equal(stage.n_asked, asked + SHARED_FLOWS / 3 - 1);
    (void)close(other);
}

/* A client whose flows are idle makes room for its own, and not for those of the other one. */
static void idle_flows_of_others_stay(void **state)
{
    int other = share();
    (void)state;
    say_from(other, 0, "mine");
    room_await_asked(1);
    (void)room_answer(stage.asked[0], &stage.server_at);
    (void)room_arrives_str(stage.server, "mine");
    make_older(stage.asked[0], 100);
    struct mapping *floods = NULL;
    for (size_t i = 1; i < 4 * SHARED_FLOWS; i++) {
        say_from(stage.client, i, "flood");
        room_await_asked(i + 1);
        if (!floods)
            floods = room_answer(stage.asked[i], &stage.other_at);
        else
            room_answer_fd(stage.asked[i], floods, &stage.other_at, -1);
        ROOM_UNTIL(stage.asked[i]->state == FLOW_OPEN);
        make_older(stage.asked[i], 60);
    }
    say_from(other, 0, "again");
    (void)room_arrives_str(stage.server, "again");
    assert_int_equal(stage.n_asked, 4 * SHARED_FLOWS);
    (void)close(other);
}

/* One client waits for many answers, and with many bytes. */
static void who_waits_in_a_shared_port_keeps_out_no_other(void **state)
{
    static char much[60000];
    int other = share();
    (void)state;
    stage.port->flows_max = 3 * PORT_QUEUE_BYTES / sizeof much;
    for (size_t i = 0; i < stage.port->flows_max; i++) {
        struct addr to = numbered(i);
        room_say_from(stage.client, &to, slice_of(much, sizeof much));
        room_turn();
    }
    ROOM_UNTIL(stage.n_asked + room_drops(DROP_QUEUE_FULL) >= stage.port->flows_max);
    size_t asked = stage.n_asked;
    assert_int_equal(asked, stage.port->flows_max / 3);
    assert_true(stage.port->shares.all.queued <= PORT_QUEUE_BYTES / 3);
    say_from(other, 0, "mine");
    room_await_asked(asked + 1);
    ROOM_UNTIL(stage.asked[asked]->n_queued == 1);
    (void)room_answer(stage.asked[asked], &stage.server_at);
    (void)room_arrives_str(stage.server, "mine");
    for (size_t i = 0; i < asked; i++)
        room_refuse(stage.asked[i]);
    (void)close(other);
}

static int setup_forward(void **state)
{
    (void)state;
    room_setup(PORT_FORWARD);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, room_setup_socks, room_teardown)
        TEST(datagrams_pass_in_both_directions),
        TEST(names_are_asked_as_they_are),
        TEST(what_is_not_a_datagram_of_socks_is_dropped),
        TEST(strangers_are_dropped_and_counted),
        TEST(each_port_of_the_client_has_its_own_replies),
        TEST(the_largest_datagrams_pass),
        cmocka_unit_test_setup_teardown(forwards_have_no_headers, setup_forward, room_teardown),
        TEST(an_end_ends_the_mappings_first),
        TEST(an_end_waits_for_answers),
        TEST(an_answer_before_the_end_counts),
        TEST(an_end_crosses_a_question),
        TEST(a_port_may_end_before_it_has_begun),
        TEST(flows_in_use_are_not_forgotten),
        TEST(refused_flows_make_room_at_once),
        TEST(what_waits_in_a_port_is_limited),
        TEST(who_floods_a_shared_port_loses_its_own_flows),
        TEST(idle_flows_of_others_stay),
        TEST(who_waits_in_a_shared_port_keeps_out_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
