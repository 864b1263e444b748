/* A lock file, so that only one program uses a file. */
#ifndef STEERWAY_KEEP_LOCK_FILE_H
#define STEERWAY_KEEP_LOCK_FILE_H

#include "base/compiler.h"

/** Create PATH.lock and lock it while the descriptor is open. After a crash the file stays, but the lock
 * is gone. So the lock shows whether the file is in use.
 *  @return descriptor; -EADDRINUSE when another program holds it; or another negative errno */
MUST_CHECK int lock_file_take(const char *path);

#endif
