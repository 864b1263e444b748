/* A room for one question to one server. The test plays the server, over UDP and TCP, and decides each
 * packet. */
#ifndef STEERWAY_TESTS_DNS_EXCHANGE_ROOM_H
#define STEERWAY_TESTS_DNS_EXCHANGE_ROOM_H

#include "dns/dns_exchange.h"

#include "dns/dns_server.h"

#include <sys/time.h>

struct room {
    struct ev_loop *loop;
    struct dns_way way;
    struct dns_exchange *exchange; /* NULL once it is closed */
    struct dns_held asked;         /* the latest question that the server read */
    int udp, tcp, client;          /* the server's sockets; the last is an accepted connection; -1: closed */
    int fds;                       /* open before the exchange was */
    int calls;
    bool done, unreachable, was_answered;
    double age_s;
    struct dns_reply reply;
};

static inline void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* The server's reads are limited, so that a lost packet fails the test. */
static inline void limit_reads(int fd)
{
    const struct timeval limit = {.tv_sec = (time_t)PATIENCE_S};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
}

static inline int room_open(void **state)
{
    struct room *r = calloc(1, sizeof *r);
    struct dns_server place;
    bool never = false;

    assert_non_null(r);
    *state = r;
    r->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(r->loop);
    (void)run_until_within(r->loop, &never, 0.001); /* what libev opens at its first turn is open now */
    r->udp = dns_server_bind(&place, &r->tcp);
    r->client = -1;
    limit_reads(r->udp);
    dns_way_init(&r->way, r->loop, 10);
    const struct dns_servers servers = {.items = {place.addr}, .n = 1};
    dns_way_aim(&r->way, &EGRESS_DIRECT, &servers);
    r->fds = count_fds();
    return 0;
}

static inline int room_close(void **state)
{
    struct room *r = *state;

    if (r->exchange)
        dns_exchange_close(r->exchange);
    dns_way_done(&r->way);
    assert_int_equal(r->way.n_late, 0);
    close_fd(&r->client);
    assert_idle(r->loop);
    assert_int_equal(count_fds(), r->fds - (r->udp < 0) - (r->tcp < 0));
    close_fd(&r->udp);
    close_fd(&r->tcp);
    ev_loop_destroy(r->loop);
    free(r);
    return 0;
}

static inline void on_done(struct dns_exchange *e, const struct dns_reply *reply)
{
    struct room *r = e->arg;

    r->calls++;
    r->done = true;
    r->unreachable = !reply;
    r->was_answered = dns_exchange_was_answered(e);
    r->age_s = dns_exchange_age_s(e);
    if (reply)
        r->reply = *reply;
    dns_exchange_close(e);
    r->exchange = NULL;
}

static inline struct dns_query question(const char *name)
{
    struct dns_query q;
    assert_int_equal(dns_query_make(&q, name, DNS_TYPE_A), 0);
    return q;
}

static inline void start(struct room *r, const char *name)
{
    const struct dns_query q = question(name);

    r->calls = 0;
    r->done = r->unreachable = false;
    r->reply = (struct dns_reply){.n = 0};
    assert_int_equal(dns_exchange_start(&r->exchange, &r->way, 0, &q, on_done, r), 0);
}

static inline void hear(struct room *r)
{
    struct dns_held *q = &r->asked;

    q->from_len = sizeof q->from;
    ssize_t n = recvfrom(r->udp, q->query, sizeof q->query, 0, (struct sockaddr *)&q->from, &q->from_len);
    assert_true(n > DNS_HEADER);
    q->len = (size_t)n;
    assert_int_equal(dns_question(q), DNS_A);
}

/* Ask, and let the server read it. */
static inline void ask(struct room *r, const char *name)
{
    start(r, name);
    hear(r);
}

static inline void say_from(const struct room *r, int fd, const void *data, size_t len)
{
    const struct sockaddr *to = (const struct sockaddr *)&r->asked.from;
    assert_int_equal(sendto(fd, data, len, 0, to, r->asked.from_len), len);
}

/* Loopback delivers at once: what was sent is read in the next turn. */
static inline void turn(struct room *r)
{
    (void)ev_run(r->loop, EVRUN_NOWAIT);
}

static inline void await(struct room *r)
{
    run_until(r->loop, &r->done);
    assert_int_equal(r->calls, 1);
    assert_null(r->exchange);
}

static inline void assert_says(const char *what, const struct room *r, enum dns_says says, size_t n)
{
    if (r->unreachable || r->reply.says != says || r->reply.n != n)
        fail_msg("%s: says %d with %zu addresses, not %d with %zu", what, (int)r->reply.says, r->reply.n,
                 (int)says, n);
}

/* The server's whole answer, by the name that was asked (dns_server.h). */
static inline size_t answer(const struct room *r, uint8_t out[DNS_PACKET_MAX])
{
    return dns_answer(&r->asked, DNS_A, out);
}

static inline void say_answer(const struct room *r)
{
    static uint8_t out[DNS_PACKET_MAX];
    say_from(r, r->udp, out, answer(r, out));
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)

#endif
