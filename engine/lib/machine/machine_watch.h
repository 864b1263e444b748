/* Hears from the kernel, over rtnetlink, that links, addresses, default routes or routing rules of this
 * machine have changed. What there is now is then read anew (machine.h): an event says no more than that it
 * is time to look. */
#ifndef STEERWAY_MACHINE_MACHINE_WATCH_H
#define STEERWAY_MACHINE_MACHINE_WATCH_H

#include "base/compiler.h"

#include <ev.h>

/* Routes with this protocol number are our own, and no event. rtnetlink leaves 17 to 255 to programs; this
 * one stands in no list that is known. */
enum { MACHINE_ROUTES_OWN = 83 };

struct machine_watch;

/** Called from the loop some milliseconds after the first of a burst of changes, and again 50 ms later at the
 *  earliest. */
typedef void machine_changed_fn(struct machine_watch *w);

/** Embedded by its owner, who must not move it; zero-initialised is "not watching". */
struct machine_watch {
    struct ev_loop *loop; /* NULL: not watching */
    struct mnl_socket *nl;
    ev_io io;
    ev_timer settle;
    double told_s; /* when it was told last; monotonic, as the clock may be set */
    machine_changed_fn *changed;
};

/** @return 0 or negative errno */
MUST_CHECK int machine_watch_start(struct machine_watch *w, struct ev_loop *loop,
                                   machine_changed_fn *changed);
/** Harmless when it is not watching. */
void machine_watch_stop(struct machine_watch *w);

#endif
