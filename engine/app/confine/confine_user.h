/* The user that the proxy is to run as. */
#ifndef STEERWAY_CONFINE_CONFINE_USER_H
#define STEERWAY_CONFINE_CONFINE_USER_H

#include "base/compiler.h"

#include <limits.h>
#include <sys/types.h>

enum { CONFINE_USER_GROUPS_MAX = 64, CONFINE_USER_NAME_MAX = 64 };

struct confine_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[CONFINE_USER_GROUPS_MAX]; /* gid and, unless a group was named, those of the user */
    int n_groups;
    char name[CONFINE_USER_NAME_MAX]; /* or the number */
    char home[PATH_MAX];              /* "/" if it has none */
};

/** Ask the system's list of users, which may wait for a server.
 *  @param text  USER or USER:GROUP, each a name or a number
 *  @return 0, or -EINVAL with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int confine_user_find(struct confine_user *ret, const char *text, char *err);

#endif
