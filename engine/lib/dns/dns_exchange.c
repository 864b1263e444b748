#include "dns/dns_exchange.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* How many exchanges a way keeps for their scores, and for how long. */
enum { LATE_MAX = 16 };
static const double LATE_S = 2;

enum {
    DATAGRAM_MAX =
        4096, /* without EDNS servers send at most 512 bytes (RFC 1035 4.2.1); longer answers use TCP */
    DATAGRAMS_A_TURN = 16,
    LENGTH = 2, /* the length before a message over TCP (RFC 1035 4.2.2) */
    STREAM_MAX = LENGTH + 65535,
};

/* The limit for TCP if the truncated answer is usable: one lost SYN, and a few round trips of a mobile line.
 */
static const double TCP_S = 1.5;

struct dns_stream {
    struct dns_exchange *exchange;
    struct dns_reply over_udp; /* the truncated answer */
    ev_timer limit;
    size_t len;
    uint8_t data[STREAM_MAX]; /* the length and the answer */
};

/* --- its socket ----------------------------------------------------------------------------------------- */

/* A link-local address needs a link: its own scope, or the egress's device. */
static struct addr target_of(const struct dns_exchange *e)
{
    struct addr to = e->way->servers.items[e->server];

    if (addr_family(&to) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&to.in6.sin6_addr) && to.in6.sin6_scope_id == 0)
        to.in6.sin6_scope_id = if_nametoindex(e->way->egress.device);
    return to;
}

/* @return a descriptor, or negative errno */
static int connect_to(const struct dns_exchange *e, int type)
{
    const struct addr to = target_of(e);
    const struct egress *egress = addr_is_loopback(&to) ? &EGRESS_DIRECT : &e->way->egress;
    int fd = egress_socket(egress, &to, type);

    if (fd < 0)
        return fd;
    if (connect(fd, &to.sa, addr_len(&to)) < 0 && errno != EINPROGRESS) {
        int err = errno;
        (void)close(fd);
        return -err;
    }
    return fd;
}

static void set_fd(struct dns_exchange *e, int fd, int events)
{
    ev_io_stop(e->way->loop, &e->io);
    ev_io_set(&e->io, fd, events);
    ev_io_start(e->way->loop, &e->io);
}

static void not_there(struct dns_exchange *e)
{
    ev_io_stop(e->way->loop, &e->io);
    e->done(e, NULL); /* e may be gone */
}

/* --- over TCP ------------------------------------------------------------------------------------------- */

static size_t stream_wants(const struct dns_stream *s)
{
    if (s->len < LENGTH)
        return LENGTH;
    return LENGTH + ((size_t)s->data[0] << 8 | s->data[1]);
}

static int send_stream(struct dns_exchange *e)
{
    uint8_t out[LENGTH + DNS_QUERY_MAX] = {(uint8_t)(e->query.len >> 8), (uint8_t)e->query.len};

    memcpy(out + LENGTH, e->query.data, e->query.len);
    /* The buffer of a new connection has room for it. */
    ssize_t n = send(e->io.fd, out, LENGTH + e->query.len, MSG_NOSIGNAL);
    return n == (ssize_t)(LENGTH + e->query.len) ? 0 : -EPIPE;
}

static bool is_of_use(const struct dns_reply *reply)
{
    switch (reply->says) {
    case DNS_SAYS_ADDRESSES:
    case DNS_SAYS_ALIAS:
    case DNS_SAYS_NO_DATA:
    case DNS_SAYS_NO_NAME:
        return true;
    case DNS_SAYS_NOTHING:
    case DNS_SAYS_FAILED:
    case DNS_SAYS_UNWILLING:
        break;
    }
    return false;
}

/* Without a usable answer over TCP, use the one over UDP. @param over_tcp  NULL: none arrived */
static void end_stream(struct dns_exchange *e, const struct dns_reply *over_tcp)
{
    struct dns_reply reply = over_tcp && is_of_use(over_tcp) ? *over_tcp : e->stream->over_udp;

    ev_io_stop(e->way->loop, &e->io);
    ev_timer_stop(e->way->loop, &e->stream->limit);
    e->done(e, &reply); /* e may be gone */
}

static void on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    end_stream(container_of(timer, struct dns_stream, limit)->exchange, NULL);
}

