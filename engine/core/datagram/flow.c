#include "datagram/flow.h"

#include "base/clock.h"
#include "base/counters.h"
#include "datagram/by_parent.h"
#include "datagram/mapping.h"
#include "datagram/port.h"
#include "datagram/shares.h"
#include "peek/quic_peek.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A flow that was used in that time may be missed, if it is forgotten. */
static const double USED_S = 10;
/* Flows are in the order of their use to this precision, so that few datagrams move them. */
static const double PLACED_S = 1;

/* --- the port's table ----------------------------------------------------------------------------------- */

static bool is_for(const struct flow *f, const struct flow_key *key)
{
    if (!addr_same_end(&f->client, key->client))
        return false;
    if (key->name.len == 0)
        return f->name_len == 0 && addr_same_end(&f->to, &key->to);
    return f->to_port == key->port && slice_eq(slice_of(f->name, f->name_len), key->name);
}

static size_t put_addr(char *out, const struct addr *a)
{
    size_t len;
    const uint8_t *ip = addr_ip(a, &len);
    uint16_t port = addr_port(a);

    memcpy(out, ip, len);
    memcpy(out + len, &port, sizeof port);
    return len + sizeof port;
}

static uint64_t hash_of(const struct port *p, const struct flow_key *key)
{
    char data[2 * 18 + sizeof key->port + 255];
    size_t n = put_addr(data, key->client);

    if (key->name.len == 0) {
        n += put_addr(data + n, &key->to);
    } else {
        memcpy(data + n, &key->port, sizeof key->port);
        n += sizeof key->port;
        memcpy(data + n, key->name.data, key->name.len);
        n += key->name.len;
    }
    return keyed_hash(&p->room->key, slice_of(data, n));
}

/* @return false without memory for the first buckets */
static bool grow(struct port *p)
{
    size_t n = p->n_buckets ? 2 * p->n_buckets : 8;
    struct flow **buckets = calloc(n, sizeof(struct flow *));

    if (!buckets)
        return p->n_buckets > 0; /* slower, but it works */
    for (size_t i = 0; i < p->n_buckets; i++) {
        for (struct flow *f = p->buckets[i], *next; f; f = next) {
            next = f->next;
            f->next = buckets[f->hash & (n - 1)];
            buckets[f->hash & (n - 1)] = f;
        }
    }
    free(p->buckets);
    p->buckets = buckets;
    p->n_buckets = n;
    return true;
}

/* From now on it may be forgotten. */
static void settle(struct flow *f, enum flow_state state)
{
    f->state = state;
    f->placed_s = f->last_s;
    share_settle(f->share, &f->node);
}

static void touch(struct flow *f, double now)
{
    if (now - f->placed_s <= PLACED_S)
        return;
    f->placed_s = now;
    share_touch(f->share, &f->node);
}

static bool is_settled(const struct flow *f)
{
    return f->state == FLOW_OPEN || f->state == FLOW_REFUSED;
}

/* The flow that makes room for one that has entered. Flows in use stay, unless their client has more than its
 * share. @return NULL: none */
static struct flow *to_forget(const struct port *p, const struct share *mine)
{
    bool owed;

    /* Strangers' flows are refused: they must not keep out those of clients. */
    if (!list_is_empty(&p->refused))
        return container_of(p->refused.next, struct flow, sibling);
    struct list *node = shares_choose(&p->shares, mine, &owed);
    struct flow *f = node ? container_of(node, struct flow, node) : NULL;
    return f && (owed || clock_coarse_s() - f->last_s > USED_S) ? f : NULL;
}

/* A new flow has entered its share. @return whether the port has room for it */
static bool has_room(struct port *p, struct share *mine)
{
    bool shared = addr_family(&p->client) == AF_UNSPEC;

    if (shared && !share_may_wait(mine, p->flows_max))
        return false;
    struct flow *least = p->shares.all.n > p->flows_max ? to_forget(p, mine) : NULL;
    if (least)
        flow_free(least);
    return p->shares.all.n <= p->flows_max;
}

