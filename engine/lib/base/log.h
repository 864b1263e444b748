/* The log: one line for each event, to a sink: standard error, or what log/log_to.h opens. The sink, the
 * level and the number of lost lines are the program's only global state.
 *
 * The log never waits. While the sink is full, lines are dropped. Before the next line that can be
 * written stands a line "log lines lost" with their count, at level warn, whatever the level.
 *
 * All functions are for the main thread. */
#ifndef STEERWAY_BASE_LOG_H
#define STEERWAY_BASE_LOG_H

#include "base/compiler.h"
#include "base/log_sink.h"

#include <stdint.h>

enum log_format {
    LOG_AUTO, /* as the sink likes it */
    LOG_TEXT,
    LOG_JSON
};

/** Set level and format, and write to the present standard error from now on. Default: LOG_INFO, LOG_TEXT. */
void log_setup(enum log_level level, enum log_format format);
void log_set_level(enum log_level level);
enum log_level log_level(void);
/** Write there from now on. The former sink is freed. */
void log_use(struct log_sink *sink);
/** Open the log's file again, after it was renamed. @return 0, or negative errno; then it goes on as before
 */
MUST_CHECK int log_reopen(void);
bool log_enabled(enum log_level level);
/** Stop writing: for a forked child, whose lines would mix with its parent's. */
void log_silence(void);

/** Hears each event up to its level as JSON, beside the sink and whatever the log's level. While there is
 * none, it costs nothing. */
struct log_tap {
    enum log_level level; /* may change at any time */
    /** It must not log. */
    void (*hear)(struct log_tap *tap, const struct log_entry *e, const struct log_text *json);
};
/** There is one at most. @param tap  NULL: none from now on */
void log_set_tap(struct log_tap *tap);

/** An event without fields. */
void log_plain(enum log_event event);

/** An event with fields, built between log_begin and log_end. A line has at most 2,048 bytes: a field without
 * room is left out.
 *   struct log_line l;
 *   log_begin(&l, EVENT_CONNECTION);
 *   log_str(&l, "host", host); log_u64(&l, "tx", tx);
 *   log_end(&l);
 * Text that is not plain ASCII without spaces is quoted and escaped. Never log a credential. */
struct log_line {
    bool on, tapped;
    struct log_entry entry;
    struct log_text json; /* for the tap */
};

void log_begin(struct log_line *l, enum log_event event);
/** log_begin with a level other than the event's own. */
void log_begin_at(struct log_line *l, enum log_level level, enum log_event event);
void log_str(struct log_line *l, const char *key, const char *value);
void log_slice(struct log_line *l, const char *key, struct slice value);
void log_u64(struct log_line *l, const char *key, uint64_t value);
/** With three decimals. */
void log_num(struct log_line *l, const char *key, double value);
/** Add the number of lines of this kind that were hidden before this one; nothing if it is 0. */
void log_hidden(struct log_line *l, uint64_t lines);
void log_end(struct log_line *l);

/** A limit of `burst` lines in each 10 s. Zero-initialised is ready. */
struct log_limit {
    double since_s;
    uint32_t shown, hidden;
};

/** @param now_s       monotonic seconds
 *  @param ret_hidden  set if the line may be written: the number of lines hidden since the last one
 *  @return whether the line may be written */
bool log_limit_pass(struct log_limit *limit, double now_s, uint32_t burst, uint32_t *ret_hidden);

#endif
