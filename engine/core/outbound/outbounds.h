/* Shared by all outbound connections: uplinks, policy, resolver, checks, settings. For the main loop only. */
#ifndef STEERWAY_OUTBOUND_OUTBOUNDS_H
#define STEERWAY_OUTBOUND_OUTBOUNDS_H

#include "access/reach.h"
#include "dns/resolver.h"
#include "health/checks.h"
#include "net/own_ends.h"
#include "outbound/account.h"
#include "outbound/live.h"
#include "outbound/recorder.h"
#include "parent/loops.h"
#include "policy/policy.h"

#include <ev.h>

struct uplink_set;

#define HEDGE_AUTO (-1.)

struct outbound_settings {
    struct reach reach; /* destinations that clients may not reach */
    /* Destinations that go direct, without the policy: */
    const struct cidr_set *bypass; /* by the machine's own routing, also through gateways */
    const struct cidr_set *local;  /* to this machine and its neighbours; may change while the proxy runs */
    double dial_timeout_s;         /* for all attempts for one destination together */
    double hedge_s; /* seconds until a race when the policy does not set it; 0 for never, HEDGE_AUTO by the
                       uplink's usual connect time */
    double bind_timeout_s; /* for a peer to connect (SOCKS BIND) */
    bool fast_open;        /* data for the destination may go with the SYN (RFC 7413) */
};

/** Its pointers are borrowed. */
struct outbounds {
    struct ev_loop *loop;
    struct resolver *resolver; /* for direct connections, and for names of the local network */
    struct uplink_set *uplinks;
    struct policy *policy;
    struct outbound_settings settings;
    uint64_t last_id; /* last id of an outbound connection */
    struct loops loops;
    struct own_ends *own_ends; /* of dials, to find captured ones that come back; NULL: nothing is captured */
    struct recorder recorder;
    struct live live;
    struct recent recent;
    struct checks *checks; /* NULL: no checks */
};

#endif
