#include "datagram/datagram_room.h"

#include "base/counters.h"
#include "datagram/flow.h"
#include "datagram/mapping.h"
#include "datagram/port.h"

#include <assert.h>

const char *datagram_drop_name(enum datagram_drop d)
{
    static const char *const names[] = {
        [DROP_MALFORMED] = "malformed", [DROP_FRAGMENT] = "fragment", [DROP_STRANGER] = "stranger",
        [DROP_UNASKED] = "unasked",     [DROP_REFUSED] = "refused",   [DROP_QUEUE_FULL] = "queue_full",
        [DROP_NO_ROOM] = "no_room",     [DROP_TOO_BIG] = "too_big",   [DROP_FAILED] = "failed",
    };
    return names[d];
}

/* Orders and timers free what a batch borrows: mappings, flows, sockets. */
static void on_order(struct mailbox *m, struct message *message, unsigned bits)
{
    struct letter *l = container_of(message, struct letter, message);

    assert(container_of(m, struct datagram_room, orders)->out.n == 0);
    (void)m;
    switch (l->of) {
    case LETTER_PORT:
        return port_obey(container_of(l, struct port, order), bits);
    case LETTER_FLOW:
        return flow_answered(container_of(l, struct flow, order));
    case LETTER_MAPPING:
        return mapping_obey(container_of(l, struct mapping, order), bits);
    case LETTER_HEARD: /* news only */
        return;
    }
}

static void on_flow_due(struct wheel *w, struct wheel_entry *e)
{
    assert(container_of(w, struct datagram_room, flows)->out.n == 0);
    (void)w;
    flow_look(container_of(e, struct flow, look));
}

static void on_mapping_due(struct wheel *w, struct wheel_entry *e)
{
    assert(container_of(w, struct datagram_room, mappings)->out.n == 0);
    (void)w;
    mapping_look(container_of(e, struct mapping, look));
}

int datagram_room_init(struct datagram_room *room, struct ev_loop *loop, struct mailbox *news)
{
    *room = (struct datagram_room){.loop = loop, .news = news};
    room->out.sent = &room->sent;
    int err = hash_key_make(&room->key);
    if (err < 0)
        return err;
    wheel_init(&room->flows, loop, on_flow_due);
    wheel_init(&room->mappings, loop, on_mapping_due);
    mailbox_init(&room->orders, loop, on_order);
    return 0;
}

void datagram_room_done(struct datagram_room *room)
{
    mailbox_done(&room->orders);
    wheel_done(&room->flows);
    wheel_done(&room->mappings);
    batch_in_done(&room->in);
    batch_out_done(&room->out);
}

void datagram_room_drop(struct datagram_room *room, enum datagram_drop why, uint64_t n)
{
    if (n > 0)
        counters_add(&room->drops[why], n);
}

void datagram_room_flush(struct datagram_room *room)
{
    struct batch_sent *s = &room->sent;

    batch_flush(&room->out);
    datagram_room_drop(room, DROP_NO_ROOM, s->no_room);
    datagram_room_drop(room, DROP_TOO_BIG, s->too_big);
    datagram_room_drop(room, DROP_FAILED, s->failed);
    if (s->in_fragments > 0)
        counters_add(&room->in_fragments, s->in_fragments);
    counters_add(&room->moved, s->sent);
    *s = (struct batch_sent){.sent = 0};
}
