/* A room on the loop of the test, which plays the main loop: it reads the room's questions and answers them.
 * The test also plays the client and the destinations, on loopback. Mappings and the port are freed as soon
 * as the room reports their end. */
#ifndef STEERWAY_TEST_DATAGRAM_ROOM_H
#define STEERWAY_TEST_DATAGRAM_ROOM_H

#include "datagram/flow.h"
#include "datagram/mapping.h"
#include "datagram/port.h"
#include "proto/socks_udp.h"

#include "base/clock.h"
#include "support/loopback.h"

enum { ROOM_ASKED_MAX = 5000, ROOM_TEXT_MAX = 70000 };

struct stage {
    struct ev_loop *loop;
    struct datagram_room room;
    struct mailbox news;
    struct port *port; /* NULL once it has ended */
    struct addr port_at, client_at, server_at, other_at;
    int client, server, other; /* the test's ends; `other` is another destination */
    struct flow *asked[ROOM_ASKED_MAX];
    size_t n_asked; /* questions so far */
    size_t n_ended, n_idle, n_woke, n_mappings;
    double idle_s;
    enum udp_filter filter;
};

static struct stage stage;
static char room_text[ROOM_TEXT_MAX];

static inline void room_on_news(struct mailbox *m, struct message *message, unsigned bits)
{
    struct letter *l = container_of(message, struct letter, message);

    (void)m;
    if (l->of == LETTER_FLOW) {
        assert_int_equal(bits, NEWS_ASKED);
        assert_true(stage.n_asked < ROOM_ASKED_MAX);
        stage.asked[stage.n_asked++] = container_of(l, struct flow, news);
    } else if (l->of == LETTER_MAPPING) {
        stage.n_idle += (bits & NEWS_IDLE) != 0;
        stage.n_woke += (bits & NEWS_WOKE_DATAGRAMS) != 0;
        if (!(bits & NEWS_ENDED_DATAGRAMS))
            return;
        assert_non_null(stage.port); /* a mapping ends before its port */
        stage.n_ended++;
        free(container_of(l, struct mapping, news));
    } else {
        assert_int_equal(stage.n_ended, stage.n_mappings);
        port_done(stage.port);
        free(stage.port);
        stage.port = NULL;
    }
}

static inline void room_begin_port(enum port_kind kind)
{
    struct port *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->room = &stage.room;
    p->kind = kind;
    p->socket.fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &stage.port_at);
    batch_tune(p->socket.fd);
    p->client = kind == PORT_SOCKS ? loopback(AF_INET, 0) : (struct addr){.sa.sa_family = AF_UNSPEC};
    p->to = kind == PORT_FORWARD ? stage.server_at : (struct addr){.sa.sa_family = AF_UNSPEC};
    p->to_port = addr_port(&p->to);
    stage.port = p;
}

static inline int room_end(struct addr *ret_at)
{
    int fd = socket_at_loopback(AF_INET, SOCK_DGRAM, ret_at);
    const int much = 1 << 21;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &much, sizeof much);
    return fd;
}

static inline void room_setup(enum port_kind kind)
{
    stage = (struct stage){.loop = ev_loop_new(0), .idle_s = 1000, .filter = UDP_FILTER_ADDRESS};
    assert_non_null(stage.loop);
    mailbox_init(&stage.news, stage.loop, room_on_news);
    assert_int_equal(datagram_room_init(&stage.room, stage.loop, &stage.news), 0);
    stage.client = room_end(&stage.client_at);
    stage.server = room_end(&stage.server_at);
    stage.other = room_end(&stage.other_at);
    room_begin_port(kind);
    port_begin(stage.port);
}

/* --- the loop turns ------------------------------------------------------------------------------------- */

static inline void room_on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

