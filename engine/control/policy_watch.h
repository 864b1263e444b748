/* Watches the files that the policy has read, so that saving one in an editor is enough to load it anew. */
#ifndef STEERWAY_CONTROL_POLICY_WATCH_H
#define STEERWAY_CONTROL_POLICY_WATCH_H

#include "control/policy_loading.h"

#include <ev.h>

enum { POLICY_WATCH_FOLDERS_MAX = 32 };

/** Embedded by its owner; zero-initialised is "not started". */
struct policy_watch {
    struct ev_loop *loop;
    struct policy *policy;
    struct policy_loading *loading;
    int fd; /* inotify's */
    ev_io io;
    ev_timer settle;                       /* a save takes several steps: wait for the last */
    ev_timer look;                         /* a folder was lost: look whether it has come again */
    int folders[POLICY_WATCH_FOLDERS_MAX]; /* watch descriptors */
    char *names[POLICY_WATCH_FOLDERS_MAX]; /* of those folders */
    size_t n_folders;
};

/** All that is given must outlive it; it is renewed after each load. @return 0 or negative errno */
MUST_CHECK int policy_watch_start(struct policy_watch *w, struct ev_loop *loop, struct policy *policy,
                                  struct policy_loading *loading);
/** Harmless on one that was not started. */
void policy_watch_stop(struct policy_watch *w);

/** The policy has read other files, since it was loaded anew. */
void policy_watch_renew(struct policy_watch *w);

#endif
