#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct {
    enum log_level level;
    enum log_format format;
} sink = {.level = LOG_INFO, .format = LOG_TEXT};

static const double LIMIT_WINDOW_S = 10;
/* Kept free for what closes a line that is full: the event's quote, the brace, the newline. */
enum { TAIL_ROOM = 3 };

void log_setup(enum log_level level, enum log_format format)
{
    sink.level = level;
    sink.format = format;
}

bool log_enabled(enum log_level level)
{
    return level <= sink.level;
}

/* All or nothing. @return false when the line has no room for it */
static bool put(struct log_line *l, const char *data, size_t n)
{
    if (l->len + n > sizeof l->text - TAIL_ROOM) /* len itself may be past it, by the event's quote */
        return false;
    memcpy(l->text + l->len, data, n);
    l->len += n;
    return true;
}

static bool put_str(struct log_line *l, const char *s)
{
    return put(l, s, strlen(s));
}

/* Escapes what would end the quoting or disturb a terminal; octets above 0x7f are shown as \u00XX, so that
 * the line is plain ASCII whatever a peer sent. */
static bool put_escaped(struct log_line *l, char octet)
{
    unsigned char c = (unsigned char)octet;
    if (c == '"' || c == '\\')
        return put(l, (const char[]){'\\', octet}, 2);
    if (c >= 0x20 && c < 0x7f)
        return put(l, &octet, 1);
    char esc[8];
    (void)snprintf(esc, sizeof esc, "\\u%04x", c);
    return put_str(l, esc);
}

static bool put_quoted(struct log_line *l, struct slice s)
{
    if (!put_str(l, "\""))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!put_escaped(l, s.data[i]))
            return false;
    }
    return put_str(l, "\"");
}

/* The event is cut where the line is full, unlike a field, so that no line is without one. */
static void put_event(struct log_line *l, const char *event)
{
    if (sink.format == LOG_JSON) {
        (void)put_str(l, "\"");
        for (const char *p = event; *p && put_escaped(l, *p); p++)
            ;
        l->text[l->len++] = '"'; /* TAIL_ROOM has its place */
        return;
    }
    for (const char *p = event; *p; p++) { /* one event, one line, whatever stands in the text */
        if (!put(l, (unsigned char)*p < 0x20 || *p == 0x7f ? " " : p, 1))
            break;
    }
}

static bool plain(struct slice s)
{
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return true;
}

static bool put_key(struct log_line *l, const char *name)
{
    if (sink.format == LOG_JSON)
        return put_str(l, ",") && put_quoted(l, slice_str(name)) && put_str(l, ":");
    return put_str(l, " ") && put_str(l, name) && put_str(l, "=");
}

/* A field that does not fit is left out whole: half a one would mislead, and would break JSON. */
static void put_field(struct log_line *l, const char *name, struct slice value, bool quoted)
{
    size_t before = l->len;
    if (!put_key(l, name) || !(quoted ? put_quoted(l, value) : put(l, value.data, value.len)))
        l->len = before;
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    l->on = log_enabled(level);
    l->len = 0;
    if (!l->on)
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm utc;
    gmtime_r(&now.tv_sec, &utc);
    char stamp[48];
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(stamp + n, sizeof stamp - n, ".%03ldZ", now.tv_nsec / 1000000);
    bool json = sink.format == LOG_JSON;
    /* An empty line has room for all of these. */
    (void)put_str(l, json ? "{\"time\":\"" : "");
    (void)put_str(l, stamp);
    (void)put_str(l, json ? "\",\"level\":\"" : " ");
    (void)put_str(l, names[level]);
    (void)put_str(l, json ? "\",\"event\":" : " ");
    put_event(l, event);
}

void log_slice(struct log_line *l, const char *name, struct slice value)
{
    if (l->on)
        put_field(l, name, value, sink.format == LOG_JSON || !plain(value));
}

void log_str(struct log_line *l, const char *name, const char *value)
{
    log_slice(l, name, slice_str(value ? value : ""));
}

void log_u64(struct log_line *l, const char *name, uint64_t value)
{
    if (!l->on)
        return;
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put_field(l, name, slice_str(text), false);
}

void log_num(struct log_line *l, const char *name, double value)
{
    if (!l->on)
        return;
    char text[64];
    (void)snprintf(text, sizeof text, "%.3f", isfinite(value) && fabs(value) < 1e15 ? value : -1.0);
    put_field(l, name, slice_str(text), false);
}

void log_end(struct log_line *l)
{
    if (!l->on)
        return;
    if (sink.format == LOG_JSON)
        l->text[l->len++] = '}';
    l->text[l->len++] = '\n';
    /* One write a line keeps lines whole; a full pipe or closed terminal must not stop the proxy. */
    ssize_t n;
    do {
        n = write(STDERR_FILENO, l->text, l->len);
    } while (n < 0 && errno == EINTR);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct log_line l;
    log_begin(&l, level, text);
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
