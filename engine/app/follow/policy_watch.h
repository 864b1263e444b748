/* Watches the files that the policy has read, so that saving one loads the policy again.
 *
 * The target of a path changes in many ways. The file is saved in place or replaced. A link on the way is
 * changed (current -> releases/7, the ..data links of Kubernetes). A folder on the way is moved away and
 * replaced. So each path is followed component by component. Watched are the file's folder, and the folder
 * of each link on the way, for that name. For a missing component, its parent folder is watched. Each
 * folder on the way is also watched for its own removal, if it may be listed. */
#ifndef STEERWAY_FOLLOW_POLICY_WATCH_H
#define STEERWAY_FOLLOW_POLICY_WATCH_H

#include "follow/policy_loading.h"

#include <ev.h>

enum { POLICY_WATCH_POINTS_MAX = 1024 };

/** A name in a folder; "" means the folder itself. */
struct watch_point {
    char *folder, *name;
    int watch; /* inotify's number */
};

/** Embedded by its owner; zero-initialised is "not started". */
struct policy_watch {
    struct ev_loop *loop;
    struct policy *policy;
    struct policy_loading *loading;
    struct loading_listener listener;
    int fd; /* inotify's */
    ev_io io;
    ev_timer settle; /* a save has several steps: waits for the last */
    ev_timer look;   /* a watch failed: tries again */
    struct watch_point *points;
    size_t n_points;
    bool blind; /* a watch failed */
};

/** The arguments must outlive it. It is renewed after each load. @return 0 or negative errno */
MUST_CHECK int policy_watch_start(struct policy_watch *w, struct ev_loop *loop, struct policy *policy,
                                  struct policy_loading *loading);
/** Harmless when it was not started. */
void policy_watch_stop(struct policy_watch *w);

/** The policy was loaded again and has read other files, or their paths lead elsewhere. */
void policy_watch_renew(struct policy_watch *w);

#endif
