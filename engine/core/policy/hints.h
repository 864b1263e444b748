/* What is added to Lua's own messages: the file's whole path, and what to do about the errors that newcomers
 * meet most. */
#ifndef STEERWAY_POLICY_HINTS_H
#define STEERWAY_POLICY_HINTS_H

#include <stdbool.h>
#include <stddef.h>

/** Add a hint to an error of Lua's where one is known: a field that is read-only, a library or a function
 * that Lua has elsewhere and a policy has not. Other text, and text without room for the whole hint, stays as
 * it is.
 *  @param err     a line, NUL-terminated, in a buffer of that size
 *  @param config  the error is a config file's, which has no ctx and no hooks */
void hints_add(char *err, size_t size, bool config);

/** Have an error name the policy's file. Lua's own messages name it, but cut a long path at its front; other
 * errors may have been raised without a place. The path stands in the result once, and whole if there is
 * room.
 *  @param err   as above */
void hints_name_file(const char *file, char *err, size_t size);

#endif
