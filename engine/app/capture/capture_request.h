/* What the user wants to be captured: whose traffic, of which networks, and what happens without the proxy.
 */
#ifndef STEERWAY_CAPTURE_CAPTURE_REQUEST_H
#define STEERWAY_CAPTURE_CAPTURE_REQUEST_H

#include "base/compiler.h"

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CAPTURE_LANS_MAX = 16, CAPTURE_USERS_MAX = 32, CAPTURE_CGROUPS_MAX = 16 };
enum { CAPTURE_CGROUP_MAX = 256, CAPTURE_ERROR_MAX = 512 };

/** All zero: this machine's own traffic, of all users, which flows past a proxy that is gone. */
struct capture_request {
    char lans[CAPTURE_LANS_MAX][IFNAMSIZ]; /* interfaces to networks behind this machine */
    size_t n_lans;
    uint32_t users[CAPTURE_USERS_MAX]; /* with users or cgroups, only their traffic of this machine's own */
    size_t n_users;
    char cgroups[CAPTURE_CGROUPS_MAX][CAPTURE_CGROUP_MAX]; /* paths below the root of cgroup v2 */
    size_t n_cgroups;
    bool stops; /* without the proxy, captured traffic is stopped */
};

/* Each adds one, unless it is there. @return 0, or -EINVAL with one line in err (CAPTURE_ERROR_MAX) */
MUST_CHECK int capture_request_add_lan(struct capture_request *r, const char *interface, char *err);
/** @param name  a user's name or number */
MUST_CHECK int capture_request_add_user(struct capture_request *r, const char *name, char *err);
/** @param path  with or without the folder where cgroup v2 is mounted */
MUST_CHECK int capture_request_add_cgroup(struct capture_request *r, const char *path, char *err);
/** @param word  pass or stop */
MUST_CHECK int capture_request_set_when_gone(struct capture_request *r, const char *word, char *err);

/** @return a new reference, or NULL without memory */
json_t *capture_request_json(const struct capture_request *r);
/** @return 0, or -EINVAL with one line in err (CAPTURE_ERROR_MAX) */
MUST_CHECK int capture_request_parse(struct capture_request *ret, const json_t *o, char *err);

/** The options of `steerway capture` that ask for it, each with a space before it. @return out */
const char *capture_request_options(const struct capture_request *r, char *out, size_t size);

#endif
