/* A small DNS server on loopback, turning on the test's own loop. The first label of a name says how it
 * answers: both, four, six   addresses 192.0.2.1…3 and/or 2001:db8::1…2 mapped            an AAAA record that
 * holds an IPv4-mapped address many              20 of each family empty             exists, without
 * addresses broken            SERVFAIL silent            no answer late              as both, once released
 * and every other name does not exist. */
#ifndef STEERWAY_TESTS_NET_DNS_SERVER_H
#define STEERWAY_TESTS_NET_DNS_SERVER_H

#include "net/loopback.h"

#include <arpa/inet.h>

enum { DNS_A = 1, DNS_AAAA = 28, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_HEADER = 12, DNS_PACKET_MAX = 2048 };

struct dns_held {
    uint8_t query[512];
    size_t len;
    struct sockaddr_storage from;
    socklen_t from_len;
};

struct dns_server {
    ev_io io;
    struct ev_loop *loop;
    struct addr addr;
    char text[ADDR_TEXT_MAX]; /* for resolver_options.servers */
    int asked4, asked6;       /* questions heard */
    int asked_tcp;            /* among them */
    ev_io tcp_listen, tcp;    /* one connection at a time */
    struct dns_held held[8];  /* for "late" */
    size_t n_held;
};

static inline void dns_put(uint8_t *out, size_t *len, const void *data, size_t n)
{
    assert_true(*len + n <= DNS_PACKET_MAX);
    memcpy(out + *len, data, n);
    *len += n;
}

/* A record whose name points back at the question (RFC 1035 4.1.4). */
static inline void dns_put_address(uint8_t *out, size_t *len, int type, unsigned number)
{
    uint8_t head[] = {0xc0, DNS_HEADER, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, type == DNS_A ? 4 : 16};
    uint8_t four[] = {192, 0, 2, (uint8_t)number};
    uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)number};
    dns_put(out, len, head, sizeof head);
    if (type == DNS_A)
        dns_put(out, len, four, sizeof four);
    else
        dns_put(out, len, six, sizeof six);
    out[7]++;
}

static inline void dns_put_mapped(uint8_t *out, size_t *len)
{
    dns_put_address(out, len, DNS_AAAA, 0);
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 99};
    memcpy(out + *len - sizeof mapped, mapped, sizeof mapped);
}

static inline bool dns_label_is(const uint8_t *query, const char *label)
{
    return query[DNS_HEADER] == strlen(label) &&
           strncasecmp((const char *)query + DNS_HEADER + 1, label, strlen(label)) == 0;
}

static inline size_t dns_answer(const struct dns_held *q, int type, uint8_t out[DNS_PACKET_MAX])
{
    size_t len = 0;
    unsigned n = 0;

    dns_put(out, &len, q->query, q->len);
    out[2] = 0x81; /* an answer, recursion desired */
    out[3] = 0x80; /* and available */
    memset(out + 6, 0, 6);
    if (dns_label_is(q->query, "both") || dns_label_is(q->query, "late") || dns_label_is(q->query, "big"))
        n = type == DNS_A ? 3 : 2;
    else if (dns_label_is(q->query, "four"))
        n = type == DNS_A ? 3 : 0;
    else if (dns_label_is(q->query, "six"))
        n = type == DNS_AAAA ? 2 : 0;
    else if (dns_label_is(q->query, "many"))
        n = 17;
    else if (dns_label_is(q->query, "broken"))
        out[3] |= DNS_SERVFAIL;
    else if (dns_label_is(q->query, "mapped") && type == DNS_AAAA)
        dns_put_mapped(out, &len);
    else if (!dns_label_is(q->query, "empty") && !dns_label_is(q->query, "mapped"))
        out[3] |= DNS_NXDOMAIN;
    for (unsigned i = 1; i <= n; i++)
        dns_put_address(out, &len, type, i);
    return len;
}

static inline void dns_reply(struct dns_server *s, const struct dns_held *q, int type)
{
    uint8_t out[DNS_PACKET_MAX];
    size_t len = dns_answer(q, type, out);

    if (dns_label_is(q->query, "big")) {
        len = q->len;
        out[2] |= 2; /* TC: truncated */
        memset(out + 6, 0, 6);
    }
    (void)!sendto(s->io.fd, out, len, 0, (const struct sockaddr *)&q->from, q->from_len);
}

