/* The verbs of the control socket; docs/control.md describes each. */
#ifndef STEERWAY_CONTROL_CONTROL_H
#define STEERWAY_CONTROL_CONTROL_H

#include "control/capture_keeper.h"
#include "control/control_server.h"
#include "control/event_desk.h"
#include "control/why.h"
#include "follow/machine_follow.h"
#include "follow/policy_loading.h"
#include "inbound/proxy.h"

/** The objects that verbs act on; they must outlive the control. */
struct control_subject {
    const char *version;
    struct proxy *proxy;
    struct policy_loading *loading;
    struct capture_keeper *capture;
    struct machine_follow *follow;
    /** Read config and policy again; answers reply. @param arg  reload_arg */
    void (*reload)(void *arg, struct control_reply reply);
    /** What differs between the config as it was read last and another file's table; a list, or NULL. */
    json_t *(*diff)(void *arg, const json_t *other);
    void *reload_arg;
    /** Hand over to another process, start one, and count what one has moved since. @param arg  takeover_arg
     */
    void (*takeover)(void *arg, const json_t *request, struct control_reply reply);
    void (*restart)(void *arg, struct control_reply reply);
    void (*count)(void *arg, const json_t *request, struct control_reply reply);
    /** A client of the socket has left. */
    void (*left)(void *arg, uint64_t client);
    void *takeover_arg;
    const struct control_place *place; /* where it is served, taken over; NULL: take it */
    /** The file of a policy: looked up by name, or the path itself. The callee frees ret.
     *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
    int (*find_policy)(void *arg, const char *name_or_file, char **ret, char *err);
    void *find_arg;
};

/** Embedded by its owner; zero-initialised is "not open". */
struct control {
    struct control_server server;
    struct control_subject subject;
    struct why_desk why;
    struct event_desk events;
    double started_s;
};

/** @return 0, or negative errno of control_place_take */
MUST_CHECK int control_open(struct control *c, struct ev_loop *loop, const char *path,
                            const struct control_subject *subject);
/** The answer to reload and the like: which policy is loaded, and what has changed in the config.
 *  @param changes  taken; NULL for none */
void control_answer_loaded(struct control_reply reply, const struct policy *p, double seconds,
                           json_t *changes);

/** Another process serves the place from now on. Clients that are connected stay. */
void control_yield(struct control *c);
/** Harmless on one that is not open. */
void control_close(struct control *c);

#endif
