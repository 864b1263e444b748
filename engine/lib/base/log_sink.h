/* Where the lines of the log go. log.c counts what a sink did not take. */
#ifndef STEERWAY_BASE_LOG_SINK_H
#define STEERWAY_BASE_LOG_SINK_H

#include "base/log_text.h"

/** An event, complete. */
struct log_entry {
    enum log_level level;
    enum log_event event;
    struct log_text text;   /* in the sink's form */
    struct log_text fields; /* LOG_FORM_FIELDS; only for a sink that wants them */
};

struct log_sink {
    enum log_form form;
    bool wants_fields;
    /** Never waits. @return false if the line is lost */
    bool (*write)(struct log_sink *s, const struct log_entry *e);
    /** Open the file again, under the same name. NULL where nothing is to be done.
     *  @return 0, or negative errno; then it goes on as before */
    int (*reopen)(struct log_sink *s);
    void (*free)(struct log_sink *s); /* NULL: not to be freed */
};

/** For one that was not used. */
static inline void log_sink_free(struct log_sink *s)
{
    if (s && s->free)
        s->free(s);
}

#endif
