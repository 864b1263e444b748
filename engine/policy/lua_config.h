/* A config file is Lua that returns a table; this evaluates it in the policies' sandbox and hands the table
 * over as JSON, so that nobody else needs to know Lua. */
#ifndef STEERWAY_POLICY_LUA_CONFIG_H
#define STEERWAY_POLICY_LUA_CONFIG_H

#include "base/compiler.h"

#include <jansson.h>

/** Run the file (text chunks only, time budget 1 s, memory cap 64 MiB) and convert the one table it returns.
 * Tables with keys 1..n become arrays, others objects (keys must be strings); an empty table is an empty
 * object. Functions and the like, cycles, depth over 16, NaN are refused with the path of keys. `os.getenv`
 * is there for secrets.
 *  @return 0, or negative errno with one line in err (1,024 octets) that names file and line or key */
MUST_CHECK int lua_config_load(const char *path, json_t **ret, char *err);

#endif