static struct flow *add(struct port *p, const struct flow_key *key, uint64_t hash)
{
    if (p->shares.all.n >= p->n_buckets && !grow(p))
        return NULL;
    struct share *share = shares_enter(&p->shares, key->client);
    if (!share)
        return NULL;
    struct flow *f = has_room(p, share) ? calloc(1, sizeof *f + key->name.len) : NULL;
    if (!f) {
        shares_leave(&p->shares, share);
        return NULL;
    }
    f->share = share;
    f->order.of = f->news.of = LETTER_FLOW;
    f->port = p;
    f->hash = hash;
    f->client = *key->client;
    f->to = key->to;
    f->to_port = key->name.len ? key->port : addr_port(&key->to);
    f->name_len = (uint8_t)key->name.len;
    if (key->name.len > 0)
        memcpy(f->name, key->name.data, key->name.len);
    f->answer.fd = -1;
    buf_init(&f->queue, FLOW_QUEUE_BYTES);
    list_init(&f->sibling);
    struct flow **bucket = &p->buckets[hash & (p->n_buckets - 1)];
    f->next = *bucket;
    *bucket = f;
    list_init(&f->node);
    return f;
}

/* --- the question --------------------------------------------------------------------------------------- */

static void ask(struct flow *f)
{
    struct port *p = f->port;

    free(f->peek);
    f->peek = NULL;
    f->state = FLOW_ASKED;
    p->n_asked++;
    mailbox_send(p->room->news, &f->news.message, NEWS_ASKED);
}

/* A captured QUIC connection tells its server's name in its first datagrams. */
static bool may_peek(struct flow *f)
{
    enum { HTTPS = 443 };

    if (f->port->kind != PORT_TPROXY || f->port->peek_s <= 0 || f->to_port != HTTPS)
        return false;
    f->peek = malloc(sizeof *f->peek);
    return f->peek;
}

static void begin(struct flow *f)
{
    if (!may_peek(f))
        return ask(f);
    quic_peek_init(f->peek);
    f->state = FLOW_PEEKING;
    wheel_set(&f->port->room->flows, &f->look, f->port->peek_s);
}

static void peek_at(struct flow *f, struct slice payload)
{
    char host[TARGET_HOST_MAX + 1];
    enum parse p = quic_peek_feed(f->peek, payload.data, payload.len, host);

    if (p == PARSE_NEED_MORE)
        return;
    if (p == PARSE_OK)
        f->host = strdup(host); /* without memory it goes by its address */
    wheel_cancel(&f->look);
    ask(f);
}

struct flow *flow_of(struct port *p, const struct flow_key *key)
{
    if (p->latest && is_for(p->latest, key))
        return p->latest;
    uint64_t hash = hash_of(p, key);
    struct flow *f = p->n_buckets ? p->buckets[hash & (p->n_buckets - 1)] : NULL;
    while (f && !(f->hash == hash && is_for(f, key)))
        f = f->next;
    if (!f) {
        f = add(p, key, hash);
        if (!f)
            return NULL;
        begin(f);
    }
    return p->latest = f;
}

void flow_free(struct flow *f)
{
    struct port *p = f->port;
    struct flow **at = &p->buckets[f->hash & (p->n_buckets - 1)];

    datagram_room_flush(p->room); /* the batch may borrow its header and its address */
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    if (p->latest == f)
        p->latest = NULL;
    list_remove(&f->sibling);
    if (is_settled(f))
        share_unsettle(f->share, &f->node);
    share_unqueue(f->share, f->queue.len);
    shares_leave(&p->shares, f->share);
    wheel_cancel(&f->look);
    if (f->state == FLOW_OPEN)
        contacts_release(&f->answer.mapping->contacts, f->contact);
    buf_done(&f->queue);
    free(f->peek);
    free(f->host);
    free(f->header);
    free(f);
}

