/* The exit codes of commands, and how they print errors. */
#ifndef STEERWAY_CLI_COMMAND_ERROR_H
#define STEERWAY_CLI_COMMAND_ERROR_H

#include "base/compiler.h"

/** Exit codes. */
enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_MISUSED = 2 };

/** Print "steerway: …" on standard error, on one line. @return code */
int command_error(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
