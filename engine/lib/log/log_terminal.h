/* A sink of the log: a terminal, with one short line for each connection that ended.
 *   08:15:00 example.org:443              wan1      12.3M   1.2K    3.1s reset
 * These are the local time, the destination, the uplink, bytes received and sent, the duration, and the
 * outcome unless it was closed. A connection that moved no byte has only the outcome. */
#ifndef STEERWAY_LOG_LOG_TERMINAL_H
#define STEERWAY_LOG_LOG_TERMINAL_H

#include "base/compiler.h"
#include "base/log_sink.h"

/** For standard error. @return 0 or -ENOMEM */
MUST_CHECK int log_terminal_open(struct log_sink **ret);

/** @param fields   of EVENT_CONNECTION, in LOG_FORM_FIELDS
 *  @param time     stands first
 *  @param columns  of the terminal; less than 80 count as 80 */
void log_terminal_line(struct log_text *ret, const struct log_text *fields, const char *time, size_t columns);

#endif
