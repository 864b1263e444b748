/* The config file: a Lua file that returns a table. Its keys are the options' long names with '_' for '-',
 * and `uplinks`. */
#ifndef STEERWAY_OPTIONS_CONFIG_FILE_H
#define STEERWAY_OPTIONS_CONFIG_FILE_H

#include "config/config.h"

/** Read a file into a config that config_init made. Paths in it are relative to its folder.
 *  @param lua_dir  the folder that holds steerway/host.lua
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) that names file, key and what was
 * expected; the config may then be half filled */
MUST_CHECK int config_file_load(struct config *c, const char *path, const char *lua_dir, char *err);

struct option;
enum { CONFIG_FILE_KEY_MAX = 64 };
/** The config key of an option; "" for an option of the command line only. */
void config_file_key(const struct option *o, char ret[CONFIG_FILE_KEY_MAX]);

#endif
