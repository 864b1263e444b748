/* One relay thread ("worker"): a loop that carries the tunnels it is handed and takes orders about them. The
 * thread that decides (the main loop's) starts and stops it, and hears of its tunnels by message. */
#ifndef STEERWAY_RELAY_WORKER_H
#define STEERWAY_RELAY_WORKER_H

#include "relay/mailbox.h"
#include "relay/tunnel.h"

#include <pthread.h>

/* Bits of the messages. */
enum worker_order { ORDER_CARRY = 1, ORDER_STOP = 2, ORDER_CUT = 4, ORDER_NO_MORE = 8 };
enum worker_news { NEWS_WOKE = 1, NEWS_ENDED = 2 };

struct worker {
    pthread_t thread;
    struct relay_room room;
    struct mailbox orders;
    struct mailbox *news; /* the main loop's */
    ev_async quit;
    struct list tunnels;
    size_t n_tunnels; /* that the main thread has handed to it; the main loop */
};

/** Start a thread. Signals are left to other threads: those of the policies' watchdog must find the main
 * thread.
 *  @param number  for its name, from 1
 *  @param like    a room whose times hold here, too
 *  @return 0, -ENOMEM, -EAGAIN */
MUST_CHECK int worker_start(struct worker **ret, unsigned number, const struct relay_room *like,
                            struct mailbox *news);

/** Stop all it carries, and end the thread. The news of that are in the mailbox then. */
void worker_stop(struct worker *h);
/** After worker_stop, and once its news are read. */
void worker_free(struct worker *h);

/** Have it carry on a tunnel whose relay has left its room. The main thread must not touch the relay from
 * then on, but for its counters. */
void worker_carry(struct worker *h, struct tunnel *t);
/** @param order  ORDER_STOP, ORDER_CUT: harmless where the tunnel is at its end already */
void worker_order(struct worker *h, struct tunnel *t, enum worker_order order);

#endif
