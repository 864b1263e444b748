/* A sink of the log: a file, to which lines are appended. */
#ifndef STEERWAY_LOG_LOG_FILE_H
#define STEERWAY_LOG_LOG_FILE_H

#include "base/compiler.h"
#include "base/log_sink.h"

/** Opened again by log_reopen. A new file has the mode 0640.
 *  @param form  LOG_FORM_TEXT or LOG_FORM_JSON
 *  @return 0, or negative errno */
MUST_CHECK int log_file_open(struct log_sink **ret, const char *path, enum log_form form);

#endif
