/* What all outbound connections share: the uplinks, the policy that chooses among them, the names, the
 * checks, and what the user said of them. The main loop's alone. */
#ifndef STEERWAY_OUTBOUND_OUTBOUNDS_H
#define STEERWAY_OUTBOUND_OUTBOUNDS_H

#include "access/reach.h"
#include "dns/resolver.h"
#include "health/checks.h"
#include "outbound/recorder.h"
#include "parent/loops.h"
#include "policy/policy.h"

#include <ev.h>

struct uplink_set;

#define HEDGE_AUTO (-1.)

struct outbound_settings {
    struct reach reach; /* what clients may not reach, by whatever way */
    /* Destinations that go direct, without the policy: */
    const struct cidr_set *bypass; /* by the machine's own routing, gateways included */
    const struct cidr_set *local;  /* to this machine and its neighbours only; may change while it runs */
    double dial_timeout_s;         /* for all of one uplink's attempts at one destination */
    double hedge_s;                /* until a second uplink is raced, where the policy says nothing: 0 for
                                      never, HEDGE_AUTO by what the uplink usually takes to connect */
    bool fast_open;                /* what waits for a destination may go with the SYN (RFC 7413) */
};

/** Its pointers are others', and outlive it. */
struct outbounds {
    struct ev_loop *loop;
    struct resolver *resolver; /* of what goes direct, and of this network's own names */
    struct uplink_set *uplinks;
    struct policy *policy;
    struct outbound_settings settings;
    uint64_t last_id; /* of outbound connections */
    struct loops loops;
    struct recorder recorder;
    struct checks *checks; /* NULL: none are made */
};

#endif
