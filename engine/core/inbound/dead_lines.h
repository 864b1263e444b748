/* Ends what is open on a line that is down, so that clients connect again elsewhere: TCP alone would wait for
 * a quarter of an hour.
 *
 * A line is down when it has neither link nor address, or by its checks (health.h); a suspect is not. When it
 * has been down for cut_after_s without a break, its connections are reset at both ends: tunnels, also those
 * of relay threads, and plain HTTP. A connection by an parent proxy shares the fate of the line that it
 * leaves by. Where no other uplink answers, nothing is reset, as there is nowhere to connect again. */
#ifndef STEERWAY_INBOUND_DEAD_LINES_H
#define STEERWAY_INBOUND_DEAD_LINES_H

#include "uplink/uplink_view.h"

#include <ev.h>

struct proxy;

/* Since when one family of an uplink has been down. */
struct dead_line {
    double since_s;  /* monotonic; 0: it is not */
    double received; /* bytes, then: any further one ends it */
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

/** An uplink may have gone down or come back. */
void dead_lines_look(struct dead_lines *d);

#endif
