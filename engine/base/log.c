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
/* Kept free for the closing brace and newline when a line has to be cut. */
enum { TAIL_ROOM = 4 };

void log_setup(enum log_level level, enum log_format format)
{
    sink.level = level;
    sink.format = format;
}

bool log_enabled(enum log_level level)
{
    return level <= sink.level;
}

static void put(struct log_line *l, const char *data, size_t n)
{
    size_t room = sizeof l->text - TAIL_ROOM - l->len;
    if (n > room)
        n = room;
    memcpy(l->text + l->len, data, n);
    l->len += n;
}

static void put_str(struct log_line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* Escapes what would end the quoting or disturb a terminal; octets above 0x7f are shown as \u00XX, so that
 * the line is plain ASCII whatever a peer sent. */
static void put_quoted(struct log_line *l, struct slice s)
{
    put_str(l, "\"");
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        char esc[8];
        /* A cut must not fall inside an escape or before the closing quote. */
        if (l->len + sizeof esc + TAIL_ROOM > sizeof l->text)
            break;
        if (c == '"' || c == '\\') {
            esc[0] = '\\';
            esc[1] = (char)c;
            put(l, esc, 2);
        } else if (c < 0x20 || c >= 0x7f) {
            (void)snprintf(esc, sizeof esc, "\\u%04x", c);
            put_str(l, esc);
        } else {
            put(l, (const char *)&s.data[i], 1);
        }
    }
    put_str(l, "\"");
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

static void key(struct log_line *l, const char *name)
{
    if (sink.format == LOG_JSON) {
        put_str(l, ",");
        put_quoted(l, slice_str(name));
        put_str(l, ":");
    } else {
        put_str(l, " ");
        put_str(l, name);
        put_str(l, "=");
    }
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
    if (sink.format == LOG_JSON) {
        put_str(l, "{\"time\":\"");
        put_str(l, stamp);
        put_str(l, "\",\"level\":\"");
        put_str(l, names[level]);
        put_str(l, "\",\"event\":");
        put_quoted(l, slice_str(event));
    } else {
        put_str(l, stamp);
        put_str(l, " ");
        put_str(l, names[level]);
        put_str(l, " ");
        for (const char *p = event; *p; p++) /* one event, one line, whatever stands in the text */
            put(l, (unsigned char)*p < 0x20 || *p == 0x7f ? " " : p, 1);
    }
}

void log_slice(struct log_line *l, const char *name, struct slice value)
{
    if (!l->on)
        return;
    key(l, name);
    if (sink.format == LOG_TEXT && plain(value))
        put(l, value.data, value.len);
    else
        put_quoted(l, value);
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
    key(l, name);
    put_str(l, text);
}

void log_num(struct log_line *l, const char *name, double value)
{
    if (!l->on)
        return;
    char text[64];
    (void)snprintf(text, sizeof text, "%.3f", isfinite(value) && fabs(value) < 1e15 ? value : -1.0);
    key(l, name);
    put_str(l, text);
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