/* Turn the loop until the expression is true. */
#define ROOM_UNTIL(expression)                                                                               \
    do {                                                                                                     \
        double room_patience = clock_now_s() + PATIENCE_S;                                                   \
        ev_timer room_tick;                                                                                  \
        ev_timer_init(&room_tick, room_on_tick, 0.005, 0.005);                                               \
        ev_timer_start(stage.loop, &room_tick);                                                              \
        while (!(expression) && clock_now_s() < room_patience)                                               \
            ev_run(stage.loop, EVRUN_ONCE);                                                                  \
        ev_timer_stop(stage.loop, &room_tick);                                                               \
        if (!(expression))                                                                                   \
            fail_msg("waited in vain: %s", #expression);                                                     \
    } while (0)

/* What has come is read now, and nothing else is waited for. */
static inline void room_turn(void)
{
    for (int i = 0; i < 8; i++)
        ev_run(stage.loop, EVRUN_NOWAIT);
}

static inline uint64_t room_drops(enum datagram_drop why)
{
    return counters_get(&stage.room.drops[why]);
}

static inline void room_await_asked(size_t n)
{
    ROOM_UNTIL(stage.n_asked >= n);
    assert_int_equal(stage.n_asked, n);
}

/* --- the client and the destinations -------------------------------------------------------------------- */

static inline void room_send(int fd, const struct addr *to, struct slice text)
{
    assert_int_equal(sendto(fd, text.data, text.len, 0, &to->sa, addr_len(to)), text.len);
}

static inline size_t room_header(char *out, const struct addr *at)
{
    size_t len;
    const uint8_t *ip = addr_ip(at, &len);
    return socks_udp_write(out, ip, len, addr_port(at));
}

/* The client sends to a destination, by SOCKS. */
static inline void room_say_from(int client, const struct addr *to, struct slice payload)
{
    size_t n = room_header(room_text, to);

    assert_true(n + payload.len <= sizeof room_text);
    memcpy(room_text + n, payload.data, payload.len);
    room_send(client, &stage.port_at, slice_of(room_text, n + payload.len));
}

static inline void room_say(const struct addr *to, const char *payload)
{
    room_say_from(stage.client, to, slice_str(payload));
}

static inline void room_say_name(const char *name, uint16_t port, const char *payload)
{
    size_t n = socks_udp_write_name(room_text, slice_str(name), port);

    memcpy(room_text + n, payload, strlen(payload));
    room_send(stage.client, &stage.port_at, slice_of(room_text, n + strlen(payload)));
}

/* What comes to an end, while the loop turns. @return its length */
static inline size_t room_receive(int fd, struct addr *ret_source)
{
    struct sockaddr_storage source;
    socklen_t len = sizeof source;
    ssize_t n = -1;

    ROOM_UNTIL((n = recv(fd, room_text, sizeof room_text, MSG_DONTWAIT | MSG_PEEK)) >= 0);
    n = recvfrom(fd, room_text, sizeof room_text, MSG_DONTWAIT, (struct sockaddr *)&source, &len);
    assert_true(n >= 0);
    assert_int_equal(addr_from_sockaddr(ret_source, (struct sockaddr *)&source, len), 0);
    return (size_t)n;
}

/* Exactly this comes to a destination. @return where from */
static inline struct addr room_arrives(int fd, struct slice payload)
{
    struct addr source;
    size_t n = room_receive(fd, &source);

    assert_int_equal(n, payload.len);
    assert_memory_equal(room_text, payload.data, n);
    return source;
}

static inline struct addr room_arrives_str(int fd, const char *payload)
{
    return room_arrives(fd, slice_str(payload));
}

/* Exactly this reply comes to a client, from the port, and it names its source. */
static inline void room_hears(int client, const struct addr *source, const char *payload)
{
    char header[SOCKS_UDP_HEADER_MAX];
    struct addr from;
    size_t head = room_header(header, source), n = room_receive(client, &from);

    assert_int_equal(addr_port(&from), addr_port(&stage.port_at));
    assert_int_equal(n, head + strlen(payload));
    assert_memory_equal(room_text, header, head);
    assert_memory_equal(room_text + head, payload, strlen(payload));
}

static inline void room_nothing(int fd)
{
    char byte;

    room_turn();
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

/* --- the main loop -------------------------------------------------------------------------------------- */

static inline struct mapping *room_mapping(const struct flow *f)
{
    struct mapping *m = calloc(1, sizeof *m);

    assert_non_null(m);
    m->port = stage.port;
    m->client = f->client;
    m->idle_s = stage.idle_s;
    m->contacts.filter = stage.filter;
    mapping_init(m);
    stage.n_mappings++;
    return m;
}

/* Answer with a new socket, or with fd -1 for the one that the mapping has. */
static inline void room_answer_fd(struct flow *f, struct mapping *m, const struct addr *dest, int fd)
{
    f->answer = (struct flow_answer){.mapping = m, .dest = *dest, .fd = fd};
    mailbox_send(&stage.room.orders, &f->order.message, ORDER_ANSWER);
}

static inline int room_socket(void)
{
    struct addr at;
    return socket_at_loopback(AF_INET, SOCK_DGRAM, &at);
}

/* Answer with a new mapping. */
static inline struct mapping *room_answer(struct flow *f, const struct addr *dest)
{
    struct mapping *m = room_mapping(f);

    room_answer_fd(f, m, dest, room_socket());
    return m;
}

static inline void room_refuse(struct flow *f)
{
    room_answer_fd(f, NULL, &(struct addr){.sa.sa_family = AF_UNSPEC}, -1);
}

/* The client talks to the server by a new mapping. */
static inline struct mapping *room_open(void)
{
    room_say(&stage.server_at, "first");
    room_await_asked(stage.n_asked + 1);
    struct mapping *m = room_answer(stage.asked[stage.n_asked - 1], &stage.server_at);
    (void)room_arrives_str(stage.server, "first");
    return m;
}

/* --- the end -------------------------------------------------------------------------------------------- */

static inline void room_order_end(void)
{
    mailbox_send(&stage.room.orders, &stage.port->order.message, ORDER_END);
}

/* The port ends, with all that it has; each question is answered before, or is refused now. */
static inline int room_teardown(void **state)
{
    (void)state;
    if (stage.port) {
        room_order_end();
        ROOM_UNTIL(!stage.port);
    }
    datagram_room_done(&stage.room);
    mailbox_done(&stage.news);
    assert_int_equal(stage.n_ended, stage.n_mappings);
    (void)close(stage.client);
    (void)close(stage.server);
    (void)close(stage.other);
    assert_idle(stage.loop);
    ev_loop_destroy(stage.loop);
    return 0;
}

static inline int room_setup_socks(void **state)
{
    (void)state;
    room_setup(PORT_SOCKS);
    return 0;
}

#endif
