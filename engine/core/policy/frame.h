/* What the engine and a VM exchange in a call: one struct a VM, filled before the call, read in place by
 * lua/steerway/host/types.lua, which declares the same fields (a unit test compares the two). */
#ifndef STEERWAY_POLICY_FRAME_H
#define STEERWAY_POLICY_FRAME_H

#include "uplink/uplink_view.h"

#include <stdbool.h>
#include <stdint.h>

/** The numbers of a connection; policies hold a reference to this part, and to nothing with a pointer in it.
 */
struct frame_conn {
    double id, now, port, attempt;
    bool is_domain, is_ipv6, race;
};

struct frame_stats {
    double tx, rx, duration;
};

struct frame {
    struct frame_conn conn;
    struct frame_stats stats;
    double calls; /* counts those that have texts of their own, from 1: what was read in one is kept for it */
    double now, wall;  /* monotonic, and since 1970; of every call */
    double next_timer; /* out: when the earliest of the policy's timers is due; infinity for none */
    double connect_s, first_byte_s; /* first_byte_s < 0: none */
    double timeout_s, hedge_s;      /* out: what pick's options said, 0 for nothing, hedge_s < 0 for never */
    /* Borrowed for the call; NULL where there is none. word is failed()'s error, closed()'s reason, or
     * uplink_changed()'s what. */
    const char *host, *client, *user, *listener, *proto, *last_error, *word;
    int32_t uplink;          /* whom a hook is about */
    int32_t n_tags;          /* connections that have a tag */
    int32_t n_captive;       /* in: ids behind the candidates that may be named, and are passed over */
    int32_t n;               /* in: how many candidates; out: how many chosen */
    int32_t ids[UPLINK_MAX]; /* in: their ids; out: the chosen, in order of preference */
    bool race_any;           /* out: pick's options let a race go anywhere */
    bool live;               /* text may be read: true during a call alone */
};

/** First value of the host's pick. As in lua/steerway/host/calls.lua. */
enum frame_verdict { FRAME_NO_OPINION, FRAME_USE, FRAME_REFUSE };

#endif
