#include "confine/confine_user.h"

#include "config/config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The highest number means "no change" to the kernel. @return false if text is not a number */
static bool read_number(const char *text, unsigned long *ret)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 10 || text[digits])
        return false;
    *ret = strtoul(text, NULL, 10);
    return *ret < UINT32_MAX;
}

static void take_user(struct confine_user *ret, const struct passwd *p)
{
    ret->uid = p->pw_uid;
    ret->gid = p->pw_gid;
    if (p->pw_dir && p->pw_dir[0] == '/' && strlen(p->pw_dir) < sizeof ret->home)
        (void)strcpy(ret->home, p->pw_dir);
    ret->n_groups = CONFINE_USER_GROUPS_MAX;
    if (getgrouplist(p->pw_name, p->pw_gid, ret->groups, &ret->n_groups) < 0)
        ret->n_groups = CONFINE_USER_GROUPS_MAX; /* the first ones */
}

static int find_group(struct confine_user *ret, const char *name, char *err)
{
    const struct group *g = getgrnam(name);
    unsigned long number;

    if (g)
        ret->gid = g->gr_gid;
    else if (read_number(name, &number))
        ret->gid = (gid_t)number;
    else
        return config_refuse(err, "this machine has no group '%.60s'", name);
    ret->groups[0] = ret->gid;
    ret->n_groups = 1;
    return 0;
}

static int find_user(struct confine_user *ret, const char *name, bool has_group, char *err)
{
    const struct passwd *p = getpwnam(name);
    unsigned long number;

    if (!p && read_number(name, &number)) {
        p = getpwuid((uid_t)number);
        ret->uid = (uid_t)number;
        if (!p && !has_group)
            return config_refuse(err, "user %.60s has no group: write %.60s:GROUP", name, name);
    } else if (!p) {
        return config_refuse(err, "this machine has no user '%.60s'; useradd --system makes one", name);
    }
    if (p)
        take_user(ret, p);
    return ret->uid == 0 ? config_refuse(err, "'%.60s' is root; name another user", name) : 0;
}

int confine_user_find(struct confine_user *ret, const char *text, char *err)
{
    size_t len = strcspn(text, ":");
    const char *group = text[len] ? text + len + 1 : NULL;

    *ret = (struct confine_user){.home = "/"};
    if (len == 0 || len >= sizeof ret->name || (group && !*group))
        return config_refuse(err, "expected USER or USER:GROUP, got '%.60s'", text);
    memcpy(ret->name, text, len);
    int r = find_user(ret, ret->name, group != NULL, err);
    return r == 0 && group ? find_group(ret, group, err) : r;
}
