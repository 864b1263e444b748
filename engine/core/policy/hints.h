/* Improves Lua's error messages: the file's whole path, and advice on the most common mistakes. */
#ifndef STEERWAY_POLICY_HINTS_H
#define STEERWAY_POLICY_HINTS_H

#include <stdbool.h>
#include <stddef.h>

/** Add a hint to a known error of Lua: a read-only field, or a library or function that the sandbox lacks.
 * Other text, and text without room for the hint, stays unchanged.
 *  @param err     a line, NUL-terminated, in a buffer of that size
 *  @param config  the error is a config file's, which has no ctx and no hooks */
void hints_add(char *err, size_t size, bool config);

/** Make the error name the policy's file. Lua's messages name it, but cut a long path at its front. Other
 * errors may name no place. The result has the path once, and whole if there is room.
 *  @param err   as for hints_add */
void hints_name_file(const char *file, char *err, size_t size);

#endif
