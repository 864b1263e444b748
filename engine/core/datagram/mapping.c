#include "datagram/mapping.h"

#include "base/clock.h"
#include "datagram/by_parent.h"
#include "datagram/flow.h"
#include "datagram/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void mapping_init(struct mapping *m)
{
    m->order.of = m->news.of = LETTER_MAPPING;
    m->four.socket.fd = m->six.socket.fd = -1;
    m->four.mapping = m->six.mapping = m;
    m->contacts.key = m->port->room->key;
    list_init(&m->node);
    list_init(&m->flows);
}

static void tell(struct mapping *m, unsigned news)
{
    mailbox_send(m->port->room->news, &m->news.message, news);
}

/* --- replies -------------------------------------------------------------------------------------------- */

static bool is_by_parent(const struct mapping *m)
{
    return addr_family(&m->relay) != AF_UNSPEC;
}

static bool is_wanted(struct mapping *m, const struct addr *source, double now)
{
    struct contact *c = contacts_find(&m->contacts, source);

    if (!c && is_by_parent(m))
        c = by_parent_contact(m, source);
    if (c)
        c->last_s = now;
    return c || m->contacts.filter == UDP_FILTER_ENDPOINT;
}

/* For each question: a server may be asked by both families at once, and a client asks again. */
enum { ANSWERS_DUE = 4 };

static void let_hear(struct mapping *m, struct slice answer)
{
    struct heard *h = m->answers_due > 0 ? malloc(sizeof *h + answer.len) : NULL;

    if (!h)
        return;
    m->answers_due--;
    *h = (struct heard){.letter = {.of = LETTER_HEARD}, .client = m->client, .len = answer.len};
    memcpy(h->bytes, answer.data, answer.len);
    mailbox_send(m->port->room->news, &h->letter.message, NEWS_ASKED);
}

struct passed {
    uint64_t datagrams, bytes;
};

static void pass(struct mapping *m, const struct addr *source, struct slice payload, struct passed *passed)
{
    port_reply(m->port, &m->client, addr_family(&m->reply_as) ? &m->reply_as : source, payload);
    if (m->hears)
        let_hear(m, payload);
    passed->datagrams++;
    passed->bytes += payload.len;
}

/* A datagram of the parent proxy's relay: its header tells the source. */
static void pass_by_parent(struct mapping *m, struct slice datagram, double now, struct passed *passed)
{
    struct datagram_room *room = m->port->room;
    enum datagram_drop why;
    struct addr source;

    if (!by_parent_strip(&datagram, &source, &why))
        return datagram_room_drop(room, why, 1);
    if (!is_wanted(m, &source, now))
        return datagram_room_drop(room, DROP_UNASKED, 1);
    pass(m, &source, datagram, passed);
}

static void pass_train(struct mapping *m, const struct batch_message *message, double now,
                       struct passed *passed)
{
    bool by_parent = is_by_parent(m);
    size_t at = 0;

    do {
        size_t left = message->bytes.len - at;
        struct slice datagram =
            slice_of(message->bytes.data + at, left < message->segment ? left : message->segment);
        if (by_parent)
            pass_by_parent(m, datagram, now, passed);
        else
            pass(m, message->source, datagram, passed);
        at += message->segment;
    } while (at < message->bytes.len);
}

/* By a parent proxy, only its relay's datagrams are taken, and their headers are looked at later. */
static bool is_expected(struct mapping *m, const struct addr *source, double now)
{
    return is_by_parent(m) ? addr_same_end(source, &m->relay) : is_wanted(m, source, now);
}

/* Errors such as ECONNREFUSED tell of an ICMP message; they end nothing. */
static void on_replies(struct ev_loop *loop, ev_io *w, int events)
{
    struct mapping_socket *s = container_of(w, struct mapping_socket, io);
    struct mapping *m = s->mapping;
    struct datagram_room *room = m->port->room;
    struct batch_message message;
    int n = batch_receive(&room->in, s->socket.fd);
    double now = clock_coarse_s();
    struct passed passed = {0, 0};

    (void)loop;
    (void)events;
    for (int i = 0; i < n; i++) {
        if (!batch_message(&room->in, i, &message))
            continue;
        if (!is_expected(m, message.source, now)) {
            datagram_room_drop(room, DROP_UNASKED, batch_message_count(&message));
            continue;
        }
        pass_train(m, &message, now, &passed);
    }
    datagram_room_flush(room);
    if (passed.datagrams == 0)
        return;
    m->last_s = now;
    counters_add(&m->counters.rx, passed.bytes);
    if (counters_wakes(&m->counters))
        tell(m, NEWS_WOKE_DATAGRAMS);
}

