/* A sink of the log: journald, by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).
 *
 * libsystemd's sd_journal_sendv does the same, but waits while journald's queue is full. */
#ifndef STEERWAY_LOG_LOG_JOURNAL_H
#define STEERWAY_LOG_LOG_JOURNAL_H

#include "base/compiler.h"
#include "base/log_sink.h"

/** @param path  of journald's socket
 *  @return 0, or negative errno */
MUST_CHECK int log_journal_open(struct log_sink **ret, const char *path);

#endif
