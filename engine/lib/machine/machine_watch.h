/* Reports changes of links, addresses, default routes and routing rules, which the kernel announces over
 * rtnetlink. A report only says that it is time for a new snapshot (machine.h). */
#ifndef STEERWAY_MACHINE_MACHINE_WATCH_H
#define STEERWAY_MACHINE_MACHINE_WATCH_H

#include "base/compiler.h"

#include <ev.h>

/* The protocol number of our own routes, which are not reported. rtnetlink leaves 17 to 255 to programs; no
 * known list has this one. */
enum { MACHINE_ROUTES_OWN = 83 };

struct machine_watch;

/** Called on the loop a few milliseconds after the first of a burst of changes, and at the earliest 50 ms
 * after the previous call. */
typedef void machine_changed_fn(struct machine_watch *w);

/** Embedded by its owner, who must not move it. Zero-initialised: not watching. */
struct machine_watch {
    struct ev_loop *loop; /* NULL: not watching */
    struct mnl_socket *nl;
    ev_io io;
    ev_timer settle;
    double told_s; /* time of the latest report; monotonic, as the wall clock may be set */
    machine_changed_fn *changed;
};

/** @return 0 or negative errno */
MUST_CHECK int machine_watch_start(struct machine_watch *w, struct ev_loop *loop,
                                   machine_changed_fn *changed);
/** Harmless if it is not watching. */
void machine_watch_stop(struct machine_watch *w);

#endif
