/* A config file is Lua that returns a table; this evaluates it in the policies' sandbox and hands the table
 * over as JSON, so that nobody else needs to know Lua. */
#ifndef STEERWAY_POLICY_LUA_CONFIG_H
#define STEERWAY_POLICY_LUA_CONFIG_H

#include "base/compiler.h"

#include <jansson.h>

/** Run the file in the sandbox of policies, where `os.getenv` is there too, for secrets: text chunks only,
 * time budget 1 s of CPU, memory cap 64 MiB, `require` for files beside it. Convert the one table it returns:
 * tables with keys 1..n become arrays, others objects (keys must be strings); an empty table is an empty
 * object. Functions and the like, cycles, depth over 16, NaN are refused with the path of keys.
 *  @param lua_dir  the folder that holds steerway/host.lua
 *  @return 0, or negative errno with one line in err (1,024 octets) that names file and line or key, and
 *          quotes nothing of the file's text */
MUST_CHECK int lua_config_load(const char *path, const char *lua_dir, json_t **ret, char *err);

#endif
