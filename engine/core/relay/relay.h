/* A relay moves bytes both ways between two connected sockets until both directions have ended. It runs on
 * the loop it is given and knows neither clients nor policies. */
#ifndef STEERWAY_RELAY_RELAY_H
#define STEERWAY_RELAY_RELAY_H

#include "base/compiler.h"
#include "base/counters.h"
#include "base/slice.h"
#include "net/ack_wait.h"
#include "net/wheel.h"
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
    RELAY_UNACKED, /* one side's peer acknowledges nothing any more (ack_wait.h); both were reset */
    RELAY_STOPPED, /* by relay_stop */
    RELAY_CUT,     /* by relay_cut */
};

struct relay;

/** What a relay tells whoever keeps the room. */
struct relay_events {
    /** Once, when both descriptors are closed and the counters are final; never from within relay_start. The
     * relay may be freed from within. */
    void (*done)(struct relay *r, enum relay_end end);
    /** An octet has come while the counters rested; nothing may be stopped or freed from within. */
    void (*woke)(struct relay *r);
    /** It has moved so much at once that another thread would be worth its while: relay_leave may be called
     * from within. At each further event of such a relay again. NULL: nobody asks. */
    void (*bulk)(struct relay *r);
};

struct last_words;

/** One side of the relay: its socket, and what waits to be written to it. */
struct relay_side {
    ev_io io;
    struct pump in; /* what was read from the other side, on its way to this one */
    bool is_client;
    bool read_ended;  /* its FIN has been seen */
    bool write_ended; /* our FIN has been sent, or goes with the close */
    bool looked;      /* delivered is known */
    struct ack_wait wait;
    uint64_t delivered; /* octets its kernel had acknowledged at the last look, give or take a constant */
};

/** What all relays of one loop share: it outlives them. */
struct relay_room {
    struct ev_loop *loop;
    const struct relay_events *events;
    double idle_s;      /* silence after which one ends, late by an eighth at most; 0 for never */
    double ack_s;       /* for which data may stay unacknowledged; 0 for ever. Of relays that begin later */
    struct wheel looks; /* when they are looked at */
    struct pump_room pump;
};

/** Must not move afterwards. */
void relay_room_init(struct relay_room *room, struct ev_loop *loop, double idle_s,
                     const struct relay_events *events);
void relay_room_done(struct relay_room *room);

struct relay {
    struct relay_room *room;
    struct relay_side client, dest;
    struct counters counters; /* of octets read: tx from the client, rx from the destination */
    struct wheel_entry look;  /* for what no watcher tells: idleness, and the reset of a half-closed side */
    bool keeps_alive;         /* the destination is asked for signs of life */
    bool stirs;               /* it has moved something since the last look */
    bool unacked;             /* which broke a side */
    bool dest_broke;   /* in done, with RELAY_RESET or RELAY_UNACKED: it was the destination that did */
    double dest_rtt_s; /* in done: the smoothed round trip as TCP measured it; 0: not known */
    double first_rx_s; /* when the first octet came from the destination; 0: not yet */
    struct last_words
        *last_words; /* after a reset, until the other side has taken what came before it; else NULL */
    double last_activity_s;
};

/** Begin. Takes both descriptors. Octets already read from a side go to the other before any that follow.
 *  @param from_client, from_dest  early octets, copied, up to RELAY_EARLY_MAX each; they count as read
 *  @return 0, or -ENOMEM; both descriptors are closed then */
MUST_CHECK int relay_start(struct relay *r, struct relay_room *room, int client_fd, int dest_fd,
                           struct slice from_client, struct slice from_dest);

/** Whether it may leave its room: not while it ends. */
bool relay_may_leave(const struct relay *r);
/** Take it off its room's loop. Nothing happens to it until it joins another room, which may be another
 * thread's. */
void relay_leave(struct relay *r);
void relay_join(struct relay *r, struct relay_room *room);

/** Close both sides now (with a reset where octets were still under way) and call done with RELAY_STOPPED. On
 * the thread of its room, as all else. */
void relay_stop(struct relay *r);

/** Reset both sides now and call done with RELAY_CUT: nothing can arrive any more. */
void relay_cut(struct relay *r);

/** "closed", "reset", "idle", "unacknowledged", "shutdown", "cut" */
const char *relay_end_name(enum relay_end end);

#endif
