/* The sinks that a user can name. */
#ifndef STEERWAY_LOG_LOG_TO_H
#define STEERWAY_LOG_LOG_TO_H

#include "base/log.h"

/** Whether this is one of the words, and not a path. */
bool log_to_is_word(const char *to);
/** NULL is standard error too. */
bool log_to_is_stderr(const char *to);
bool log_to_is_journal(const char *to);

/** For log_use.
 *  @param to  stderr, journal, syslog, or a path
 *  @return 0, or negative errno */
MUST_CHECK int log_to_open(struct log_sink **ret, const char *to, enum log_format format);

#endif
