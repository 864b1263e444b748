/* A room on a thread of its own, and the main loop on the test's: questions, answers, idle mappings and ends
 * meet in whatever order the threads run. Each object ends once, and nothing is used after its end. */
#include "datagram/flow.h"
#include "datagram/mapping.h"
#include "datagram/port.h"
#include "proto/socks_udp.h"

#include "base/clock.h"
#include "support/loopback.h"

#include <pthread.h>

enum { PORTS = 60, SIDE_BY_SIDE = 6 };

struct way {
    struct mapping mapping;
    bool ordered; /* its end */
};

struct door {
    struct port port;
    struct addr at;
    struct way *latest; /* NULL: none, or it ends */
    size_t n_ways;
    bool closing;
};

static struct ev_loop *loop, *worker_loop;
static struct mailbox news;
static struct datagram_room room;
static ev_async quit;
static pthread_t thread;
static size_t n_open, n_ways, n_idle, n_questions;
static int client, server;
static struct addr client_at, server_at;

/* --- the main loop -------------------------------------------------------------------------------------- */

static struct way *new_way(struct door *d, const struct flow *f)
{
    struct way *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->mapping.port = &d->port;
    w->mapping.client = f->client;
    w->mapping.idle_s = 0.05;
    w->mapping.contacts.filter = (enum udp_filter)(n_ways % 3);
    mapping_init(&w->mapping);
    d->n_ways++;
    n_ways++;
    return w;
}

static void order_end(struct door *d, struct way *w)
{
    if (w->ordered || d->closing)
        return; /* the end of the port is the mapping's too */
    w->ordered = true;
    if (d->latest == w)
        d->latest = NULL;
    mapping_order_end(&w->mapping);
}

/* Every third question is refused; of the others, some get a new mapping. Some mappings end at once. */
static void on_question(struct flow *f)
{
    struct door *d = container_of(f->port, struct door, port);
    struct addr unused;
    size_t n = n_questions++;

    f->answer = (struct flow_answer){.fd = -1};
    if (!d->closing && n % 3) {
        bool fresh = !d->latest || n % 4 == 0;
        if (fresh)
            d->latest = new_way(d, f);
        f->answer = (struct flow_answer){.mapping = &d->latest->mapping,
                                         .dest = server_at,
                                         .fd = fresh ? socket_at_loopback(AF_INET, SOCK_DGRAM, &unused) : -1};
    }
    mailbox_send(&room.orders, &f->order.message, ORDER_ANSWER);
    if (!d->closing && d->latest && n % 5 == 0)
        order_end(d, d->latest);
}

static void on_news(struct mailbox *m, struct message *message, unsigned bits)
{
    struct letter *l = container_of(message, struct letter, message);

    (void)m;
    if (l->of == LETTER_FLOW)
        return on_question(container_of(l, struct flow, news));
    if (l->of == LETTER_PORT) {
        struct door *d = container_of(container_of(l, struct port, news), struct door, port);
        assert_true(d->closing);
        assert_int_equal(d->n_ways, 0);
        n_open--;
        port_done(&d->port);
        return free(d);
    }
    struct way *w = container_of(container_of(l, struct mapping, news), struct way, mapping);
    struct door *d = container_of(w->mapping.port, struct door, port);
    n_idle += (bits & NEWS_IDLE) != 0;
    if (bits & NEWS_ENDED_DATAGRAMS) {
        assert_true(w->ordered || d->closing);
        d->n_ways--;
        n_ways--;
        free(w);
    } else if (bits & NEWS_IDLE) {
        order_end(d, w);
    }
}

static struct door *new_door(void)
{
    struct door *d = calloc(1, sizeof *d);

    assert_non_null(d);
    d->port.room = &room;
    d->port.kind = PORT_SOCKS;
    d->port.client = loopback(AF_INET, 0);
    d->port.socket.fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &d->at);
    n_open++;
    port_begin(&d->port);
    return d;
}

static void close_door(struct door *d)
{
    d->closing = true;
    d->latest = NULL;
    mailbox_send(&room.orders, &d->port.order.message, ORDER_END);
}

