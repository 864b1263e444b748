/* Who may use the proxy: client address ranges and users. */
#ifndef STEERWAY_SESSION_ACCESS_H
#define STEERWAY_SESSION_ACCESS_H

#include "base/compiler.h"
#include "base/slice.h"
#include "net/addr.h"

struct access_user {
    char *name, *pass;
};

struct access {
    struct cidr_set clients; /* who may connect; empty: nobody */
    struct access_user *users;
    size_t n_users; /* 0: no authentication */
};

/** Add "USER:PASS"; the name is 1..255 octets without ':', the password at most 255.
 *  @return 0, -EINVAL, -EEXIST for a name given twice, -ENOMEM */
MUST_CHECK int access_add_user(struct access *a, struct slice user_pass);

/** Add the users of a file: one USER:PASS a line; blank lines and lines that start with '#' are skipped.
 *  It must be a regular file of 1 MiB at most.
 *  @return 0, or negative errno with a line in err that names file and line number, never the password */
MUST_CHECK int access_add_file(struct access *a, const char *path, char *err, size_t err_size);

/** Loopback, RFC 1918, RFC 4193 and link-local ranges: those served when nobody said otherwise.
 *  @return 0, -ENOMEM */
MUST_CHECK int access_allow_private(struct access *a);

bool access_client_allowed(const struct access *a, const struct addr *client);
static inline bool access_needs_user(const struct access *a)
{
    return a->n_users > 0;
}
/** Takes the same time whichever user or octet differs. */
bool access_check_user(const struct access *a, struct slice user, struct slice pass);

void access_done(struct access *a);

#endif
