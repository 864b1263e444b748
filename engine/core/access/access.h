/* Who may use the proxy: client address ranges and users. */
#ifndef STEERWAY_ACCESS_ACCESS_H
#define STEERWAY_ACCESS_ACCESS_H

#include "addr/addr.h"
#include "base/compiler.h"
#include "base/keyed_hash.h"
#include "base/slice.h"

struct access_user {
    char *name, *pass;
    uint64_t hash; /* of the name */
};

struct access {
    struct cidr_set clients; /* who may connect; empty: nobody */
    struct access_user *users;
    size_t n_users;      /* 0: no authentication */
    uint32_t *slots;     /* a hash table: a user's index + 1; 0 for none */
    size_t n_slots;      /* a power of 2, more than twice n_users; 0 before the first user */
    struct hash_key key; /* of the table, so that nobody can choose names that fall together */
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
/** One look-up and one comparison, however many users there are. The comparison takes the same time whichever
 * byte differs, and for an unknown user. */
bool access_check_user(const struct access *a, struct slice user, struct slice pass);
/** Whether there is a user of that name. Not for what clients send: the time it takes tells. */
bool access_has_user(const struct access *a, struct slice name);

/** Forget all users. */
void access_clear_users(struct access *a);

void access_done(struct access *a);

#endif
