/* One relay thread ("hand"): a loop that carries the tunnels it is handed and takes orders about them. The
 * thread that decides ("brain") starts and stops it, and hears of its tunnels by letter. */
#ifndef STEERWAY_RELAY_HAND_H
#define STEERWAY_RELAY_HAND_H

#include "relay/mailbox.h"
#include "relay/tunnel.h"

#include <pthread.h>

/* Bits of the letters. */
enum hand_order { ORDER_CARRY = 1, ORDER_STOP = 2, ORDER_CUT = 4, ORDER_NO_MORE = 8 };
enum hand_news { NEWS_WOKE = 1, NEWS_ENDED = 2 };

struct hand {
    pthread_t thread;
    struct relay_room room;
    struct mailbox orders;
    struct mailbox *news; /* the brain's */
    ev_async quit;
    struct list tunnels;
    size_t n_tunnels; /* that the brain has handed to it; the brain's own */
};

/** Start a thread. Signals are left to other threads: those of the policies' watchdog must find the brain.
 *  @param number  for its name, from 1
 *  @param like    a room whose times hold here, too
 *  @return 0, -ENOMEM, -EAGAIN */
MUST_CHECK int hand_start(struct hand **ret, unsigned number, const struct relay_room *like,
                          struct mailbox *news);

/** Stop all it carries, and end the thread. The news of that are in the mailbox then. */
void hand_stop(struct hand *h);
/** After hand_stop, and once its news are read. */
void hand_free(struct hand *h);

/** Have it carry on a tunnel whose relay has left its room. The brain must not touch the relay from then on,
 * but for its tally. */
void hand_carry(struct hand *h, struct tunnel *t);
/** @param order  ORDER_STOP, ORDER_CUT: harmless where the tunnel is at its end already */
void hand_order(struct hand *h, struct tunnel *t, enum hand_order order);

#endif
