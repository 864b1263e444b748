/* Takes the place of a proxy that runs, and lets another process take this one's: clients notice nothing. */
#ifndef STEERWAY_SERVE_APP_TAKEOVER_H
#define STEERWAY_SERVE_APP_TAKEOVER_H

#include "control/control.h"
#include "takeover/late_bytes.h"
#include "takeover/predecessor.h"
#include "takeover/service.h"
#include "takeover/successor.h"

struct app;

/** How the process was started, to start it again. */
struct app_origin {
    const char *program; /* its path, which may be another file's by now; NULL: unknown */
    char *const *line;   /* the command line with `--takeover`, ends with NULL; NULL: without memory */
    bool takeover;       /* take the place of a proxy that runs */
};

/** Embedded in the app. */
struct app_takeover {
    struct predecessor before; /* whose place is being taken */
    uint64_t taker;            /* the control client that is taking this one's place; 0: none */
    bool is_own;               /* and this process has started it */
    bool over;                 /* it has: this process serves the clients that it has, and ends */
    bool stopping;             /* a signal has asked for the end since then */
    bool asked;                /* asker waits for the successor */
    struct control_reply asker;
    struct successor successor;
    struct late_bytes late;
    struct service service;
};

/* --- the new process --- */

/** Ask a running proxy for its sockets, if that is wanted and one runs. For app_init.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int app_take_over(struct app *a, char *err);
/** Whether a socket of a service manager has no listener in the config.
 *  @return 0, or -EINVAL with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int app_check_activated(const struct app *a, char *err);
/** Use the fixed ports of associations. */
void app_take_ports(struct app *a);
/** Go on with the capture. @return false: there is none */
bool app_take_capture(struct app *a);
/** Go on with the recording of this file, or with any if it is NULL. @return whether there was one */
bool app_take_record(struct app *a, const char *path);
/** All is open, and clients are accepted now: the other process may go. */
void app_relieve(struct app *a);

/* --- the one that goes: verbs of the control socket --- */

void app_verb_takeover(void *arg, const json_t *request, struct control_reply reply);
void app_verb_restart(void *arg, struct control_reply reply);
void app_verb_count(void *arg, const json_t *request, struct control_reply reply);
/** A control client has left. */
void app_control_left(void *arg, uint64_t client);

/** The process ends. */
void app_takeover_done(struct app *a);

#endif
