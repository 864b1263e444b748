/* A relay moves bytes both ways between two connected sockets until both directions have ended. It runs on
 * the loop it is given and knows neither clients nor policies. */
#ifndef STEERWAY_RELAY_RELAY_H
#define STEERWAY_RELAY_RELAY_H

#include "base/compiler.h"
#include "base/slice.h"
#include "relay/pump.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/* Octets that were read from a side before the relay begins. */
enum { RELAY_EARLY_MAX = 64 * 1024 };

enum relay_end {
    RELAY_CLOSED,  /* both directions ended with FIN */
    RELAY_RESET,   /* one side reset or broke; the other was reset as well */
    RELAY_IDLE,    /* for idle_s nothing came, and neither peer's kernel took of what waits for it */
    RELAY_STOPPED, /* by relay_stop */
    RELAY_CUT,     /* by relay_cut */
};

struct relay;

/** Called once, when both descriptors are closed and counters are final. The relay may be freed from within.
 */
typedef void relay_done_fn(struct relay *r, enum relay_end end);

/** Called for all that is read from a side, also from within relay_start for early octets; nothing may be
 *  stopped or freed from within. */
typedef void relay_moved_fn(struct relay *r, uint64_t from_client, uint64_t from_upstream);

struct last_words;

/** One side of the relay: its socket, and what waits to be written to it. */
struct relay_side {
    ev_io io;
    struct relay *relay;
    struct pump in;     /* what was read from the other side, on its way to this one */
    bool read_ended;    /* its FIN has been seen */
    bool write_ended;   /* our FIN has been sent, or goes with the close */
    bool looked;        /* delivered is known */
    uint64_t received;  /* octets read from it */
    uint64_t delivered; /* octets its kernel had acknowledged at the last look, give or take a constant */
};

/** What all relays of one loop share: it outlives them. */
struct relay_room {
    struct ev_loop *loop;
    struct pump_room pump;
};

void relay_room_init(struct relay_room *room, struct ev_loop *loop);
void relay_room_done(struct relay_room *room);

struct relay {
    struct relay_room *room;
    struct relay_side client, upstream;
    bool upstream_broke;   /* in done, with RELAY_RESET: it was the upstream that did */
    double upstream_rtt_s; /* in done: the smoothed round trip as TCP measured it; 0: not known */
    ev_timer look;         /* for what no watcher tells: idleness, and the reset of a half-closed side */
    struct last_words
        *last_words; /* after a reset, until the other side has taken what came before it; else NULL */
    double idle_s;
    double last_activity_s;
    relay_moved_fn *moved;
    relay_done_fn *done;
    void *owner; /* the caller's */
};

/** Begin. Takes both descriptors. Octets already read from a side go to the other before any that follow.
 *  @param from_client, from_upstream  early octets, copied, up to RELAY_EARLY_MAX each; they count as
 * received
 *  @param owner    kept for the caller
 *  @param idle_s   0 for never; the end may come late by up to an eighth of it
 *  @param moved    may be NULL
 *  @param done     never called from within relay_start
 *  @return 0, or -ENOMEM; both descriptors are closed then */
MUST_CHECK int relay_start(struct relay *r, struct relay_room *room, int client_fd, int upstream_fd,
                           struct slice from_client, struct slice from_upstream, double idle_s,
                           relay_moved_fn *moved, relay_done_fn *done, void *owner);

/** Close both sides now (with a reset where octets were still under way) and call done with RELAY_STOPPED. */
void relay_stop(struct relay *r);

/** Reset both sides now and call done with RELAY_CUT: nothing can arrive any more. */
void relay_cut(struct relay *r);

/** The socket of the upstream side. */
int relay_upstream_fd(const struct relay *r);

/** "closed", "reset", "idle", "shutdown", "cut" */
const char *relay_end_name(enum relay_end end);

#endif
