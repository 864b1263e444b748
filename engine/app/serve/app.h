/* The running program: the struct that owns everything, and its duties as a daemon: signals, reload,
 * draining. */
#ifndef STEERWAY_SERVE_APP_H
#define STEERWAY_SERVE_APP_H

#include "config/config.h"
#include "config/paths.h"
#include "control/control.h"
#include "follow/machine_follow.h"
#include "follow/meter_timer.h"
#include "follow/policy_timer.h"
#include "follow/policy_watch.h"
#include "inbound/proxy.h"
#include "keep/ledger.h"

#include <ev.h>

struct app {
    const struct config *config;
    const struct paths *paths;
    struct ev_loop *loop;
    struct uplink_set *uplinks;
    struct policy *policy;
    struct surroundings surroundings; /* as of the last look at the machine */
    struct proxy proxy;
    ev_signal on_int, on_term, on_hup;
    ev_timer drain;
    struct machine_follow follow;
    struct policy_timer policy_timer;
    struct meter_timer meter_timer;
    struct ledger ledger;
    struct policy_loading loading;
    struct policy_watch watch;
    struct control control;
};

/** Listen where config says. What is given must outlive the app, but for the machine's present state.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); call app_done either way */
MUST_CHECK int app_init(struct app *a, const struct config *config, const struct paths *paths,
                        const struct machine *m, struct uplink_set *uplinks, struct policy *policy,
                        char *err);

/** Open what serves the user beside the proxy itself: control socket, watch on the policy's files, recording.
 * What was asked for by name must work; of what is there by default, a warning tells. For app_init.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int app_open_services(struct app *a, char *err);

/** Warn of uplinks whose packets find no way out. For the start; app_run warns of those that lose their route
 *  later. */
void app_warn_of_routes(struct app *a, const struct machine *m);

/** Start what works beside the loop and what it does of itself: relay threads, the machine's events, checks,
 * timers. What cannot be is warned of. To be followed by app_run. */
void app_start(struct app *a);

/** Serve until a signal ends it. */
void app_run(struct app *a);

void app_done(struct app *a);

#endif
