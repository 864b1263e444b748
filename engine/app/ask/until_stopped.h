/* Commands that go on until a signal, or their end, stops them. */
#ifndef STEERWAY_ASK_UNTIL_STOPPED_H
#define STEERWAY_ASK_UNTIL_STOPPED_H

#include "base/compiler.h"

#include <stdbool.h>

/** From now on SIGINT, SIGTERM and SIGHUP do not end the process, but the waits below. */
void until_stopped_begin(void);
/** Wait for bytes, or the end of fd. @param fd  -1: only for the time
 *  @param seconds  at most; negative: no limit
 *  @return false: a signal has come */
MUST_CHECK bool until_stopped_wait(int fd, double seconds);

#endif
