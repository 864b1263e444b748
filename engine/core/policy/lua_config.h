/* Evaluates a config file, which is Lua that returns a table, in the policies' sandbox. The table becomes
 * JSON, so other rooms do not need Lua. */
#ifndef STEERWAY_POLICY_LUA_CONFIG_H
#define STEERWAY_POLICY_LUA_CONFIG_H

#include "base/compiler.h"

#include <jansson.h>

/** Run the file in the policies' sandbox, with `os.getenv` added for secrets. Only text chunks are
 * accepted; limits are 1 s of CPU time and 64 MiB; `require` finds files beside it. The returned table is
 * converted: keys 1..n make an array, string keys an object; an empty table is an empty object.
 * Functions, cycles, depth over 16 and NaN are refused, with the path of keys.
 *  @param lua_dir  the folder that holds steerway/host.lua
 *  @return 0, or negative errno with one line in err (1,024 bytes) that names file and line or key, and
 * quotes nothing of the file's text */
MUST_CHECK int lua_config_load(const char *path, const char *lua_dir, json_t **ret, char *err);

#endif