/* The question's type, which follows its name; the query is cut behind the question. */
static inline int dns_question(struct dns_held *q)
{
    size_t at = DNS_HEADER;
    while (at < q->len && q->query[at] != 0)
        at += q->query[at] + 1u;
    assert_true(at + 5 <= q->len);
    q->len = at + 5;
    return q->query[at + 1] << 8 | q->query[at + 2];
}

static inline void on_dns_query(struct ev_loop *loop, ev_io *io, int events)
{
    struct dns_server *s = (struct dns_server *)io;
    struct dns_held q = {.from_len = sizeof q.from};
    ssize_t n = recvfrom(io->fd, q.query, sizeof q.query, 0, (struct sockaddr *)&q.from, &q.from_len);

    (void)loop;
    (void)events;
    assert_true(n > DNS_HEADER);
    q.len = (size_t)n;
    int type = dns_question(&q);
    *(type == DNS_A ? &s->asked4 : &s->asked6) += 1;
    if (dns_label_is(q.query, "late") && s->n_held < ARRAY_LEN(s->held))
        s->held[s->n_held++] = q;
    else if (!dns_label_is(q.query, "silent"))
        dns_reply(s, &q, type);
}

static inline void dns_server_release(struct dns_server *s)
{
    for (size_t i = 0; i < s->n_held; i++)
        dns_reply(s, &s->held[i], dns_question(&s->held[i]));
    s->n_held = 0;
}

/* A question over TCP has its length in front (RFC 1035 4.2.2). It comes in one piece here: c-ares writes it
 * so, and loopback does not part it. There may be several. */
static inline void on_dns_tcp(struct ev_loop *loop, ev_io *io, int events)
{
    struct dns_server *s = container_of(io, struct dns_server, tcp);
    uint8_t in[1024], out[DNS_PACKET_MAX];
    ssize_t n = recv(io->fd, in, sizeof in, 0);

    (void)events;
    if (n <= 0) {
        ev_io_stop(loop, io);
        (void)close(io->fd);
        return;
    }
    for (size_t at = 0; at < (size_t)n;) {
        struct dns_held q = {.len = (size_t)in[at] << 8 | in[at + 1]};
        assert_true(at + 2 + q.len <= (size_t)n && q.len <= sizeof q.query);
        memcpy(q.query, in + at + 2, q.len);
        at += 2 + q.len;
        s->asked_tcp++;
        size_t len = dns_answer(&q, dns_question(&q), out);
        uint8_t head[] = {(uint8_t)(len >> 8), (uint8_t)len};
        assert_int_equal(send(io->fd, head, sizeof head, MSG_MORE | MSG_NOSIGNAL), sizeof head);
        assert_int_equal(send(io->fd, out, len, MSG_NOSIGNAL), len);
    }
}

static inline void on_dns_client(struct ev_loop *loop, ev_io *io, int events)
{
    struct dns_server *s = container_of(io, struct dns_server, tcp_listen);
    (void)events;
    assert_false(ev_is_active(&s->tcp));
    int fd = accept(io->fd, NULL, NULL);
    assert_true(fd >= 0);
    ev_io_init(&s->tcp, on_dns_tcp, fd, EV_READ);
    ev_io_start(loop, &s->tcp);
}

/* From now on also over TCP, on the same port. */
static inline void dns_server_open_tcp(struct dns_server *s)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    assert_int_equal(bind(fd, &s->addr.sa, addr_len(&s->addr)), 0);
    assert_int_equal(listen(fd, 4), 0);
    ev_io_init(&s->tcp_listen, on_dns_client, fd, EV_READ);
    ev_io_start(s->loop, &s->tcp_listen);
}

static inline void dns_server_open(struct dns_server *s, struct ev_loop *loop)
{
    *s = (struct dns_server){.loop = loop};
    int fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &s->addr);
    (void)addr_format(&s->addr, s->text);
    ev_io_init(&s->io, on_dns_query, fd, EV_READ);
    ev_io_start(loop, &s->io);
}

static inline void dns_server_close(struct dns_server *s)
{
    ev_io *const all[] = {&s->io, &s->tcp_listen, &s->tcp};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (!ev_is_active(all[i]))
            continue;
        ev_io_stop(s->loop, all[i]);
        (void)close(all[i]->fd);
    }
}

#endif