/* --- datagrams of the client ---------------------------------------------------------------------------- */

/* The socket for a destination, or for the parent proxy's relay. */
static struct mapping_socket *socket_for(struct mapping *m, const struct addr *dest)
{
    int family = addr_family(is_by_parent(m) ? &m->relay : dest);

    return family == AF_INET ? &m->four : &m->six;
}

void mapping_send(struct mapping *m, const struct flow *f, struct slice payload, double now)
{
    const struct addr *to = f->header ? &m->relay : &f->answer.dest;

    m->last_s = now;
    if (m->hears)
        m->answers_due = ANSWERS_DUE;
    batch_add_behind(&m->port->room->out, &socket_for(m, to)->socket, to, slice_of(f->header, f->header_len),
                     payload);
    counters_add(&m->counters.tx, payload.len);
    if (counters_wakes(&m->counters))
        tell(m, NEWS_WOKE_DATAGRAMS);
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void watch(struct mapping_socket *s, int fd, int family)
{
    s->socket.fd = fd;
    batch_tune(fd);
    (void)batch_keep_whole(&s->socket, family); /* without it, the kernel sends fragments */
    ev_io_init(&s->io, on_replies, fd, EV_READ);
    ev_io_start(s->mapping->port->room->loop, &s->io);
}

static void begin(struct mapping *m)
{
    m->begun = true;
    list_push_back(&m->port->mappings, &m->node);
    m->last_s = clock_coarse_s();
    wheel_set(&m->port->room->mappings, &m->look, m->idle_s);
}

int mapping_take(struct mapping *m, const struct flow_answer *answer)
{
    struct mapping_socket *s = socket_for(m, &answer->dest);

    if (m->ended) {
        if (answer->fd >= 0)
            (void)close(answer->fd);
        return -ESTALE;
    }
    if (!m->begun)
        begin(m);
    if (answer->fd >= 0)
        watch(s, answer->fd, s == &m->four ? AF_INET : AF_INET6);
    return s->socket.fd >= 0 ? 0 : -ENETDOWN;
}

static void unwatch(struct mapping_socket *s)
{
    if (s->socket.fd < 0)
        return;
    ev_io_stop(s->mapping->port->room->loop, &s->io);
    (void)close(s->socket.fd);
    s->socket.fd = -1;
}

/* The main loop may have sent an order meanwhile, which lies in the mapping: it is read first. */
static void report_end(struct mapping *m)
{
    if (message_seal(&m->order.message, ORDER_LAST))
        tell(m, NEWS_ENDED_DATAGRAMS);
}

void mapping_end(struct mapping *m)
{
    if (m->ended)
        return;
    m->ended = true;
    LIST_EACH(&m->flows, node, next)
        flow_free(container_of(node, struct flow, sibling));
    unwatch(&m->four);
    unwatch(&m->six);
    wheel_cancel(&m->look);
    list_remove(&m->node);
    contacts_done(&m->contacts);
    report_end(m);
}

void mapping_obey(struct mapping *m, unsigned bits)
{
    if (m->ended && (bits & ORDER_LAST))
        return report_end(m);
    if (bits & ORDER_END)
        mapping_end(m);
}

static const double IDLE_AGAIN_S = 1;

void mapping_look(struct mapping *m)
{
    double left_s = m->last_s + m->idle_s - clock_coarse_s();

    if (left_s <= 0)
        tell(m, NEWS_IDLE); /* once more later: the main loop may have given it to a flow meanwhile */
    wheel_set(&m->port->room->mappings, &m->look, left_s > 0 ? left_s : IDLE_AGAIN_S);
}

void mapping_order_end(struct mapping *m)
{
    mailbox_send(&m->port->room->orders, &m->order.message, ORDER_END);
}