static void on_stream(struct dns_exchange *e, int events)
{
    struct dns_stream *s = e->stream;
    struct dns_reply reply;

    if (events & EV_WRITE) {
        if (send_stream(e) < 0)
            return end_stream(e, NULL);
        return set_fd(e, e->io.fd, EV_READ);
    }
    ssize_t n = recv(e->io.fd, s->data + s->len, stream_wants(s) - s->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        return end_stream(e, NULL);
    s->len += (size_t)n;
    if (s->len < LENGTH || s->len < stream_wants(s))
        return;
    dns_reply_read(&reply, &e->query, s->data + LENGTH, s->len - LENGTH);
    end_stream(e, &reply);
}

/* Only if the UDP answer is usable; else the question's own timeout is the limit. */
static void limit_stream(struct dns_exchange *e)
{
    struct dns_stream *s = e->stream;

    ev_timer_init(&s->limit, on_limit, fmin(TCP_S, e->way->timeout_s / 4), 0);
    if (!is_of_use(&s->over_udp))
        return;
    ev_now_update(e->way->loop);
    ev_timer_start(e->way->loop, &s->limit);
}

static int go_over_tcp(struct dns_exchange *e, const struct dns_reply *over_udp)
{
    struct dns_stream *s = malloc(sizeof *s);

    if (!s)
        return -ENOMEM;
    int fd = connect_to(e, SOCK_STREAM);
    if (fd < 0) {
        free(s);
        return fd;
    }
    s->exchange = e;
    s->over_udp = *over_udp;
    s->len = 0;
    e->stream = s;
    limit_stream(e);
    ev_io_stop(e->way->loop, &e->io);
    (void)close(e->io.fd);
    set_fd(e, fd, EV_WRITE);
    return 0;
}

/* --- over UDP ------------------------------------------------------------------------------------------- */

/* Datagrams that do not answer this question are ignored: they are forged, or very late. */
static void on_datagram(struct dns_exchange *e)
{
    uint8_t data[DATAGRAM_MAX];
    struct dns_reply reply;

    for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
        ssize_t n = recv(e->io.fd, data, sizeof data, MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0)
            return not_there(e);
        bool cut = (size_t)n > sizeof data;
        dns_reply_read(&reply, &e->query, data, cut ? sizeof data : (size_t)n);
        if (reply.says == DNS_SAYS_NOTHING)
            continue;
        if (cut || reply.truncated) {
            e->truncated_s = clock_now_s();
            if (go_over_tcp(e, &reply) == 0)
                return;
        }
        ev_io_stop(e->way->loop, &e->io);
        return e->done(e, &reply); /* e may be gone */
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    struct dns_exchange *e = container_of(io, struct dns_exchange, io);

    (void)loop;
    if (e->stream)
        on_stream(e, events);
    else
        on_datagram(e);
}

/* --- from start to close -------------------------------------------------------------------------------- */

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    dns_exchange_close(container_of(timer, struct dns_exchange, late));
}

int dns_exchange_start(struct dns_exchange **ret, struct dns_way *way, size_t server,
                       const struct dns_query *query, dns_exchange_done_fn *done, void *arg)
{
    struct dns_exchange *e = malloc(sizeof *e);

    if (!e)
        return -ENOMEM;
    *e = (struct dns_exchange){.way = way, .server = server, .done = done, .arg = arg, .query = *query};
    dns_query_set_id(&e->query, dns_way_id(way));
    int fd = connect_to(e, SOCK_DGRAM);
    int r = fd < 0 ? fd : 0;
    if (r == 0 && send(fd, e->query.data, e->query.len, MSG_NOSIGNAL) < 0)
        r = -errno;
    if (r < 0) {
        if (fd >= 0)
            (void)close(fd);
        free(e);
        return r;
    }
    e->started_s = clock_now_s();
    list_init(&e->node);
    ev_timer_init(&e->late, on_late, 0, 0);
    ev_io_init(&e->io, on_io, fd, EV_READ);
    ev_io_start(way->loop, &e->io);
    *ret = e;
    return 0;
}

double dns_exchange_age_s(const struct dns_exchange *e)
{
    return (e->truncated_s > 0 ? e->truncated_s : clock_now_s()) - e->started_s;
}

static void on_late_reply(struct dns_exchange *e, const struct dns_reply *reply)
{
    if (reply && reply->says != DNS_SAYS_UNWILLING)
        dns_scores_heard(&e->way->scores, e->server, dns_exchange_age_s(e));
    dns_exchange_close(e);
}

void dns_exchange_keep(struct dns_exchange *e)
{
    struct dns_way *w = e->way;

    list_remove(&e->node);
    if (w->n_late == LATE_MAX)
        dns_exchange_close(container_of(w->late.next, struct dns_exchange, node));
    list_push_back(&w->late, &e->node);
    w->n_late++;
    e->done = on_late_reply;
    ev_timer_set(&e->late, LATE_S, 0);
    ev_timer_start(w->loop, &e->late);
}

void dns_exchange_close(struct dns_exchange *e)
{
    if (ev_is_active(&e->late))
        e->way->n_late--;
    ev_timer_stop(e->way->loop, &e->late);
    ev_io_stop(e->way->loop, &e->io);
    (void)close(e->io.fd);
    list_remove(&e->node);
    if (e->stream)
        ev_timer_stop(e->way->loop, &e->stream->limit);
    free(e->stream);
    free(e);
}