/* --- datagrams ------------------------------------------------------------------------------------------ */

static void wait_for_answer(struct flow *f, struct slice payload)
{
    const uint16_t len = (uint16_t)payload.len;
    const size_t size = sizeof len + payload.len;
    struct port *p = f->port;
    char *space;

    if (f->n_queued == FLOW_QUEUE_MAX || !share_may_queue(f->share, size, PORT_QUEUE_BYTES) ||
        buf_reserve(&f->queue, size, &space) < 0)
        return datagram_room_drop(p->room, DROP_QUEUE_FULL, 1);
    memcpy(space, &len, sizeof len);
    memcpy(space + sizeof len, payload.data, payload.len);
    buf_commit(&f->queue, size);
    f->n_queued++;
    share_queue(f->share, size);
}

static void empty_queue(struct flow *f)
{
    share_unqueue(f->share, f->queue.len);
    buf_done(&f->queue);
    f->n_queued = 0;
}

void flow_send(struct flow *f, struct slice payload, double now)
{
    f->last_s = now;
    switch (f->state) {
    case FLOW_PEEKING:
        wait_for_answer(f, payload);
        return peek_at(f, payload);
    case FLOW_ASKED:
        return wait_for_answer(f, payload);
    case FLOW_REFUSED:
        return datagram_room_drop(f->port->room, DROP_REFUSED, 1);
    case FLOW_OPEN:
        f->contact->last_s = now;
        touch(f, now);
        return mapping_send(f->answer.mapping, f, payload, now);
    }
}

static void send_queue(struct flow *f)
{
    struct slice rest = buf_slice(&f->queue);
    double now = clock_coarse_s();
    uint16_t len;

    while (rest.len > 0) {
        memcpy(&len, rest.data, sizeof len);
        flow_send(f, slice_of(rest.data + sizeof len, len), now);
        rest = slice_of(rest.data + sizeof len + len, rest.len - sizeof len - len);
    }
    datagram_room_flush(f->port->room);
    empty_queue(f);
}

/* --- the answer ----------------------------------------------------------------------------------------- */

static void refuse(struct flow *f)
{
    struct datagram_room *room = f->port->room;

    settle(f, FLOW_REFUSED);
    list_push_back(&f->port->refused, &f->sibling);
    datagram_room_drop(room, DROP_REFUSED, f->n_queued);
    empty_queue(f);
    wheel_set(&room->flows, &f->look, FLOW_REFUSED_S);
}

static bool may_ask_again(struct flow *f)
{
    return !f->port->ending && f->n_again++ < FLOW_AGAIN_MAX;
}

void flow_answered(struct flow *f)
{
    struct port *p = f->port;
    struct mapping *m = f->answer.mapping;
    int err = m ? mapping_take(m, &f->answer) : f->answer.again ? -ESTALE : -EACCES;

    p->n_asked--;
    if (err == -ESTALE && may_ask_again(f))
        return ask(f); /* its datagrams wait on */
    if (err == 0 && by_parent_address(f) == 0)
        f->contact = contacts_hold(&m->contacts, &f->answer.dest);
    if (f->contact) {
        settle(f, FLOW_OPEN);
        list_push_back(&m->flows, &f->sibling);
        wheel_set(&p->room->flows, &f->look, m->idle_s);
        send_queue(f);
    } else {
        refuse(f);
    }
    if (p->ending) {
        flow_free(f);
        port_end(p);
    }
}

void flow_look(struct flow *f)
{
    double last_s = f->last_s, left_s;

    if (f->state == FLOW_REFUSED)
        return flow_free(f);
    if (f->state == FLOW_PEEKING)
        return ask(f);
    last_s = fmax(last_s, f->contact->last_s);
    left_s = last_s + f->answer.mapping->idle_s - clock_coarse_s();
    if (left_s <= 0)
        return flow_free(f);
    wheel_set(&f->port->room->flows, &f->look, left_s);
}
