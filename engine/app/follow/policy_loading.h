/* Loads policies while the proxy runs. The result of each load is logged, whatever asked for it.
 *
 * Loads run one after the other. A thread reads list files; policy and loop continue meanwhile. A load
 * without list files is complete when policy_loading_ask returns. */
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

/** Called with the result of a load. */
typedef void loading_done_fn(void *arg, const struct loading_verdict *verdict);

struct loading_request {
    struct policy_source source; /* with copies of its texts; file NULL: the same source again */
    const char *trigger;
    loading_done_fn *done;
    void *arg;
};

/** The events of a load. After each of them, policy_file may name other files. */
enum loading_event {
    LOADING_READS,   /* the thread begins to read list files; skipped by a load without them */
    LOADING_LOADED,  /* the new policy serves */
    LOADING_REFUSED, /* the old policy continues */
};

/** Receives the events of every load. Embedded by its owner. */
struct loading_listener {
    struct list node;
    void (*hear)(struct loading_listener *l, enum loading_event event);
};

enum { POLICY_LOADING_MAX = 32 }; /* limit of requests, including the running one */

/** Embedded by its owner; zero-initialised is "not open". */
struct policy_loading {
    struct ev_loop *loop;
    struct policy *policy;
    struct list listeners;
    struct loading_request waiting[POLICY_LOADING_MAX]; /* the first one is running */
    size_t n_waiting;
    double began_s;
    bool running; /* a step of a load is running */
    bool reading;
    pthread_t reader;
    ev_async was_read;
    atomic_bool stop;
};

void policy_loading_open(struct policy_loading *l, struct ev_loop *loop, struct policy *policy);
/** Running loads are abandoned, and their callbacks called. Harmless when not open. */
void policy_loading_close(struct policy_loading *l);

/** Receive events from now on, after earlier listeners, and before the callback of the request. End it by
 * policy_loading_leave, also from within an event. */
void policy_loading_listen(struct policy_loading *l, struct loading_listener *listener);
/** Harmless on a listener that has left, and after policy_loading_close. */
void policy_loading_leave(struct loading_listener *listener);

/** Whether a load is running or waiting. */
bool policy_loading_busy(const struct policy_loading *l);

/** Load another file, or the same file with other parameters, or with NULL the same source again.
 *  @param source   copied
 *  @param trigger  for the log: "signal", "file" or "control"; must not be freed
 *  @param done     called once, perhaps before this returns; NULL for none */
void policy_loading_ask(struct policy_loading *l, const struct policy_source *source, const char *trigger,
                        loading_done_fn *done, void *arg);

/** Warn of uplink settings that the loaded policy ignores. For the start; a successful load warns by
 * itself. */
void policy_loading_warn(const struct policy *p);

#endif
