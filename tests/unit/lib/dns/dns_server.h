/* A small DNS server on loopback, turning on the test's own loop. The first label of a name says how it
 * answers: both, four, six   addresses 192.0.2.1…3 and/or 2001:db8::1…2 mapped            an AAAA record that
 * holds an IPv4-mapped address many              20 of each family empty             exists, without
 * addresses broken, refused   SERVFAIL, REFUSED silent            no answer late              as both, once
 * released late4, late6      as both, but that family once released broken4, broken6, none4, none6  as both,
 * but SERVFAIL or NXDOMAIN for that family big, huge         truncated; over TCP as both, or 2000 addresses
 *   part              truncated, with one address; over TCP as both
 *   alias             an alias of four.test, and nothing else
 *   alias6            an alias of four.test; for IPv6 with the SOA that says that this is all
 *   circle            an alias of itself
 *   ping, pong        aliases of one another
 *   odd               SERVFAIL for IPv4, and for IPv6 no such name
 *   forged            what guesses would look like, and then as four
 * and every other name does not exist. */
#ifndef STEERWAY_TESTS_NET_DNS_SERVER_H
#define STEERWAY_TESTS_NET_DNS_SERVER_H

#include "support/loopback.h"

#include <arpa/inet.h>

enum { DNS_A = 1, DNS_AAAA = 28, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_REFUSED = 5, DNS_HEADER = 12 };
enum { DNS_PACKET_MAX = 65535, DNS_CNAME = 5, DNS_SOA = 6 };

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
    ev_io tcp_listen, tcp[2]; /* so many connections at a time */
    struct dns_held held[8];  /* for "late" */
    size_t n_held;
    bool refuses;       /* refuses every question */
    uint16_t ports[64]; /* that questions came from */
    size_t n_ports;
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
    out[6] = (uint8_t)(out[6] + (out[7] == 255));
    out[7]++;
}

/* The question's name is an alias of "four.test", or of itself. */
static inline void dns_put_alias(uint8_t *out, size_t *len, bool of_itself)
{
    static const uint8_t head[] = {0xc0, DNS_HEADER, 0, DNS_CNAME, 0, 1, 0, 0, 0, 60, 0, 11};
    static const uint8_t four[] = "\4four\4test", self_head[] = {0, 2, 0xc0, DNS_HEADER};
    dns_put(out, len, head, sizeof head - (of_itself ? 2 : 0));
    if (of_itself)
        dns_put(out, len, self_head, sizeof self_head);
    else
        dns_put(out, len, four, sizeof four);
    out[7]++;
}

