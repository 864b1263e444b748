/* Gives up what the proxy does not need: the rights of root, and those that a program could gain later. */
#ifndef STEERWAY_CONFINE_CONFINE_H
#define STEERWAY_CONFINE_CONFINE_H

#include "confine/confine_user.h"

#include <stdbool.h>
#include <stdint.h>

/** For every start, before it has threads. No program that it starts gains rights by its file. Other
 * processes of the user cannot read its memory, and no core dump has its passwords. What it may do already
 * stays, also for programs that it starts, such as its successor. */
void confine_process(void);

/** Whether this process may become the user: it is root, or that user.
 *  @return 0, or -EPERM with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int confine_may_become(const struct confine_user *user, char *err);

/** Change to the user, who cannot change back. Keep those of the rights that this process has. Call it before
 * other threads start.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); then the process must end */
MUST_CHECK int confine_become(const struct confine_user *user, uint64_t rights, char *err);

#endif
