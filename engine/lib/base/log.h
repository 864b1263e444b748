/* The log: one line an event, as key=value text or as JSON, to standard error.
 * The sink (level, format, where it writes, what it lost) is the program's only global state.
 *
 * The log never waits: while nobody reads standard error lines are dropped, and the first that is written
 * again comes behind a line "log lines lost" with their count, at level warn whatever level is set.
 *
 * Text is UTF-8. Control characters (C0, DEL, C1) are escaped as \u00XX, an octet that is no part of a
 * character as \xXX, or in JSON as \ufffd. */
#ifndef STEERWAY_BASE_LOG_H
#define STEERWAY_BASE_LOG_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/** Sets what is written from now on, to what standard error is now. Default: LOG_INFO, LOG_TEXT. */
void log_setup(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
/** Write nothing any more: for a forked child, whose lines would stand among its parent's. */
void log_silence(void);

/** A plain event without fields: log_msg(LOG_WARN, "cannot open %s", path). */
void log_msg(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** An event with fields. Build between log_begin and log_end; a line takes at most 2,048
 *  octets: a field that has no room is left out, and an event is cut between two characters.
 *    struct log_line l;
 *    log_begin(&l, LOG_INFO, "closed");
 *    log_str(&l, "host", host); log_u64(&l, "tx", tx);
 *    log_end(&l);
 *  Text values are quoted and escaped whenever they are not plain ASCII without spaces. Never pass a
 * credential. */
struct log_line {
    char text[2048];
    size_t len;
    bool on;
};

void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_str(struct log_line *l, const char *key, const char *value);
void log_slice(struct log_line *l, const char *key, struct slice value);
void log_u64(struct log_line *l, const char *key, uint64_t value);
/** Three decimals. */
void log_num(struct log_line *l, const char *key, double value);
void log_end(struct log_line *l);

/** At most `burst` lines in each 10 s. */
struct log_limit {
    double since_s;
    uint32_t shown, hidden;
};

/** @return true if the line may be written; *ret_hidden then tells how many were held back before it */
bool log_limit_pass(struct log_limit *limit, double now_s, uint32_t burst, uint32_t *ret_hidden);

#endif
