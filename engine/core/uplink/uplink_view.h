/* What policies see of an uplink, and the limits that its name, its tags and its set have. */
#ifndef STEERWAY_UPLINK_UPLINK_VIEW_H
#define STEERWAY_UPLINK_UPLINK_VIEW_H

#include <stdbool.h>
#include <stdint.h>

enum { UPLINK_MAX = 64, UPLINK_NAME_MAX = 63, UPLINK_TAGS_MAX = 8 };

enum uplink_kind { UPLINK_INTERFACE, UPLINK_ADDRESS, UPLINK_PARENT };

/** "interface", "address" or "upstream" */
const char *uplink_kind_name(enum uplink_kind kind);

/** The numbers of an uplink that a policy reads in place. Only double, int32_t and bool occur.
 * lua/steerway/host/types.lua declares the same fields, and a unit test compares the two. Rates are in
 * bytes/s, times in seconds. */
struct uplink_view {
    double weight; /* > 0 */
    double tier;   /* 1 is used first */
    double active; /* live connections, including those that are being dialed */
    double total;  /* connections made so far */
    double failures;
    double races_lost;
    double fail_rate; /* 0..1, smoothed */
    double tx_bytes, rx_bytes;
    double tx_rate, rx_rate;         /* smoothed over a second */
    double tx_capacity, rx_capacity; /* learned (meter.h); 0: not known yet */
    double busy;                     /* connections that were chosen or moved bytes in the last 2 s */
    double connect_time;             /* smoothed duration of TCP's handshake; 0: not known yet */
    double rtt;          /* smoothed round trip of ended connections, as TCP measured it; 0: not known yet */
    double quota_left;   /* bytes that are left in this period, or infinity */
    int32_t id;          /* 1.. in the order given */
    bool up, ipv4, ipv6; /* up is false also when a hard quota is used up */
};

#endif
