#include "capture/capture_request.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int refuse_request(char *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

static int refuse_request(char *err, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(err, CAPTURE_ERROR_MAX, fmt, args);
    va_end(args);
    return -EINVAL;
}

/* --- one of each ---------------------------------------------------------------------------------------- */

/* The text goes into a script of nft within quotes, and into commands for a shell. nft reads a '*' at the end
 * as a pattern. */
static bool is_plain(const char *text, const char *also)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@:";

    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr(also, *text))
            return false;
    return true;
}

int capture_request_add_lan(struct capture_request *r, const char *interface, char *err)
{
    if (!*interface || strlen(interface) >= IFNAMSIZ || !is_plain(interface, ""))
        return refuse_request(err, "--lan: '%.60s' is not an interface's name", interface);
    for (size_t i = 0; i < r->n_lans; i++)
        if (strcmp(r->lans[i], interface) == 0)
            return 0;
    if (strcmp(interface, "lo") == 0)
        return refuse_request(err,
                              "--lan: lo is this machine itself, whose traffic is captured without --lan");
    if (r->n_lans == CAPTURE_LANS_MAX)
        return refuse_request(err, "--lan: at most %d interfaces", CAPTURE_LANS_MAX);
    (void)snprintf(r->lans[r->n_lans++], IFNAMSIZ, "%s", interface);
    return 0;
}

static int add_uid(struct capture_request *r, uint32_t uid, char *err)
{
    for (size_t i = 0; i < r->n_users; i++)
        if (r->users[i] == uid)
            return 0;
    if (r->n_users == CAPTURE_USERS_MAX)
        return refuse_request(err, "--user: at most %d users", CAPTURE_USERS_MAX);
    r->users[r->n_users++] = uid;
    return 0;
}

int capture_request_add_user(struct capture_request *r, const char *name, char *err)
{
    const struct passwd *user = getpwnam(name);
    char *end = NULL;

    if (user)
        return add_uid(r, user->pw_uid, err);
    errno = 0;
    unsigned long long uid = strtoull(name, &end, 10);
    if (*name < '0' || *name > '9' || *end || errno != 0 || uid >= UINT32_MAX)
        return refuse_request(err, "--user: this machine has no user '%.60s'", name);
    return add_uid(r, (uint32_t)uid, err);
}

/* The path below the root of cgroup v2. Systems that mount v1 as well have v2 in the second place. */
static const char *below_mount(const char *path)
{
    static const char *const mounts[] = {"/sys/fs/cgroup/unified/", "/sys/fs/cgroup/"};

    for (size_t i = 0; i < ARRAY_LEN(mounts); i++)
        if (strncmp(path, mounts[i], strlen(mounts[i])) == 0)
            return path + strlen(mounts[i]);
    return path + strspn(path, "/");
}

int capture_request_add_cgroup(struct capture_request *r, const char *path, char *err)
{
    const char *rest = below_mount(path);
    size_t len = strlen(rest);

    while (len > 0 && rest[len - 1] == '/')
        len--;
    /* systemd writes some characters of a unit's name as \x2d. */
    if (len == 0 || len >= CAPTURE_CGROUP_MAX || !is_plain(rest, "/\\+") || strstr(rest, "//") ||
        strstr(rest, ".."))
        return refuse_request(err, "--cgroup: '%.200s' is not a path below the root of cgroup v2", path);
    for (size_t i = 0; i < r->n_cgroups; i++)
        if (strncmp(r->cgroups[i], rest, len) == 0 && !r->cgroups[i][len])
            return 0;
    if (r->n_cgroups == CAPTURE_CGROUPS_MAX)
        return refuse_request(err, "--cgroup: at most %d paths", CAPTURE_CGROUPS_MAX);
    (void)snprintf(r->cgroups[r->n_cgroups++], CAPTURE_CGROUP_MAX, "%.*s", (int)len, rest);
    return 0;
}

int capture_request_set_when_gone(struct capture_request *r, const char *word, char *err)
{
    if (strcmp(word, "pass") != 0 && strcmp(word, "stop") != 0)
        return refuse_request(err, "--when-gone: expected pass or stop, got '%.60s'", word);
    r->stops = strcmp(word, "stop") == 0;
    return 0;
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

json_t *capture_request_json(const struct capture_request *r)
{
    json_t *lans = json_array(), *users = json_array(), *cgroups = json_array();

    for (size_t i = 0; i < r->n_lans; i++)
        (void)json_array_append_new(lans, json_string(r->lans[i]));
    for (size_t i = 0; i < r->n_users; i++)
        (void)json_array_append_new(users, json_integer(r->users[i]));
    for (size_t i = 0; i < r->n_cgroups; i++)
        (void)json_array_append_new(cgroups, json_string(r->cgroups[i]));
    return json_pack("{s:o, s:o, s:o, s:s}", "lan", lans, "user", users, "cgroup", cgroups, "when_gone",
                     r->stops ? "stop" : "pass");
}

static int parse_texts(struct capture_request *r, const json_t *list, char *err,
                       int (*add)(struct capture_request *r, const char *text, char *err))
{
    const json_t *item;
    size_t i;
    int rc = 0;

    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (rc == 0)
            rc = text ? add(r, text, err) : refuse_request(err, "expected a list of texts");
    }
    return rc;
}

static int parse_users(struct capture_request *r, const json_t *list, char *err)
{
    const json_t *item;
    size_t i;
    int rc = 0;

    json_array_foreach(list, i, item)
    {
        json_int_t uid = json_is_integer(item) ? json_integer_value(item) : -1;
        if (rc == 0)
            rc = uid >= 0 && uid < UINT32_MAX ? add_uid(r, (uint32_t)uid, err)
                                              : refuse_request(err, "user: expected numbers of users");
    }
    return rc;
}

int capture_request_parse(struct capture_request *ret, const json_t *o, char *err)
{
    struct capture_request r = {.n_lans = 0};
    const char *when_gone = json_string_value(json_object_get(o, "when_gone"));
    int rc = json_is_object(o) ? 0 : refuse_request(err, "expected a \"request\", an object");

    if (rc == 0)
        rc = parse_texts(&r, json_object_get(o, "lan"), err, capture_request_add_lan);
    if (rc == 0)
        rc = parse_texts(&r, json_object_get(o, "cgroup"), err, capture_request_add_cgroup);
    if (rc == 0)
        rc = parse_users(&r, json_object_get(o, "user"), err);
    if (rc == 0)
        rc = capture_request_set_when_gone(&r, when_gone ? when_gone : "pass", err);
    if (rc == 0)
        *ret = r;
    return rc;
}

/* --- words ---------------------------------------------------------------------------------------------- */

const char *capture_request_options(const struct capture_request *r, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < r->n_lans && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, " --lan %s", r->lans[i]);
    for (size_t i = 0; i < r->n_users && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, " --user %u", r->users[i]);
    for (size_t i = 0; i < r->n_cgroups && len < size; i++)
        len += (size_t)snprintf(out + len, size - len, " --cgroup %s", r->cgroups[i]);
    if (r->stops && len < size)
        (void)snprintf(out + len, size - len, " --when-gone stop");
    return out;
}
