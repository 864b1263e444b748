#include "datagram/port.h"

#include "base/clock.h"
#include "base/counters.h"
#include "datagram/flow.h"
#include "datagram/mapping.h"
#include "proto/socks_udp.h"

#include <stdlib.h>
#include <unistd.h>

/* --- datagrams of clients ------------------------------------------------------------------------------- */

static void send_by_flow(struct port *p, const struct flow_key *key, struct slice payload, double now)
{
    struct flow *f = flow_of(p, key);

    if (!f)
        return datagram_room_drop(p->room, DROP_QUEUE_FULL, 1);
    flow_send(f, payload, now);
}

static void take_socks(struct port *p, const struct addr *source, struct slice datagram, double now)
{
    struct flow_key key = {.client = source};
    struct socks_udp udp;

    if (socks_udp_parse(&udp, datagram.data, datagram.len) != PARSE_OK)
        return datagram_room_drop(p->room, DROP_MALFORMED, 1);
    if (udp.frag != 0)
        return datagram_room_drop(p->room, DROP_FRAGMENT, 1);
    if (udp.ip_len == 0) {
        key.name = udp.name;
        key.port = udp.port;
    } else if (addr_from_ip(&key.to, udp.ip, udp.ip_len, udp.port) < 0) {
        return datagram_room_drop(p->room, DROP_MALFORMED, 1);
    }
    send_by_flow(p, &key, slice_of(datagram.data + udp.consumed, datagram.len - udp.consumed), now);
}

static void take_captured(struct port *p, const struct batch_message *m, struct slice datagram, double now)
{
    struct flow_key key = {.client = m->source};

    if (!m->to || addr_from_sockaddr(&key.to, &m->to->sa, sizeof(struct sockaddr_in6)) < 0 ||
        addr_port(&key.to) == 0)
        return datagram_room_drop(p->room, DROP_MALFORMED, 1);
    send_by_flow(p, &key, datagram, now);
}

static void take(struct port *p, const struct batch_message *m, struct slice datagram, double now)
{
    switch (p->kind) {
    case PORT_SOCKS:
        return take_socks(p, m->source, datagram, now);
    case PORT_FORWARD:
        return send_by_flow(
            p, &(struct flow_key){.client = m->source, .to = p->to, .port = p->to_port, .name = p->to_name},
            datagram, now);
    case PORT_TPROXY:
        return take_captured(p, m, datagram, now);
    }
}

static void take_train(struct port *p, const struct batch_message *m, double now)
{
    size_t at = 0;

    do {
        size_t left = m->bytes.len - at;
        take(p, m, slice_of(m->bytes.data + at, left < m->segment ? left : m->segment), now);
        at += m->segment;
    } while (at < m->bytes.len);
}

static void on_datagrams(struct ev_loop *loop, ev_io *w, int events)
{
    struct port *p = container_of(w, struct port, io);
    struct datagram_room *room = p->room;
    struct batch_message m;
    int n = batch_receive(&room->in, p->socket.fd);
    double now = clock_coarse_s();

    (void)loop;
    (void)events;
    for (int i = 0; i < n; i++) {
        if (!batch_message(&room->in, i, &m))
            continue;
        if (addr_family(&p->client) != AF_UNSPEC && !addr_same_ip(m.source, &p->client)) {
            datagram_room_drop(room, DROP_STRANGER, batch_message_count(&m));
            continue;
        }
        take_train(p, &m, now);
    }
    datagram_room_flush(room);
}

/* --- replies -------------------------------------------------------------------------------------------- */

void port_reply(struct port *p, const struct addr *client, const struct addr *source, struct slice payload)
{
    char header[SOCKS_UDP_HEADER_MAX];
    size_t ip_len, len = 0;
    const uint8_t *ip = addr_ip(source, &ip_len);

    struct batch_socket *by = &p->socket;

    if (p->kind == PORT_SOCKS)
        len = socks_udp_write(header, ip, ip_len, addr_port(source));
    if (p->kind == PORT_TPROXY)
        by = replies_from(&p->replies, source, &p->room->out);
    if (!by)
        return datagram_room_drop(p->room, DROP_FAILED, 1);
    batch_add(&p->room->out, by, client, slice_of(header, len), payload);
}

/* --- life ----------------------------------------------------------------------------------------------- */

void port_begin(struct port *p)
{
    p->order.of = p->news.of = LETTER_PORT;
    list_init(&p->refused);
    list_init(&p->mappings);
    shares_init(&p->shares, &p->room->key);
    p->flows_max = addr_family(&p->client) == AF_UNSPEC ? PORT_SHARED_FLOWS_MAX : PORT_FLOWS_MAX;
    mailbox_send(&p->room->orders, &p->order.message, ORDER_BEGIN);
}

void port_end(struct port *p)
{
    if (p->n_asked == 0 && message_seal(&p->order.message, ORDER_LAST))
        mailbox_send(p->room->news, &p->news.message, NEWS_ENDED_DATAGRAMS);
}

void port_done(struct port *p)
{
    free(p->buckets);
    shares_done(&p->shares);
}

static void stop(struct port *p)
{
    p->ending = true;
    if (ev_is_active(&p->io))
        ev_io_stop(p->room->loop, &p->io);
    (void)close(p->socket.fd);
    p->socket.fd = -1;
    replies_done(&p->replies);
    LIST_EACH(&p->mappings, node, next)
        mapping_end(container_of(node, struct mapping, node));
    for (size_t i = 0; i < p->n_buckets; i++) {
        for (struct flow *f = p->buckets[i], *next; f; f = next) {
            next = f->next;
            if (f->state != FLOW_ASKED)
                flow_free(f);
        }
    }
}

void port_obey(struct port *p, unsigned bits)
{
    if (bits & ORDER_BEGIN) {
        ev_io_init(&p->io, on_datagrams, p->socket.fd, EV_READ);
        ev_io_start(p->room->loop, &p->io);
    }
    if ((bits & ORDER_END) && !p->ending)
        stop(p);
    if (p->ending)
        port_end(p);
}
