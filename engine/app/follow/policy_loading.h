/* Loads policies while the proxy runs: the verdict of each load stands in the log, whoever asked for it.
 *
 * Loads are done one after the other. Lists that have to be read are read on a thread; the policy that serves
 * goes on meanwhile, and so does the loop. A load without such lists is over when policy_loading_ask returns.
 */
#ifndef STEERWAY_FOLLOW_POLICY_LOADING_H
#define STEERWAY_FOLLOW_POLICY_LOADING_H

#include "base/list.h"
#include "policy/policy.h"

#include <ev.h>
#include <pthread.h>

struct loading_verdict {
    bool loaded;
    double took_s;
    char err[POLICY_ERROR_MAX]; /* "" when it was loaded */
};

/** How a load has ended. */
typedef void loading_done_fn(void *arg, const struct loading_verdict *verdict);

struct loading_request {
    struct policy_source source; /* its text is our own; file NULL: the same again */
    const char *trigger;
    loading_done_fn *done;
    void *arg;
};

/** What happens in a load. After each of these, policy_file may name other files. */
enum loading_event {
    LOADING_READS,   /* the thread begins to read list files; a load that needs none skips this */
    LOADING_LOADED,  /* the new policy serves */
    LOADING_REFUSED, /* the old policy serves on */
};

/** Hears of every load, whoever asked for it. Embedded by its owner. */
struct loading_listener {
    struct list node;
    void (*hear)(struct loading_listener *l, enum loading_event event);
};

enum { POLICY_LOADING_MAX = 32 }; /* requests at once, the one under way included */

/** Embedded by its owner; zero-initialised is "not open". */
struct policy_loading {
    struct ev_loop *loop;
    struct policy *policy;
    struct list listeners;
    struct loading_request waiting[POLICY_LOADING_MAX]; /* the first is under way */
    size_t n_waiting;
    double began_s;
    bool running; /* a step of a load is being done */
    bool reading;
    pthread_t reader;
    ev_async was_read;
    atomic_bool stop;
};

void policy_loading_open(struct policy_loading *l, struct ev_loop *loop, struct policy *policy);
/** Loads that are under way are given up, and those who wait are told. Harmless on one that is not open. */
void policy_loading_close(struct policy_loading *l);

/** Hear of loads from now on, after those who listen already, and before the one who asked for the load. End
 *  it by policy_loading_leave, which the listener may also do while it hears. */
void policy_loading_listen(struct policy_loading *l, struct loading_listener *listener);
/** Harmless on a listener that has left, and after policy_loading_close. */
void policy_loading_leave(struct loading_listener *listener);

/** Whether a load is under way, or waits. */
bool policy_loading_busy(const struct policy_loading *l);

/** Load another file, or the same one with other parameters, or with NULL the same again.
 *  @param source   copied
 *  @param trigger  who asks, for the log: "signal", "file" or "control"; must not be freed
 *  @param done     called once, perhaps before this returns; NULL for nobody */
void policy_loading_ask(struct policy_loading *l, const struct policy_source *source, const char *trigger,
                        loading_done_fn *done, void *arg);

/** Warn of what was set for uplinks and means nothing with the policy that is loaded. After a start; a load
 * that succeeds does so itself. */
void policy_loading_warn(const struct policy *p);

#endif
