/* What a service manager such as systemd is told, by its protocol (sd_notify(3)). Without one nothing
 * happens. An own sender: the protocol is one datagram, which is less than a library to depend on. */
#ifndef STEERWAY_TAKEOVER_SERVICE_H
#define STEERWAY_TAKEOVER_SERVICE_H

#include "base/compiler.h"

#include <ev.h>

/** Embedded by its owner, who must not move it; zero-initialised is off. */
struct service {
    struct ev_loop *loop;
    ev_timer alive;
};

/** Send "READY=1" and the like, one assignment a line. A failure is not told: nobody waits for it. */
void service_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/** The config is being read again; "READY=1" ends it. */
void service_say_reloading(void);
/** Tell the manager's watchdog from the main loop, twice in its time, that the loop runs. */
void service_watch(struct service *s, struct ev_loop *loop);
void service_done(struct service *s);

#endif