static void say(const struct door *d, uint16_t to_port)
{
    char text[64];
    const uint8_t ip[] = {127, 0, 0, 1};
    size_t n = socks_udp_write(text, ip, sizeof ip, to_port);

    text[n] = 'x';
    assert_int_equal(sendto(client, text, n + 1, 0, &d->at.sa, addr_len(&d->at)), n + 1);
}

/* --- the room's thread ---------------------------------------------------------------------------------- */

static void on_quit(struct ev_loop *l, ev_async *w, int events)
{
    (void)w, (void)events;
    ev_break(l, EVBREAK_ALL);
}

static void *run(void *arg)
{
    (void)arg;
    ev_run(worker_loop, 0);
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    n_open = n_ways = n_idle = n_questions = 0;
    loop = ev_loop_new(0);
    worker_loop = ev_loop_new(EVFLAG_NOENV);
    mailbox_init(&news, loop, on_news);
    assert_int_equal(datagram_room_init(&room, worker_loop, &news), 0);
    ev_async_init(&quit, on_quit);
    ev_async_start(worker_loop, &quit);
    client = socket_at_loopback(AF_INET, SOCK_DGRAM, &client_at);
    server = socket_at_loopback(AF_INET, SOCK_DGRAM, &server_at);
    assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ev_async_send(worker_loop, &quit);
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* What is under way when the threads have ended is read here. */
    for (int i = 0; n_open > 0 && i < 1000; i++) {
        mailbox_empty(&room.orders);
        mailbox_empty(&news);
    }
    assert_int_equal(n_open, 0);
    assert_int_equal(n_ways, 0);
    datagram_room_done(&room);
    ev_async_stop(worker_loop, &quit);
    ev_loop_destroy(worker_loop);
    mailbox_done(&news);
    (void)close(client);
    (void)close(server);
    ev_loop_destroy(loop);
    return 0;
}

/* Echo what the server has got, so that there are replies too. */
static void echo(void)
{
    char text[64];
    struct sockaddr_storage from;
    socklen_t len = sizeof from;

    for (;;) {
        ssize_t n = recvfrom(server, text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
        if (n < 0)
            break;
        (void)sendto(server, text, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from, len);
    }
    while (recv(client, text, sizeof text, MSG_DONTWAIT) >= 0)
        ;
}

static void turn_for(double s)
{
    for (double end = clock_now_s() + s; clock_now_s() < end;) {
        ev_run(loop, EVRUN_NOWAIT);
        echo();
    }
}

static void use_and_close(size_t ports)
{
    struct door *doors[SIDE_BY_SIDE] = {NULL};

    for (size_t i = 0; i < ports; i++) {
        struct door **d = &doors[i % SIDE_BY_SIDE];
        if (*d)
            close_door(*d);
        *d = new_door();
        for (uint16_t k = 0; k < 12; k++) {
            say(*d, (uint16_t)(1 + k % 7));
            say(doors[k % SIDE_BY_SIDE] ? doors[k % SIDE_BY_SIDE] : *d, (uint16_t)(1 + (i + k) % 50));
        }
        turn_for(i % 6 == 0 ? 0.07 : 0.002); /* sometimes until mappings are idle */
    }
    for (size_t i = 0; i < SIDE_BY_SIDE; i++)
        if (doors[i])
            close_door(doors[i]);
}

static void all_end_once(void **state)
{
    (void)state;
    int before = count_fds();
    use_and_close(PORTS);
    for (double end = clock_now_s() + PATIENCE_S; n_open > 0 && clock_now_s() < end;)
        ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(n_open, 0);
    assert_int_equal(n_ways, 0);
    assert_true(n_questions > PORTS);
    assert_true(n_idle > 0);
    assert_int_equal(count_fds(), before);
}

/* The thread ends first, with much under way. */
static void the_thread_may_end_first(void **state)
{
    (void)state;
    use_and_close(PORTS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_end_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_thread_may_end_first, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
