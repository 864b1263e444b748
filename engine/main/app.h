/* The running program: the struct that owns everything, and its duties as a daemon: signals, reload,
 * draining. */
#ifndef STEERWAY_MAIN_APP_H
#define STEERWAY_MAIN_APP_H

#include "control/config.h"
#include "session/proxy.h"

#include <ev.h>

struct app {
    const struct config *config;
    struct ev_loop *loop;
    struct uplink_set *uplinks;
    struct policy *policy;
    struct resolver *resolver;
    struct proxy proxy;
    ev_signal on_int, on_term, on_hup;
    ev_timer drain, refresh;
};

/** Listen where config says. What is given must outlive the app.
 *  @return 0, or -1 with one line in err (CONFIG_ERROR_MAX); call app_done either way */
MUST_CHECK int app_init(struct app *a, const struct config *config, struct uplink_set *uplinks,
                        struct policy *policy, char *err);

/** Serve until a signal ends it. */
void app_run(struct app *a);

void app_done(struct app *a);

#endif
