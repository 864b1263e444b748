/* Log lines of a policy that is being loaded. They are held until that load attempt counts. An attempt
 * that is thrown away, because lists must be read first, would log everything twice. */
#ifndef STEERWAY_POLICY_HELD_LOG_H
#define STEERWAY_POLICY_HELD_LOG_H

#include "base/log.h"
#include "base/slice.h"

struct held_line {
    enum log_level level;
    char *text;
    size_t len;
    uint32_t hidden; /* suppressed lines before this one */
};

/** Zero-initialised is empty. The caller bounds the number of lines. */
struct held_log {
    struct held_line *lines;
    size_t n;
};

/** Log a line of a policy. */
void held_log_write(enum log_level level, struct slice text, uint32_t generation, uint32_t hidden);

/** Hold a line. Long text is cut, as in the log. Without memory it is logged at once.
 *  @param generation  for that case only */
void held_log_add(struct held_log *h, enum log_level level, struct slice text, uint32_t generation,
                  uint32_t hidden);
/** Log the held lines, and drop them. */
void held_log_flush(struct held_log *h, uint32_t generation);
/** Drop the held lines. */
void held_log_drop(struct held_log *h);

#endif
