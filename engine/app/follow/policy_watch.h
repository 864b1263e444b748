/* Watches the files that the policy has read, so that saving one in an editor is enough to load it anew.
 *
 * What a path leads to changes in many ways: the file is saved in place or replaced, a link on the way points
 * elsewhere (current -> releases/7, the ..data links of Kubernetes), a folder on the way is moved away and
 * another one takes its place. So each path is followed component by component, and watched are: the folder
 * in which the file stands, each folder in which a link on the way stands, for that name; where something is
 * missing, the folder in which it would stand; and each folder on the way for its own end, where it may be
 * listed. */
#ifndef STEERWAY_FOLLOW_POLICY_WATCH_H
#define STEERWAY_FOLLOW_POLICY_WATCH_H

#include "follow/policy_loading.h"

#include <ev.h>

enum { POLICY_WATCH_POINTS_MAX = 1024 };

/** A name in a folder; or with the name "" the folder itself. */
struct watch_point {
    char *folder, *name;
    int watch; /* inotify's */
};

/** Embedded by its owner; zero-initialised is "not started". */
struct policy_watch {
    struct ev_loop *loop;
    struct policy *policy;
    struct policy_loading *loading;
    struct loading_listener listener;
    int fd; /* inotify's */
    ev_io io;
    ev_timer settle; /* a save takes several steps: wait for the last */
    ev_timer look;   /* something cannot be watched: try again */
    struct watch_point *points;
    size_t n_points;
    bool blind; /* something cannot be watched */
};

/** All that is given must outlive it; it is renewed after each load. @return 0 or negative errno */
MUST_CHECK int policy_watch_start(struct policy_watch *w, struct ev_loop *loop, struct policy *policy,
                                  struct policy_loading *loading);
/** Harmless on one that was not started. */
void policy_watch_stop(struct policy_watch *w);

/** The policy has read other files, since it was loaded anew; or their paths lead elsewhere. */
void policy_watch_renew(struct policy_watch *w);

#endif
