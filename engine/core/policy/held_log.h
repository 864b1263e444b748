/* What a policy says while it is loaded: held back until it is known whether that run counts. A run that is
 * thrown away, as lists have to be read first, would else say everything twice. */
#ifndef STEERWAY_POLICY_HELD_LOG_H
#define STEERWAY_POLICY_HELD_LOG_H

#include "base/log.h"
#include "base/slice.h"

struct held_line {
    enum log_level level;
    char *text;
    size_t len;
    uint32_t hidden; /* lines that were held back before it, for their number */
};

/** Zero-initialised is empty. The caller bounds the number of lines. */
struct held_log {
    struct held_line *lines;
    size_t n;
};

/** Write a line of a policy. */
void held_log_write(enum log_level level, struct slice text, uint32_t generation, uint32_t hidden);

/** Hold a line back. Long text is cut, as the log would do. Without memory it is written now.
 *  @param generation  used then alone */
void held_log_add(struct held_log *h, enum log_level level, struct slice text, uint32_t generation,
                  uint32_t hidden);
/** Write what is held, and forget it. */
void held_log_flush(struct held_log *h, uint32_t generation);
/** Forget it. */
void held_log_drop(struct held_log *h);

#endif
