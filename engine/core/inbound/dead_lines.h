/* Ends connections on a line that is down, so that clients connect again by another one. TCP alone would
 * wait for a quarter of an hour.
 *
 * A line is down when it has neither link nor address, or when its checks have failed (health.h); a
 * suspect is not down. After cut_after_s without a break, its connections are reset at both ends: tunnels,
 * also those on workers, and plain HTTP. A connection by a parent proxy belongs to the line that it leaves
 * by. Nothing is reset while no other uplink answers, since clients could not connect again. */
#ifndef STEERWAY_INBOUND_DEAD_LINES_H
#define STEERWAY_INBOUND_DEAD_LINES_H

#include "uplink/uplink_view.h"

#include <ev.h>

struct proxy;

/* An outage of one family of an uplink. */
struct dead_line {
    double since_s;  /* monotonic start; 0: not down */
    double received; /* bytes received at that time; a further byte ends the outage */
};

/** Embedded in the proxy. */
struct dead_lines {
    struct proxy *proxy;
    ev_timer timer; /* runs while a line with connections is down */
    struct dead_line lines[UPLINK_MAX][2];
};

/** Must not move afterwards. */
void dead_lines_init(struct dead_lines *d, struct proxy *proxy);
void dead_lines_done(struct dead_lines *d);

/** Call it when an uplink may have gone down or come back. */
void dead_lines_look(struct dead_lines *d);

#endif
