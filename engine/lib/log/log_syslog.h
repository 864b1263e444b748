/* A sink of the log: the syslog service of this machine, in the form of RFC 3164 that its socket expects.
 *
 * libc's syslog() waits while the service's queue is full. */
#ifndef STEERWAY_LOG_LOG_SYSLOG_H
#define STEERWAY_LOG_LOG_SYSLOG_H

#include "base/compiler.h"
#include "base/log_sink.h"

/** @param path  of the service's socket
 *  @param form  of the message: LOG_FORM_BARE or LOG_FORM_JSON
 *  @return 0, or negative errno */
MUST_CHECK int log_syslog_open(struct log_sink **ret, const char *path, enum log_form form);

#endif
