/* What to do about the errors that newcomers meet most: text that is added to Lua's own message. */
#ifndef STEERWAY_POLICY_HINTS_H
#define STEERWAY_POLICY_HINTS_H

#include <stddef.h>

/** Add a hint to an error of Lua's where one is known: a field that is read-only, a library or a function
 * that Lua has elsewhere and a policy has not. Other text, and text without room for the whole hint, stays as
 * it is.
 *  @param err   a line, NUL-terminated, in a buffer of that size */
void hints_add(char *err, size_t size);

#endif
