/* One worker: a thread whose loop carries the tunnels that are handed to it, and obeys orders about them.
 * The main thread starts and stops it, and receives its news as messages. */
#ifndef STEERWAY_RELAY_WORKER_H
#define STEERWAY_RELAY_WORKER_H

#include "relay/mailbox.h"
#include "relay/tunnel.h"

#include <pthread.h>

/* Bits of an order. */
enum worker_order { ORDER_CARRY = 1, ORDER_STOP = 2, ORDER_CUT = 4, ORDER_NO_MORE = 8 };
enum worker_news { NEWS_WOKE = 1, NEWS_ENDED = 2 };

struct worker {
    pthread_t thread;
    struct relay_room room;
    struct mailbox orders;
    struct mailbox *news; /* the main loop's */
    ev_async quit;
    struct list tunnels;
    size_t n_tunnels; /* tunnels that the main thread has handed to it; written by the main thread */
};

/** Start a thread. It blocks all signals: the policies' watchdog must reach the main thread.
 *  @param number  for the thread's name, from 1
 *  @param like    the room whose timeouts it copies
 *  @param guest   NULL for none
 *  @return 0, -ENOMEM, -EAGAIN */
MUST_CHECK int worker_start(struct worker **ret, unsigned number, const struct relay_room *like,
                            struct mailbox *news, struct workers_guest *guest);

/** Change both times of its room (relay.h). */
void worker_set_times(struct worker *h, double idle_s, double ack_s);

/** Stop all its tunnels, and end the thread. Their news are in the mailbox afterwards. */
void worker_stop(struct worker *h);
/** Call it after worker_stop, when its news are read. */
void worker_free(struct worker *h);

/** Hand over a tunnel whose relay has left its room. From then on the main thread may only read the
 * relay's counters. */
void worker_carry(struct worker *h, struct tunnel *t);
/** @param order  ORDER_STOP or ORDER_CUT; harmless when the tunnel has ended meanwhile */
void worker_order(struct worker *h, struct tunnel *t, enum worker_order order);

#endif
