#include "confine/confine.h"

#include "config/config.h"
#include "confine/confine_rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_SOUGHT 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define LEAKS_ARE_SOUGHT 1
#endif
#ifndef LEAKS_ARE_SOUGHT
#define LEAKS_ARE_SOUGHT 0 /* by LeakSanitizer, which traces the process at its end */
#endif

/* capset, without the library libcap-ng, which is not worth a dependency for one call. */
static int set_rights(uint64_t rights)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const uint32_t low = (uint32_t)rights, high = (uint32_t)(rights >> 32);
    struct __user_cap_data_struct data[2] = {{low, low, low}, {high, high, high}};

    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/* A program that another user than root starts has only the ambient ones. */
static void pass_rights_on(uint64_t rights)
{
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long i = 0; i <= CAP_LAST_CAP; i++)
        if (rights >> i & 1)
            (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0);
}

static void forbid_dumps(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, LEAKS_ARE_SOUGHT, 0, 0, 0);
}

void confine_process(void)
{
    const uint64_t held = confine_rights_held();

    forbid_dumps();
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* From now on, the program's file gives its successor no right. */
    if (geteuid() != 0 && held != 0 && set_rights(held) == 0)
        pass_rights_on(held);
}

/* --- becoming a user ------------------------------------------------------------------------------------ */

int confine_may_become(const struct confine_user *user, char *err)
{
    if (geteuid() == 0 || geteuid() == user->uid)
        return 0;
    (void)snprintf(err, CONFIG_ERROR_MAX, "--run-as %.60s: start the proxy as root, or as that user",
                   user->name);
    return -EPERM;
}

/* Not even a program of root that it could start would have more. Needs CAP_SETPCAP. */
static void bound_rights(uint64_t rights)
{
    for (unsigned long i = 0; i <= CAP_LAST_CAP; i++)
        if (!(rights >> i & 1))
            (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

static int change_user(const struct confine_user *user)
{
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups((size_t)user->n_groups, user->groups) < 0 ||
        setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0)
        return -errno;
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    (void)setenv("HOME", user->home, 1);
    (void)setenv("USER", user->name, 1);
    (void)setenv("LOGNAME", user->name, 1);
    return 0;
}

int confine_become(const struct confine_user *user, uint64_t rights, char *err)
{
    const uint64_t kept = rights & confine_rights_held();
    int r = 0;

    bound_rights(kept);
    if (geteuid() == 0)
        r = change_user(user);
    if (r == 0)
        r = set_rights(kept);
    if (r < 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "--run-as %.60s: %s", user->name, strerror(-r));
        return r;
    }
    pass_rights_on(kept);
    forbid_dumps(); /* a change of the user has reset it */
    if (setresuid(0, 0, 0) == 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "--run-as %.60s: the process is still root", user->name);
        return -EPERM;
    }
    return 0;
}
