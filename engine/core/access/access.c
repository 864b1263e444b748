#include "access/access.h"

#include "access/hashes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* RFC 1929: a length is one byte. */
enum { CREDENTIAL_MAX = 255 };
/* about 30,000 users */
enum { FILE_MAX = 1 << 20 };
enum { SLOTS_MIN = 8 };

/* Overwrite a password before its memory is freed. */
static void free_secret(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

/* --- the table ------------------------------------------------------------------------------------------ */

/* The slot where the search for a hash ends: the user's, or a free one. Users with equal 64-bit hashes
 * count as one. With 30,000 users that happens once in 2^35 runs, and is reported as a duplicate name. */
static size_t slot_of(const struct access *a, uint64_t hash)
{
    size_t at = (size_t)hash & (a->n_slots - 1);

    while (a->slots[at] != 0 && a->users[a->slots[at] - 1].hash != hash)
        at = (at + 1) & (a->n_slots - 1);
    return at;
}

static const struct access_user *find_user(const struct access *a, uint64_t hash)
{
    uint32_t found = a->n_slots > 0 ? a->slots[slot_of(a, hash)] : 0;

    return found > 0 ? &a->users[found - 1] : NULL;
}

/* Make room for half as many users as slots. */
static int grow(struct access *a)
{
    size_t n = a->n_slots > 0 ? a->n_slots * 2 : SLOTS_MIN;
    int r = a->n_slots > 0 ? 0 : hash_key_make(&a->key);

    if (r < 0)
        return r;
    struct access_user *users = reallocarray(a->users, n / 2, sizeof *users);
    if (!users)
        return -ENOMEM;
    a->users = users;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    free(a->slots);
    a->slots = slots;
    a->n_slots = n;
    for (size_t i = 0; i < a->n_users; i++)
        slots[slot_of(a, a->users[i].hash)] = (uint32_t)i + 1;
    return 0;
}

bool access_has_user(const struct access *a, struct slice name)
{
    const struct access_user *u = find_user(a, keyed_hash(&a->key, name));

    return u && slice_eq(slice_str(u->name), name);
}

/* --- users ---------------------------------------------------------------------------------------------- */

static int add_user(struct access *a, struct slice user_pass, bool hashed)
{
    const char *colon = user_pass.len ? memchr(user_pass.data, ':', user_pass.len) : NULL;
    if (!colon || memchr(user_pass.data, '\0', user_pass.len))
        return -EINVAL;
    struct slice name = slice_of(user_pass.data, (size_t)(colon - user_pass.data));
    struct slice pass = slice_of(colon + 1, user_pass.len - name.len - 1);
    if (name.len == 0 || name.len > CREDENTIAL_MAX || pass.len > CREDENTIAL_MAX)
        return -EINVAL;
    int r = a->n_slots > 2 * (a->n_users + 1) ? 0 : grow(a);
    if (r < 0)
        return r;
    uint64_t hash = keyed_hash(&a->key, name);
    if (find_user(a, hash))
        return -EEXIST;

    struct access_user user = {.name = strndup(name.data, name.len),
                               .pass = strndup(pass.data, pass.len),
                               .hash = hash,
                               .hashed = hashed};
    r = !user.name || !user.pass ? -ENOMEM : hashed && !hashes_are_known(user.pass) ? -ENOTSUP : 0;
    if (r < 0) {
        free(user.name);
        free_secret(user.pass);
        return r;
    }
    size_t slot = slot_of(a, hash);
    a->users[a->n_users++] = user;
    a->slots[slot] = (uint32_t)a->n_users;
    if (hashed && a->first_hashed == 0)
        a->first_hashed = a->n_users;
    return 0;
}

int access_add_user(struct access *a, struct slice user_pass)
{
    return add_user(a, user_pass, false);
}

static bool is_hashed(struct slice user_pass)
{
    const char *colon = user_pass.len ? memchr(user_pass.data, ':', user_pass.len) : NULL;

    return colon &&
           hashes_look_like(slice_of(colon + 1, user_pass.len - (size_t)(colon + 1 - user_pass.data)));
}

static bool is_blank_line(struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (!isspace((unsigned char)line.data[i]))
            return false;
    }
    return true;
}

