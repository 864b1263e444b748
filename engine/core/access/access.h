/* Clients and users that may use the proxy: address ranges and passwords. */
#ifndef STEERWAY_ACCESS_ACCESS_H
#define STEERWAY_ACCESS_ACCESS_H

#include "addr/addr.h"
#include "base/compiler.h"
#include "base/keyed_hash.h"
#include "base/slice.h"

struct access_user {
    char *name;
    char *pass;    /* or its hash */
    bool hashed;   /* by crypt(3) */
    uint64_t hash; /* of the name */
};

struct access {
    struct cidr_set clients; /* ranges of clients that may connect; empty: none may */
    struct access_user *users;
    size_t n_users;      /* 0: no login needed */
    size_t first_hashed; /* index of the first user with a hashed password + 1; 0: none has */
    char *readable;      /* a file of users that others can read; NULL for none */
    uint32_t *slots;     /* hash table: index of a user + 1; 0 for a free slot */
    size_t n_slots;      /* a power of 2, more than twice n_users; 0 before the first user */
    struct hash_key key; /* of the hash table, so that nobody can choose names that collide */
};

/** Add "USER:PASS"; the name is 1..255 bytes without ':', the password at most 255 bytes (RFC 1929).
 *  @return 0, -EINVAL, -EEXIST for a duplicate name, -ENOMEM */
MUST_CHECK int access_add_user(struct access *a, struct slice user_pass);

/** Add the users of a file: one USER:PASS a line, or USER:HASH with a hash of crypt(3) (hashes.h); blank
 * lines and lines that start with '#' are skipped. It must be a regular file of 1 MiB at most.
 *  @return 0, or negative errno with a line in err that names file and line number, never the password */
MUST_CHECK int access_add_file(struct access *a, const char *path, char *err, size_t err_size);

/** Add the default ranges: loopback, RFC 1918, RFC 4193 and link-local.
 *  @return 0, -ENOMEM */
MUST_CHECK int access_allow_private(struct access *a);

bool access_client_allowed(const struct access *a, const struct addr *client);
static inline bool access_needs_user(const struct access *a)
{
    return a->n_users > 0;
}
/** Check a password that is not hashed, in constant time: one look-up and one comparison, also for an unknown
 * user or a wrong byte. */
bool access_check_user(const struct access *a, struct slice user, struct slice pass);
/** The hash to check where access_check_user is false. Any password is checked against one if there are
 * hashed passwords, so that the time tells nothing about the user.
 *  @param ret_counts  whether it is that user's
 *  @return NULL: no password is hashed */
const char *access_hash_for(const struct access *a, struct slice user, bool *ret_counts);
/** Whether the user exists. Not for input from clients: its time reveals the answer. */
bool access_has_user(const struct access *a, struct slice name);

/** Remove all users. */
void access_clear_users(struct access *a);

void access_done(struct access *a);

#endif
