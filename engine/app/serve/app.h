/* The running program: the struct that owns everything, and signals, reload and draining. */
#ifndef STEERWAY_SERVE_APP_H
#define STEERWAY_SERVE_APP_H

#include "captured/transparent.h"
#include "config/config.h"
#include "config/paths.h"
#include "control/control.h"
#include "follow/machine_follow.h"
#include "follow/meter_timer.h"
#include "follow/policy_timer.h"
#include "follow/policy_watch.h"
#include "inbound/proxy.h"
#include "keep/ledger.h"
#include "serve/app_reload.h"
#include "serve/app_takeover.h"

#include <ev.h>

struct app {
    struct config *config;
    struct app_source source;
    struct reload *reload; /* that is under way; NULL for none */
    const struct paths *paths;
    struct ev_loop *loop;
    struct uplink_set *uplinks;
    struct policy *policy;
    struct surroundings surroundings; /* as of the last look at the machine */
    struct own_ends *own_ends;        /* only with transparent listeners */
    struct proxy proxy;
    uint32_t wave;    /* of listeners (app_listening.c): how often the config was read */
    size_t own_files; /* descriptors in use at the start; 0: not counted yet */
    bool strict;      /* addresses to listen on must exist */
    ev_signal on_int, on_term, on_hup, on_usr1;
    ev_timer drain;
    struct machine_follow follow;
    struct policy_timer policy_timer;
    struct meter_timer meter_timer;
    struct ledger ledger;
    struct policy_loading loading;
    struct policy_watch watch;
    struct control control;
    struct capture_keeper capture;
    struct app_origin origin;
    struct app_takeover takeover;
};

/** Set up and listen as config says. The arguments must outlive the app, except for m.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); call app_done either way */
MUST_CHECK int app_init(struct app *a, struct config *config, const struct app_source *source,
                        const struct app_origin *origin, const struct paths *paths, const struct machine *m,
                        struct uplink_set *uplinks, struct policy *policy, char *err);

/** Open the listeners of the config that are not open yet. End it by one of the two below.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); then nothing has changed */
MUST_CHECK int app_listen(struct app *a, const struct config *c, const struct machine *m, char *err);
/** Close what app_listen has opened. */
void app_listen_undo(struct app *a);
/** Close the listeners that this config, of the latest app_listen, does not want. The others get its
 * settings. */
void app_listen_settle(struct app *a, const struct config *c);

/** Open the control socket, the watch on the policy's files, and the recording. A failure of a service
 * that the user named is an error; of a default service, a warning. For app_init.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int app_open_services(struct app *a, char *err);

/** The path of the control socket. @param ret  "" where there is to be none @return 0, or negative errno */
MUST_CHECK int app_control_path(const struct app *a, char ret[CONTROL_PATH_MAX]);

/** A signal asks for the end: let connections finish; at the second one end at once. */
void app_end(struct app *a);
/** End the connections that are still open after the drain timeout. */
void app_limit_drain(struct app *a);

/** Warn of uplinks whose packets have no route. For the start; app_run warns of routes that are lost
 * later. */
void app_warn_of_routes(struct app *a, const struct machine *m);

/** Start the relay threads, machine events, checks and timers. A failure is a warning. Call app_run next. */
void app_start(struct app *a);

/** Serve until a signal ends it. */
void app_run(struct app *a);

void app_done(struct app *a);

#endif