static int add_line(struct access *a, struct slice line)
{
    while (line.len > 0 && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--; /* files from Windows end lines with CR LF */
    if (is_blank_line(line) || line.data[0] == '#')
        return 0;
    return add_user(a, line, is_hashed(line));
}

/* The line itself is never shown: it may hold a password. */
static const char *complaint(int error)
{
    switch (error) {
    case -EINVAL:
        return "expected USER:PASS, the user 1 to 255 bytes without ':', the password 255 at most";
    case -EEXIST:
        return "this user was given before";
    case -ENOTSUP:
        return hashes_are_there() ? "the hash of this password is of an unknown kind, or damaged"
                                  : "this build has no hashed passwords (needs libcrypt)";
    default:
        return strerror(-error);
    }
}

/* Accept only regular files of limited size; other files may never end. */
static int open_file(const char *path, FILE **ret, mode_t *ret_mode, char *err, size_t err_size)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

    if (fd < 0 || fstat(fd, &info) < 0) {
        r = -errno;
        (void)snprintf(err, err_size, "%s: %s", path, strerror(-r));
        goto fail;
    }
    if (!S_ISREG(info.st_mode) || info.st_size > FILE_MAX) {
        r = -EINVAL;
        (void)snprintf(err, err_size, "%s: %s", path,
                       S_ISREG(info.st_mode) ? "is larger than 1 MiB" : "expected a regular file");
        goto fail;
    }
    FILE *f = fdopen(fd, "r");
    if (f) {
        *ret = f;
        *ret_mode = info.st_mode;
        return 0;
    }
    r = -ENOMEM;
    (void)snprintf(err, err_size, "%s: %s", path, strerror(-r));

fail:
    if (fd >= 0)
        (void)close(fd);
    return r;
}

/* Plain passwords are for the owner only; hashes may be for a group. */
static void note_readable(struct access *a, const char *path, mode_t mode, size_t first)
{
    mode_t others = S_IRWXO;

    for (size_t i = first; i < a->n_users; i++)
        if (!a->users[i].hashed)
            others = S_IRWXG | S_IRWXO;
    if ((mode & others) != 0 && !a->readable)
        a->readable = strdup(path);
}

int access_add_file(struct access *a, const char *path, char *err, size_t err_size)
{
    FILE *f;
    mode_t mode;
    size_t first = a->n_users;
    int r = open_file(path, &f, &mode, err, err_size);
    if (r < 0)
        return r;
    char *line = NULL;
    size_t cap = 0, number = 0;
    ssize_t len;
    errno = 0;
    while (r == 0 && (len = getline(&line, &cap, f)) >= 0) {
        number++;
        r = add_line(a, slice_of(line, (size_t)len));
        explicit_bzero(line, cap);
        if (r < 0)
            (void)snprintf(err, err_size, "%s:%zu: %s", path, number, complaint(r));
        errno = 0;
    }
    if (r == 0 && !feof(f)) {
        r = errno ? -errno : -EIO;
        (void)snprintf(err, err_size, "%s: %s", path, strerror(-r));
    }
    if (r == 0)
        note_readable(a, path, mode, first);
    free(line);
    (void)fclose(f);
    return r;
}

int access_allow_private(struct access *a)
{
    static const char *const ranges[] = {
        "127.0.0.0/8",    "::1/128",                         /* this machine */
        "10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16", /* RFC 1918 */
        "fc00::/7",                                          /* RFC 4193 */
        "169.254.0.0/16", "fe80::/10",                       /* link-local: RFC 3927, RFC 4291 */
    };

    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        struct cidr c;
        int r = cidr_parse(&c, slice_str(ranges[i]));
        if (r == 0)
            r = cidr_set_add(&a->clients, &c);
        if (r < 0)
            return r;
    }
    return 0;
}

bool access_client_allowed(const struct access *a, const struct addr *client)
{
    return cidr_set_contains(&a->clients, client);
}

/* 0 when equal. Always compares as many bytes as the longest credential has, so the time shows neither a
 * length nor the place of a difference. */
static unsigned difference(struct slice given, const char *kept)
{
    size_t kept_len = strlen(kept);
    unsigned diff = (unsigned)(given.len ^ kept_len);

    for (size_t i = 0; i < CREDENTIAL_MAX; i++) {
        unsigned char g = given.len ? (unsigned char)given.data[i < given.len ? i : 0] : 0;
        diff |= (unsigned)(g ^ (unsigned char)kept[i < kept_len ? i : kept_len]) * (i < kept_len);
    }
    return diff;
}

bool access_check_user(const struct access *a, struct slice user, struct slice pass)
{
    static char nobody[] = ""; /* stands in for an unknown user, so that the time is the same */
    static const struct access_user dummy = {.name = nobody, .pass = nobody};
    const struct access_user *u = find_user(a, keyed_hash(&a->key, user));
    const struct access_user *with = u ? u : &dummy;

    unsigned diff = difference(user, with->name) | difference(pass, with->pass);
    return (diff == 0) & (u != NULL) & !with->hashed;
}

const char *access_hash_for(const struct access *a, struct slice user, bool *ret_counts)
{
    const struct access_user *u = find_user(a, keyed_hash(&a->key, user));

    if (a->first_hashed == 0)
        return NULL;
    *ret_counts = u && u->hashed && slice_eq(slice_str(u->name), user);
    return *ret_counts ? u->pass : a->users[a->first_hashed - 1].pass;
}

void access_clear_users(struct access *a)
{
    for (size_t i = 0; i < a->n_users; i++) {
        free(a->users[i].name);
        free_secret(a->users[i].pass);
    }
    free(a->users);
    free(a->slots);
    free(a->readable);
    *a = (struct access){.clients = a->clients};
}

void access_done(struct access *a)
{
    access_clear_users(a);
    cidr_set_done(&a->clients);
}
