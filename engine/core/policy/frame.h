/* The data that the engine and a VM exchange in a call. Each VM has one such struct, filled before the
 * call. lua/steerway/host/types.lua reads it in place and declares the same fields (a unit test compares
 * them). */
#ifndef STEERWAY_POLICY_FRAME_H
#define STEERWAY_POLICY_FRAME_H

#include "uplink/uplink_view.h"

#include <stdbool.h>
#include <stdint.h>

/** The numbers of a connection. Policies hold a reference to this part, so it has no pointers. */
struct frame_conn {
    double id, now, port, attempt;
    bool is_domain, is_ipv6, race, bind;
};

struct frame_stats {
    double tx, rx, duration;
};

struct frame {
    struct frame_conn conn;
    struct frame_stats stats;
    double calls;                   /* number of calls with texts, from 1: Lua caches texts for one call */
    double now, wall;               /* time of the call: monotonic, and since 1970 */
    double next_timer;              /* out: when the policy's next timer is due; infinity for none */
    double connect_s, first_byte_s; /* first_byte_s < 0: no byte came */
    double timeout_s, hedge_s;      /* out: options of pick's result; 0 for unset, hedge_s < 0 for never */
    /* Borrowed for the call; NULL for none. word is failed()'s error, closed()'s reason, or
     * uplink_changed()'s what. */
    const char *host, *address, *client, *user, *listener, *proto, *last_error, *word;
    int32_t uplink;                 /* the uplink's id, for hooks */
    int32_t n_tags;                 /* out: connections with a tag */
    int32_t n;                      /* in: number of candidates; out: number of chosen uplinks */
    int32_t ids[UPLINK_MAX];        /* in: the candidates' ids; out: the chosen ids, in order of preference */
    uint8_t offers[UPLINK_MAX + 1]; /* in: enum frame_offer of each uplink, by id */
    int32_t per;                    /* out: option of pick's result: enum policy_per */
    bool race_any;                  /* out: option of pick's result: a race may use any uplink */
    bool resolve;                   /* out: option of pick's result: go to the host's name */
    bool live;                      /* texts may be read; true only during a call */
};

/** Whether a policy may name an uplink. A captive uplink may be named too, but it is skipped. */
enum frame_offer { FRAME_NOT_OFFERED, FRAME_CANDIDATE, FRAME_CAPTIVE };

/** First result of the host's pick. lua/steerway/host/calls.lua has the same values. */
enum frame_verdict { FRAME_NO_OPINION, FRAME_USE, FRAME_REFUSE };

#endif
