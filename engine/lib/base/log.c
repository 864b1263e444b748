#include "base/log.h"

#include "base/digits.h"
#include "base/log_fd.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

static struct log_fd standard_error = {
    .sink = {.form = LOG_FORM_TEXT, .write = log_fd_write},
    .fd = STDERR_FILENO,
    .shared = true,
};

static struct {
    enum log_level level;
    struct log_sink *sink;
    uint64_t lost; /* lines lost since the last one that was written */
    bool silent;
    struct log_tap *tap; /* NULL: none */
} state = {.level = LOG_INFO, .sink = &standard_error.sink};

static const double LIMIT_WINDOW_S = 10;

void log_use(struct log_sink *sink)
{
    if (state.sink != sink)
        log_sink_free(state.sink);
    state.sink = sink;
}

void log_set_level(enum log_level level)
{
    state.level = level;
}

enum log_level log_level(void)
{
    return state.level;
}

void log_set_tap(struct log_tap *tap)
{
    state.tap = tap;
}

void log_setup(enum log_level level, enum log_format format)
{
    log_fd_of_stderr(&standard_error);
    standard_error.sink.form = format == LOG_JSON ? LOG_FORM_JSON : LOG_FORM_TEXT;
    log_use(&standard_error.sink);
    log_set_level(level);
}

int log_reopen(void)
{
    return state.sink->reopen ? state.sink->reopen(state.sink) : 0;
}

void log_silence(void)
{
    state.silent = true;
}

static bool is_written(enum log_level level)
{
    return !state.silent && level <= state.level;
}

static bool is_tapped(enum log_level level)
{
    return state.tap && !state.silent && level <= state.tap->level;
}

bool log_enabled(enum log_level level)
{
    return is_written(level) || is_tapped(level);
}

/* Ignores the level. */
static void entry_begin(struct log_entry *e, enum log_level level, enum log_event event)
{
    e->level = level;
    e->event = event;
    log_text_begin(&e->text, state.sink->form, level, event);
    if (state.sink->wants_fields)
        log_text_begin(&e->fields, LOG_FORM_FIELDS, level, event);
}

static void entry_field(struct log_entry *e, const char *key, struct slice value, bool number)
{
    log_text_field(&e->text, key, value, number);
    if (state.sink->wants_fields)
        log_text_field(&e->fields, key, value, number);
}

void log_begin(struct log_line *l, enum log_event event)
{
    log_begin_at(l, LOG_EVENT_INFO[event].level, event);
}

void log_begin_at(struct log_line *l, enum log_level level, enum log_event event)
{
    l->on = is_written(level);
    l->tapped = is_tapped(level);
    l->entry.level = level;
    l->entry.event = event;
    if (l->on)
        entry_begin(&l->entry, level, event);
    if (l->tapped)
        log_text_begin(&l->json, LOG_FORM_JSON, level, event);
}

static void line_field(struct log_line *l, const char *key, struct slice value, bool number)
{
    if (l->on)
        entry_field(&l->entry, key, value, number);
    if (l->tapped)
        log_text_field(&l->json, key, value, number);
}

void log_slice(struct log_line *l, const char *key, struct slice value)
{
    line_field(l, key, value, false);
}

void log_str(struct log_line *l, const char *key, const char *value)
{
    log_slice(l, key, slice_str(value ? value : ""));
}

void log_u64(struct log_line *l, const char *key, uint64_t value)
{
    if (!l->on && !l->tapped)
        return;
    char text[DIGITS_MAX];
    size_t n = digits_put(text, value);
    line_field(l, key, slice_of(text, n), true);
}

/* The fast path: nearly all values are in this range. */
static size_t put_thousandths(char text[static DIGITS_MAX + 4], double value)
{
    uint64_t n = (uint64_t)(value * 1000 + 0.5);
    unsigned rest = (unsigned)(n % 1000);
    size_t at = digits_put(text, n / 1000);

    text[at++] = '.';
    text[at++] = (char)('0' + rest / 100);
    text[at++] = (char)('0' + rest / 10 % 10);
    text[at++] = (char)('0' + rest % 10);
    return at;
}

void log_num(struct log_line *l, const char *key, double value)
{
    if (!l->on && !l->tapped)
        return;
    char text[64];
    size_t n;
    if (value >= 0 && value < 1e9)
        n = put_thousandths(text, value);
    else
        n = (size_t)snprintf(text, sizeof text, "%.3f", isfinite(value) && fabs(value) < 1e15 ? value : -1.0);
    line_field(l, key, slice_of(text, n), true);
}

void log_hidden(struct log_line *l, uint64_t lines)
{
    if (lines > 0)
        log_u64(l, "hidden", lines);
}

static bool entry_write(struct log_entry *e)
{
    log_text_end(&e->text);
    return state.sink->write(state.sink, e);
}

static bool tell_lost(void)
{
    struct log_line l = {.on = true};

    entry_begin(&l.entry, LOG_WARN, EVENT_LOG_LINES_LOST);
    log_hidden(&l, state.lost);
    return entry_write(&l.entry);
}

void log_end(struct log_line *l)
{
    if (l->tapped && state.tap) {
        log_text_end(&l->json);
        state.tap->hear(state.tap, &l->entry, &l->json);
    }
    if (!l->on)
        return;
    if (state.lost > 0 && tell_lost())
        state.lost = 0;
    if (state.lost > 0 || !entry_write(&l->entry))
        state.lost++;
}

void log_plain(enum log_event event)
{
    struct log_line l;

    log_begin(&l, event);
    log_end(&l);
}

bool log_limit_pass(struct log_limit *limit, double now_s, uint32_t burst, uint32_t *ret_hidden)
{
    if (limit->shown == 0 || now_s - limit->since_s >= LIMIT_WINDOW_S) {
        *ret_hidden = limit->hidden;
        *limit = (struct log_limit){.since_s = now_s, .shown = 1};
        return true;
    }
    if (limit->shown < burst) {
        limit->shown++;
        *ret_hidden = 0;
        return true;
    }
    limit->hidden++;
    return false;
}
