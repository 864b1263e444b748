/* Finds the Lua files: the engine's own, and the shipped policies. */
#ifndef STEERWAY_CONFIG_PATHS_H
#define STEERWAY_CONFIG_PATHS_H

#include "base/compiler.h"

#include <stddef.h>

struct paths {
    char *lua_dir, *policies_dir;
};

/** Look in data_dir if given, else in $STEERWAY_DATA_DIR if set. Else look beside an installed program, or
 * in the source tree of a program in a build folder.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int paths_find(struct paths *ret, const char *data_dir, char *err);
void paths_done(struct paths *p);

/** The file of a policy. A name with a '/' or ending in ".lua" is a path; any other is looked up in
 * policies_dir.
 *  @param ret  to be freed
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) that lists the shipped policies */
MUST_CHECK int paths_policy(const struct paths *p, const char *name, char **ret, char *err);

/** The names of the policies that ship, in the order of the alphabet.
 *  @param ret  the names and their list, to be freed @return how many */
size_t paths_list_policies(const struct paths *p, char ***ret);

#endif
