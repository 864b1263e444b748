/* What the ports of one loop share: orders, timers, buffers, counts. Each worker has a room, or the main loop
 * when no worker runs.
 *
 * The main loop decides, and the room's loop moves datagrams. They talk by messages, one at a time for each
 * object:
 *
 *   port     orders: begin, end            news: ended
 *   flow     orders: the answer            news: the question: where does this go? Once more, if told to
 *   mapping  orders: end                   news: idle, woke, ended
 *   heard    an answer of a name server, on its way to a captured client
 *
 * Messages of one sender are read in their order. So an answer that names a mapping comes before the order
 * that ends the mapping. */
#ifndef STEERWAY_DATAGRAM_DATAGRAM_ROOM_H
#define STEERWAY_DATAGRAM_DATAGRAM_ROOM_H

#include "base/keyed_hash.h"
#include "datagram/batch.h"
#include "net/wheel.h"
#include "relay/mailbox.h"

#include <stdatomic.h>

struct datagram_room;

enum letter_of { LETTER_PORT, LETTER_FLOW, LETTER_MAPPING, LETTER_HEARD };

/** A message, and what it is embedded in. */
struct letter {
    struct message message;
    enum letter_of of;
};

/** A copy of a name server's answer, for the main loop, which frees it. */
struct heard {
    struct letter letter;
    struct addr client;
    size_t len;
    char bytes[];
};

/** Bits of messages. */
enum {
    ORDER_BEGIN = 1,
    ORDER_END = 2,
    ORDER_ANSWER = 4,
    ORDER_LAST = 8, /* after the news of the end: the object may be freed once this is read */
};
enum { NEWS_ENDED_DATAGRAMS = 1, NEWS_ASKED = 2, NEWS_IDLE = 4, NEWS_WOKE_DATAGRAMS = 8 };

/** Datagrams that were not passed on, by reason. The room's thread writes, any thread reads. */
enum datagram_drop {
    DROP_MALFORMED,  /* without a valid SOCKS header */
    DROP_FRAGMENT,   /* SOCKS fragments (FRAG is not 0) are not put together */
    DROP_STRANGER,   /* from another address than the association's client */
    DROP_UNASKED,    /* from an address that the client has not sent to (--udp-filter) */
    DROP_REFUSED,    /* to a destination that the client may not reach, or that has no uplink */
    DROP_QUEUE_FULL, /* while the decision for its destination was pending */
    DROP_NO_ROOM,    /* the kernel's queue was full */
    DROP_TOO_BIG,    /* larger than the path takes in one piece */
    DROP_FAILED,     /* the kernel refused to send it */
    N_DATAGRAM_DROPS
};
/** "malformed", "fragment", … */
const char *datagram_drop_name(enum datagram_drop d);

struct datagram_room {
    struct ev_loop *loop;
    struct mailbox orders;
    struct mailbox *news; /* the main loop's */
    struct wheel flows, mappings;
    struct hash_key key;
    struct batch_in in;
    struct batch_out out;
    struct batch_sent sent; /* by the batch that is under way */
    _Atomic uint64_t drops[N_DATAGRAM_DROPS];
    _Atomic uint64_t moved, in_fragments; /* datagrams */
    size_t n_ports;                       /* written by the main thread */
};

/** On the loop's thread, or before it runs. It must not move afterwards. @return 0 or negative errno */
MUST_CHECK int datagram_room_init(struct datagram_room *room, struct ev_loop *loop, struct mailbox *news);
/** After its thread has ended. */
void datagram_room_done(struct datagram_room *room);

void datagram_room_drop(struct datagram_room *room, enum datagram_drop why, uint64_t n);

/** Send what was added to room->out, and count it. Each callback of the loop flushes before it returns. So
 * only what is freed while datagrams are taken must be flushed first: flows, and sockets of replies. */
void datagram_room_flush(struct datagram_room *room);

#endif