/* In the authority section: names are the root's. */
static inline void dns_put_soa(uint8_t *out, size_t *len)
{
    static const uint8_t soa[33] = {0, 0, DNS_SOA, 0, 1, 0, 0, 0, 60, 0, 22};
    dns_put(out, len, soa, sizeof soa);
    out[9]++;
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
    static const char *const both[] = {"both",    "late",    "late4", "late6", "big",
                                       "broken4", "broken6", "none4", "none6", "part"};
    for (size_t i = 0; i < ARRAY_LEN(both); i++)
        if (dns_label_is(q->query, both[i]))
            n = type == DNS_A ? 3 : 2;
    if (dns_label_is(q->query, type == DNS_A ? "broken4" : "broken6")) {
        out[3] |= DNS_SERVFAIL;
        n = 0;
    } else if (dns_label_is(q->query, type == DNS_A ? "none4" : "none6")) {
        out[3] |= DNS_NXDOMAIN;
        n = 0;
    } else if (n > 0) {
        ;
    } else if (dns_label_is(q->query, "forged"))
        n = type == DNS_A ? 3 : 0;
    else if (dns_label_is(q->query, "huge"))
        n = 2000;
    else if (dns_label_is(q->query, "refused"))
        out[3] |= DNS_REFUSED;
    else if (dns_label_is(q->query, "odd"))
        out[3] |= type == DNS_A ? DNS_SERVFAIL : DNS_NXDOMAIN;
    else if (dns_label_is(q->query, "ping") || dns_label_is(q->query, "pong")) {
        dns_put_alias(out, &len, false);
        memcpy(out + len - 10, dns_label_is(q->query, "ping") ? "pong" : "ping", 4);
    } else if (dns_label_is(q->query, "alias") || dns_label_is(q->query, "circle"))
        dns_put_alias(out, &len, dns_label_is(q->query, "circle"));
    else if (dns_label_is(q->query, "alias6")) {
        dns_put_alias(out, &len, false);
        if (type == DNS_AAAA)
            dns_put_soa(out, &len);
    } else if (dns_label_is(q->query, "four"))
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

    if (dns_label_is(q->query, "forged")) {
        struct dns_held other = *q;
        out[0] ^= 1; /* another id */
        (void)!sendto(s->io.fd, out, len, 0, (const struct sockaddr *)&q->from, q->from_len);
        out[0] ^= 1;
        out[2] &= 0x7f; /* no answer */
        (void)!sendto(s->io.fd, out, len, 0, (const struct sockaddr *)&q->from, q->from_len);
        out[2] |= 0x80;
        other.query[DNS_HEADER + 1] ^= 1; /* another name */
        uint8_t guess[DNS_PACKET_MAX];
        size_t guess_len = dns_answer(&other, type, guess);
        (void)!sendto(s->io.fd, guess, guess_len, 0, (const struct sockaddr *)&q->from, q->from_len);
    }
    if (s->refuses) {
        len = q->len;
        out[3] = 0x80 | DNS_REFUSED;
        memset(out + 6, 0, 6);
    }
    if (dns_label_is(q->query, "big") || dns_label_is(q->query, "huge")) {
        len = q->len;
        out[2] |= 2; /* TC: truncated */
        memset(out + 6, 0, 6);
    }
    if (dns_label_is(q->query, "part")) {
        len = q->len;
        out[2] |= 2;
        memset(out + 6, 0, 6);
        dns_put_address(out, &len, type, 1);
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
    struct addr from;
    assert_int_equal(addr_from_sockaddr(&from, (struct sockaddr *)&q.from, q.from_len), 0);
    if (s->n_ports < ARRAY_LEN(s->ports))
        s->ports[s->n_ports++] = addr_port(&from);
    bool held = dns_label_is(q.query, "late") || dns_label_is(q.query, type == DNS_A ? "late4" : "late6");
    if (held && s->n_held < ARRAY_LEN(s->held))
        s->held[s->n_held++] = q; /* beyond, it stays unanswered */
    if (!held && !dns_label_is(q.query, "silent"))
        dns_reply(s, &q, type);
}

static inline void dns_server_release(struct dns_server *s)
{
    for (size_t i = 0; i < s->n_held; i++)
        dns_reply(s, &s->held[i], dns_question(&s->held[i]));
    s->n_held = 0;
}

/* A question over TCP has its length in front (RFC 1035 4.2.2). It comes in one piece here: it is written so,
 * and loopback does not part it. There may be several. */
static inline void on_dns_tcp(struct ev_loop *loop, ev_io *io, int events)
{
    struct dns_server *s = io->data;
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
    ev_io *tcp = ev_is_active(&s->tcp[0]) ? &s->tcp[1] : &s->tcp[0];
    assert_false(ev_is_active(tcp));
    int fd = accept(io->fd, NULL, NULL);
    assert_true(fd >= 0);
    ev_io_init(tcp, on_dns_tcp, fd, EV_READ);
    tcp->data = s;
    ev_io_start(loop, tcp);
}

/* From now on it accepts TCP connections on the port, but never answers. */
static inline void dns_server_open_mute_tcp(struct dns_server *s)
{
    assert_int_equal(listen(s->tcp_listen.fd, 4), 0);
}

/* From now on it answers over TCP too, on the same port. */
static inline void dns_server_open_tcp(struct dns_server *s)
{
    dns_server_open_mute_tcp(s);
    ev_io_start(s->loop, &s->tcp_listen);
}

/* A free UDP port whose TCP port is free as well, and kept: until somebody listens, TCP is refused there.
 * @return the UDP socket */
static inline int dns_server_bind(struct dns_server *s, int *ret_tcp)
{
    for (int i = 0; i < 100; i++) {
        int udp = socket_at_loopback(AF_INET, SOCK_DGRAM, &s->addr);
        *ret_tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(*ret_tcp >= 0);
        if (bind(*ret_tcp, &s->addr.sa, addr_len(&s->addr)) == 0)
            return udp;
        (void)close(udp);
        (void)close(*ret_tcp);
    }
    fail_msg("no port is free for UDP and TCP");
    return -1;
}

static inline void dns_server_open(struct dns_server *s, struct ev_loop *loop)
{
    *s = (struct dns_server){.loop = loop};
    int tcp, fd = dns_server_bind(s, &tcp);
    (void)addr_format(&s->addr, s->text);
    ev_io_init(&s->tcp_listen, on_dns_client, tcp, EV_READ);
    ev_io_init(&s->io, on_dns_query, fd, EV_READ);
    ev_io_start(loop, &s->io);
}

static inline void dns_server_close(struct dns_server *s)
{
    ev_io *const all[] = {&s->io, &s->tcp[0], &s->tcp[1]};
    ev_io_stop(s->loop, &s->tcp_listen);
    (void)close(s->tcp_listen.fd);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (!ev_is_active(all[i]))
            continue;
        ev_io_stop(s->loop, all[i]);
        (void)close(all[i]->fd);
    }
}

#endif
