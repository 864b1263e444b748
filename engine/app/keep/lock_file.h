/* One program at a time, by a file that is locked. */
#ifndef STEERWAY_KEEP_LOCK_FILE_H
#define STEERWAY_KEEP_LOCK_FILE_H

#include "base/compiler.h"

/** Lock PATH.lock, which is made, for as long as the descriptor is open. It outlives a crash as a file, but
 *  not as a lock; so it tells what is in use from what was left behind.
 *  @return descriptor; -EADDRINUSE when another program holds it; or another negative errno */
MUST_CHECK int lock_file_take(const char *path);

#endif
