/* One event of the log as text, in each of the forms that sinks want.
 *
 * Text is UTF-8. Control characters (C0, DEL, C1) are escaped as \u00XX. A byte outside any character becomes
 * \xXX, or \ufffd in JSON. LOG_FORM_FIELDS escapes nothing. */
#ifndef STEERWAY_BASE_LOG_TEXT_H
#define STEERWAY_BASE_LOG_TEXT_H

#include "base/log_events.h"
#include "base/slice.h"

#include <stdbool.h>

enum log_form {
    LOG_FORM_TEXT,     /* TIME LEVEL SENTENCE KEY=VALUE … */
    LOG_FORM_SHORT,    /* CLOCK SENTENCE …, with the level behind the clock unless it is info */
    LOG_FORM_PREFIXED, /* <PRIORITY>SENTENCE …, as journald reads it from standard error */
    LOG_FORM_BARE,     /* SENTENCE …, where the sink brings time and level */
    LOG_FORM_JSON,
    LOG_FORM_FIELDS, /* only the fields, in the native form of journald: KEY=VALUE lines with upper-case keys
                      */
};

/** At most 2,048 bytes. A field without room is left out. */
struct log_text {
    enum log_form form;
    size_t len;
    char bytes[2048];
};

void log_text_begin(struct log_text *t, enum log_form form, enum log_level level, enum log_event event);
/** @param number  value needs no quotes in JSON */
void log_text_field(struct log_text *t, const char *key, struct slice value, bool number);
/** The last byte is a newline then. */
void log_text_end(struct log_text *t);

enum { LOG_TEXT_CLOCK_MAX = 9 };
/** The local time as HH:MM:SS. */
const char *log_text_clock(char out[LOG_TEXT_CLOCK_MAX]);

/** The priority of syslog (RFC 3164 4.1.1, without a facility). */
int log_text_priority(enum log_level level);

#endif
