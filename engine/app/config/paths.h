/* Where the Lua files are: those of the engine and the policies that ship. */
#ifndef STEERWAY_CONFIG_PATHS_H
#define STEERWAY_CONFIG_PATHS_H

#include "base/compiler.h"

struct paths {
    char *lua_dir, *policies_dir;
};

/** Look in data_dir when it is given, else in $STEERWAY_DATA_DIR when that is set, else where an installed
 * binary has them, else, for a binary in a build folder, in the source tree.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int paths_find(struct paths *ret, const char *data_dir, char *err);
void paths_done(struct paths *p);

/** The file of a policy: what has a '/' or ends in ".lua" is one, anything else a name in policies_dir.
 *  @param ret  to be freed
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) that lists the policies there are */
MUST_CHECK int paths_policy(const struct paths *p, const char *name, char **ret, char *err);

#endif
