/* The accounts that are open, of connections and of datagrams, the oldest first. */
#ifndef STEERWAY_OUTBOUND_LIVE_H
#define STEERWAY_OUTBOUND_LIVE_H

#include "base/list.h"

#include <stdint.h>

struct outbound;

/** Embedded by its owner; zero-initialised is ready. It must not move while it has accounts or walks. */
struct live {
    struct list accounts, walks;
    uint64_t last_id;
};

/** For outbound.c: an account is opened, or ends. A walk that stands at it goes on to the next one. */
void live_add(struct live *l, struct outbound *o);
void live_remove(struct live *l, struct outbound *o);

/** A walk through the accounts that are open when it begins. Any of them may end while it rests. Embedded by
 * its owner; zero-initialised is over. */
struct live_walk {
    struct live *live; /* NULL: it is over */
    struct list node;  /* in live's walks */
    struct list *next; /* the account that comes next, or the head of the list */
    uint64_t last_id;
};

void live_walk_begin(struct live_walk *w, struct live *l);
/** @return NULL after the last one; the walk is over then */
struct outbound *live_walk_next(struct live_walk *w);
/** Harmless for a walk that is over. */
void live_walk_end(struct live_walk *w);

#endif
