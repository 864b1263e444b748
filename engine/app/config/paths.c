#include "config/paths.h"

#include "base/nearest.h"
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char ENDING[] = ".lua";

/* --- the data folder ------------------------------------------------------------------------------------ */

/* The folder counts if it has the engine's own Lua files. */
static bool has_lua(const char *dir)
{
    char *host = NULL;

    if (asprintf(&host, "%s/lua/steerway/host.lua", dir) < 0)
        return false;
    bool found = access(host, R_OK) == 0;
    free(host);
    return found;
}

static int take_folder(struct paths *ret, const char *dir)
{
    struct paths p = {.lua_dir = NULL};

    if (asprintf(&p.lua_dir, "%s/lua", dir) < 0)
        return -ENOMEM;
    if (asprintf(&p.policies_dir, "%s/policies", dir) < 0) {
        free(p.lua_dir);
        return -ENOMEM;
    }
    *ret = p;
    return 0;
}

/* The folder of this program. */
static int own_folder(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n < 0)
        return -errno;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (!slash)
        return -ENOENT;
    *slash = '\0';
    return 0;
}

static bool in_build_folder(const char *folder)
{
    char cache[PATH_MAX + sizeof "/CMakeCache.txt"];

    (void)snprintf(cache, sizeof cache, "%s/CMakeCache.txt", folder);
    return access(cache, F_OK) == 0;
}

static int find_installed(struct paths *ret)
{
    char folder[PATH_MAX], data[2 * PATH_MAX];
    int r = own_folder(folder);

    if (r < 0)
        return r;
    (void)snprintf(data, sizeof data, "%s/" STEERWAY_DATA_FROM_BIN, folder);
    if (has_lua(data))
        return take_folder(ret, data);
    if (in_build_folder(folder) && has_lua(STEERWAY_SOURCE_DIR))
        return take_folder(ret, STEERWAY_SOURCE_DIR);
    return -ENOENT;
}

int paths_find(struct paths *ret, const char *data_dir, char *err)
{
    const char *origin = "--data-dir";

    if (!data_dir) {
        data_dir = getenv("STEERWAY_DATA_DIR");
        origin = "STEERWAY_DATA_DIR";
    }
    int r;
    if (data_dir && *data_dir) {
        r = has_lua(data_dir) ? take_folder(ret, data_dir) : -ENOENT;
        if (r == -ENOENT)
            (void)snprintf(err, CONFIG_ERROR_MAX, "%s: no lua/steerway/host.lua in %.500s", origin, data_dir);
    } else {
        r = find_installed(ret);
        if (r == -ENOENT)
            (void)snprintf(
                err, CONFIG_ERROR_MAX,
                "cannot find the folders lua and policies: install the program, or name the folder that "
                "holds them with --data-dir");
    }
    if (r < 0 && r != -ENOENT)
        (void)snprintf(err, CONFIG_ERROR_MAX, "the program's own files: %s", strerror(-r));
    return r;
}

void paths_done(struct paths *p)
{
    free(p->lua_dir);
    free(p->policies_dir);
    *p = (struct paths){.lua_dir = NULL};
}

/* --- policies ------------------------------------------------------------------------------------------- */

static int is_policy(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), ending = sizeof ENDING - 1;

    return entry->d_name[0] != '.' && len > ending && strcmp(entry->d_name + len - ending, ENDING) == 0;
}

size_t paths_list_policies(const struct paths *p, char ***ret)
{
    struct dirent **entries = NULL;
    int n = scandir(p->policies_dir, &entries, is_policy, alphasort);
    char **names = n > 0 ? calloc((size_t)n, sizeof *names) : NULL;
    size_t count = 0;

    for (int i = 0; i < n; i++) {
        size_t len = strlen(entries[i]->d_name) - (sizeof ENDING - 1);
        char *name = names ? strndup(entries[i]->d_name, len) : NULL;
        if (name)
            names[count++] = name;
        free(entries[i]);
    }
    free(entries);
    *ret = names;
    return count;
}

/* "unknown policy 'lest_connections'; did you mean least_connections? (known: …)" */
static void tell_policies(const struct paths *p, const char *name, char *err)
{
    struct nearest nearest;
    char known[CONFIG_ERROR_MAX / 2] = "none", **names;
    size_t len = 0, n = paths_list_policies(p, &names);

    nearest_init(&nearest, slice_str(name));
    for (size_t i = 0; i < n; i++) {
        nearest_offer(&nearest, names[i]);
        if (len < sizeof known)
            len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", names[i]);
    }
    (void)snprintf(err, CONFIG_ERROR_MAX,
                   "unknown policy '%.100s'%s%s%s (known: %s; a file of your own is ./FILE.lua)", name,
                   nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "",
                   nearest.best ? "?" : "", known);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

int paths_policy(const struct paths *p, const char *name, char **ret, char *err)
{
    bool is_file = config_policy_is_file(name);
    char *file = NULL;

    if ((is_file ? asprintf(&file, "%s", name) : asprintf(&file, "%s/%s%s", p->policies_dir, name, ENDING)) <
        0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    if (access(file, R_OK) == 0) {
        *ret = file;
        return 0;
    }
    int r = -errno;
    free(file);
    if (is_file || r != -ENOENT)
        (void)snprintf(err, CONFIG_ERROR_MAX, "policy %.800s: %s", name, strerror(-r));
    else
        tell_policies(p, name, err);
    return r;
}
