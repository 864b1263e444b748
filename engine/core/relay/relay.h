/* A relay moves bytes in both directions between two connected sockets until both have ended. It runs on a
 * given loop, and does not depend on clients or policies. */
#ifndef STEERWAY_RELAY_RELAY_H
#define STEERWAY_RELAY_RELAY_H

#include "base/compiler.h"
#include "base/counters.h"
#include "base/slice.h"
#include "net/ack_wait.h"
#include "net/wheel.h"
#include "relay/pace.h"
#include "relay/pump.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

/* Limit of the bytes that were read from a side before the relay begins. */
enum { RELAY_EARLY_MAX = 64 * 1024 };

/* Limit of the uploads of one loop whose send queues are looked at. Further ones count as sent what the
 * kernel takes. */
enum { RELAY_UPLOADS_MAX = 250 };

enum relay_end {
    RELAY_CLOSED,  /* both sides have sent FIN */
    RELAY_RESET,   /* one side was reset or broke; the other was reset too */
    RELAY_IDLE,    /* for idle_s no byte arrived, and neither peer took waiting bytes */
    RELAY_UNACKED, /* a peer acknowledges nothing (ack_wait.h); both sides were reset */
    RELAY_STOPPED, /* by relay_stop */
    RELAY_CUT,     /* by relay_cut */
};

struct relay;

/** Callbacks to the owner of the room. */
struct relay_events {
    /** Called once, with both descriptors closed and the counters final. Never called within relay_start.
     * The callee may free the relay. */
    void (*done)(struct relay *r, enum relay_end end);
    /** A byte was counted while the counters rested. The callee must not stop or free the relay. */
    void (*woke)(struct relay *r);
    /** A bulk relay has moved enough bytes to be worth a worker's cost; called at each further event.
     * The callee may call relay_leave. NULL: not called. */
    void (*bulk)(struct relay *r);
};

struct last_words;

/** One side of the relay: its socket, and the bytes that wait to be written to it. */
struct relay_side {
    ev_io io;
    struct pump in; /* from the other side to this one */
    bool is_client;
    bool read_ended;  /* FIN was received */
    bool write_ended; /* FIN was sent, or is sent by the close */
    bool looked;      /* delivered is valid */
    struct ack_wait wait;
    uint32_t delivered; /* bytes that the peer had acknowledged at the last look, minus a constant; wraps */
};

/** Shared by all relays of one loop; must outlive them. */
struct relay_room {
    struct ev_loop *loop;
    const struct relay_events *events;
    _Atomic double idle_s; /* silence after which a relay ends, detected up to an eighth later; 0 for never */
    _Atomic double ack_s;  /* limit for unacknowledged data, for relays that begin later; 0 for none */
    struct wheel looks;    /* the relays' next looks */
    struct pump_room pump;
    ev_timer upload_look;
    struct relay *uploads[RELAY_UPLOADS_MAX];
    size_t n_uploads;
};

/** The room must not move afterwards. */
void relay_room_init(struct relay_room *room, struct ev_loop *loop, double idle_s,
                     const struct relay_events *events);
/** Change both times, from any thread. */
void relay_room_set_times(struct relay_room *room, double idle_s, double ack_s);
void relay_room_done(struct relay_room *room);

struct relay {
    struct relay_room *room;
    struct relay_side client, dest;
    struct pace *pace;        /* NULL: no rate caps */
    struct counters counters; /* bytes read: tx from the client, rx from the destination */
    uint8_t upload;           /* its place in the room's uploads, counted from 1; 0: not there */
    uint8_t still_looks;      /* looks in a row at an upload of which nothing had left */
    struct wheel_entry
        look;          /* detects what no watcher reports: idleness, and the reset of a half-closed side */
    bool keeps_alive;  /* keepalive is on for the destination's socket */
    bool stirs;        /* bytes were moved since the last look */
    bool unacked;      /* the side that broke did so by not acknowledging */
    bool dest_broke;   /* in done, with RELAY_RESET or RELAY_UNACKED: the destination broke, not the client */
    double dest_rtt_s; /* in done: TCP's smoothed round trip; 0 for unknown */
    double first_rx_s; /* time of the first byte from the destination; 0: none yet */
    struct last_words
        *last_words; /* after a reset, while the other side takes the earlier bytes; else NULL */
    double last_activity_s;
};

/** Begin, and take over both descriptors. Early bytes of a side are sent to the other before those that
 * follow.
 *  @param from_client, from_dest  early bytes, copied, up to RELAY_EARLY_MAX each; they count as read
 *  @return 0, or -ENOMEM or -ENOBUFS; both descriptors are closed then */
MUST_CHECK int relay_start(struct relay *r, struct relay_room *room, int client_fd, int dest_fd,
                           struct slice from_client, struct slice from_dest);

/** Keep it below these rates. Call it after relay_start, once. */
void relay_cap(struct relay *r, const struct pace_caps *caps);

/** Whether it may leave its room now; false while it ends. */
bool relay_may_leave(const struct relay *r);
/** Take it off its room's loop. It rests until it joins another room, perhaps of another thread. */
void relay_leave(struct relay *r);
void relay_join(struct relay *r, struct relay_room *room);

/** Close both sides now, with a reset if bytes were in transit, and call done with RELAY_STOPPED. On the
 * thread of its room, like all calls. */
void relay_stop(struct relay *r);

/** Reset both sides now, and call done with RELAY_CUT. For a line that is dead. */
void relay_cut(struct relay *r);

/** "closed", "reset", "idle", "unacknowledged", "shutdown", "cut" */
const char *relay_end_name(enum relay_end end);

#endif
