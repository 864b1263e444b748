#include "base/log.h"

#include "base/digits.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    enum log_level level;
    enum log_format format;
    int fd;
    uint64_t lost; /* lines lost since the last one that was written */
    bool torn;     /* the last byte written did not end a line */
    bool silent;
    time_t second;  /* of the latest line */
    char stamp[32]; /* that second as text, made once for all lines of a second */
} sink = {.level = LOG_INFO, .format = LOG_TEXT, .fd = STDERR_FILENO, .second = -1};

static const double LIMIT_WINDOW_S = 10;
/* Room for the end of a full line: the brace and the newline. */
enum { TAIL_ROOM = 2 };

/* Open standard error again, with O_NONBLOCK. Standard error itself must not get that flag, as other programs
 * share it. poll alone is not enough. A terminal may have room for a part of a line only, and other programs
 * may fill a pipe in between. @return STDERR_FILENO if it cannot be opened */
static int open_own(void)
{
    struct stat st;

    if (fstat(STDERR_FILENO, &st) < 0 || !(S_ISFIFO(st.st_mode) || isatty(STDERR_FILENO)))
        return STDERR_FILENO;
    int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? STDERR_FILENO : fd;
}

void log_setup(enum log_level level, enum log_format format)
{
    if (sink.fd != STDERR_FILENO)
        (void)close(sink.fd);
    sink.fd = open_own();
    sink.level = level;
    sink.format = format;
}

void log_silence(void)
{
    sink.silent = true;
}

bool log_enabled(enum log_level level)
{
    return !sink.silent && level <= sink.level;
}

/* All or nothing. @return false if the line is full */
static bool put(struct log_line *l, const char *data, size_t n)
{
    if (l->len + n > sizeof l->text - TAIL_ROOM)
        return false;
    memcpy(l->text + l->len, data, n);
    l->len += n;
    return true;
}

static bool put_str(struct log_line *l, const char *s)
{
    return put(l, s, strlen(s));
}

/* Terminals obey C0, DEL and C1. @return the code point, or -1 for any other character */
static int control(const char *s, size_t n)
{
    unsigned char c = (unsigned char)s[0];

    if (n == 1)
        return c < 0x20 || c == 0x7f ? c : -1;
    return n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0 ? (unsigned char)s[1] : -1;
}

static bool put_unicode(struct log_line *l, int point)
{
    char text[16];

    (void)snprintf(text, sizeof text, "\\u%04x", (unsigned)point);
    return put_str(l, text);
}

/* A byte outside any character; JSON cannot show its value. */
static bool put_invalid(struct log_line *l, char byte)
{
    char text[8];

    (void)snprintf(text, sizeof text, "\\x%02x", (unsigned char)byte);
    return put_str(l, sink.format == LOG_JSON ? "\\ufffd" : text);
}

/* Write the first character of s, escaped if it would end the quotes or control a terminal. @return the bytes
 * of s taken, or 0 if the line is full */
static size_t put_escaped(struct log_line *l, struct slice s)
{
    size_t n = utf8_len(s);

    if (n == 0)
        return put_invalid(l, s.data[0]) ? 1 : 0;
    if (control(s.data, n) >= 0)
        return put_unicode(l, control(s.data, n)) ? n : 0;
    if (*s.data == '"' || *s.data == '\\')
        return put(l, (const char[]){'\\', *s.data}, 2) ? n : 0;
    return put(l, s.data, n) ? n : 0;
}

/* The number of bytes at the start of s that need no escape. */
static size_t ordinary(struct slice s)
{
    size_t n = 0;

    while (n < s.len && s.data[n] >= ' ' && s.data[n] < 0x7f && s.data[n] != '"' && s.data[n] != '\\')
        n++;
    return n;
}

/* @return false if the line was full before the end of s */
static bool put_all(struct log_line *l, struct slice s)
{
    while (s.len > 0) {
        size_t n = ordinary(s);
        if (n == 0 || !put(l, s.data, n))
            n = put_escaped(l, s);
        if (n == 0)
            return false;
        s = slice_of(s.data + n, s.len - n);
    }
    return true;
}

static bool put_quoted(struct log_line *l, struct slice s)
{
    return put_str(l, "\"") && put_all(l, s) && put_str(l, "\"");
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

/* A field that does not fit is left out whole: a part would mislead, and break JSON. */
static void put_field(struct log_line *l, const char *name, struct slice value, bool quoted)
{
    size_t before = l->len;
    if (!put_key(l, name) || !(quoted ? put_quoted(l, value) : put(l, value.data, value.len)))
        l->len = before;
}

static void put_time(struct log_line *l)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != sink.second) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        (void)strftime(sink.stamp, sizeof sink.stamp, "%Y-%m-%dT%H:%M:%S", &utc);
        sink.second = now.tv_sec;
    }
    unsigned ms = (unsigned)(now.tv_nsec / 1000000);
    const char rest[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z'};
    (void)put_str(l, sink.stamp);
    (void)put(l, rest, sizeof rest);
}

/* Ignores the level. */
static void line_begin(struct log_line *l, enum log_level level, enum log_event event)
{
    const struct log_event_info *info = &LOG_EVENT_INFO[event];
    static const char *const names[] = {"error", "warn", "info", "debug"};
    bool json = sink.format == LOG_JSON;

    l->on = true;
    l->len = 0;
    /* These always fit. */
    (void)put_str(l, json ? "{\"time\":\"" : "");
    put_time(l);
    (void)put_str(l, json ? "\",\"level\":\"" : " ");
    (void)put_str(l, names[level]);
    (void)put_str(l, json ? "\",\"event\":\"" : " ");
    if (json) {
        (void)put_str(l, info->id);
        (void)put_str(l, "\",\"message\":\"");
    }
    (void)put_str(l, info->text);
    (void)put_str(l, json ? "\"" : "");
}

void log_begin(struct log_line *l, enum log_event event)
{
    log_begin_at(l, LOG_EVENT_INFO[event].level, event);
}

void log_begin_at(struct log_line *l, enum log_level level, enum log_event event)
{
    l->on = log_enabled(level);
    if (l->on)
        line_begin(l, level, event);
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
    char text[DIGITS_MAX];
    size_t n = digits_put(text, value);
    put_field(l, name, slice_of(text, n), false);
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

void log_num(struct log_line *l, const char *name, double value)
{
    if (!l->on)
        return;
    char text[64];
    size_t n;
    if (value >= 0 && value < 1e9)
        n = put_thousandths(text, value);
    else
        n = (size_t)snprintf(text, sizeof text, "%.3f", isfinite(value) && fabs(value) < 1e15 ? value : -1.0);
    put_field(l, name, slice_of(text, n), false);
}

void log_hidden(struct log_line *l, uint64_t lines)
{
    if (lines > 0)
        log_u64(l, "hidden", lines);
}

static void line_finish(struct log_line *l)
{
    if (sink.format == LOG_JSON)
        l->text[l->len++] = '}';
    l->text[l->len++] = '\n';
}

/* On our own descriptor, write reports a lack of room itself. For others: a pipe that polls writable has room
 * for PIPE_BUF bytes, and any other error makes write fail at once. */
static bool sink_has_room(void)
{
    struct pollfd p = {.fd = sink.fd, .events = POLLOUT};
    return sink.fd != STDERR_FILENO || poll(&p, 1, 0) != 0;
}

/* What precedes the next line: the end of a torn line, and the number of lost lines. @return its length */
static size_t catch_up(char *out)
{
    struct log_line l;
    size_t n = 0;

    if (sink.torn)
        out[n++] = '\n';
    if (sink.lost == 0)
        return n;
    line_begin(&l, LOG_WARN, EVENT_LOG_LINES_LOST);
    log_hidden(&l, sink.lost);
    line_finish(&l);
    memcpy(out + n, l.text, l.len);
    return n + l.len;
}

void log_end(struct log_line *l)
{
    if (!l->on)
        return;
    line_finish(l);
    if (!sink_has_room()) {
        sink.lost++;
        return;
    }
    /* One write keeps lines whole. PIPE_BUF is enough: the notice has one field, a number. */
    char out[PIPE_BUF];
    size_t before = catch_up(out), n = before + l->len;
    ssize_t written;
    memcpy(out + before, l->text, l->len);
    do {
        written = write(sink.fd, out, n);
    } while (written < 0 && errno == EINTR);
    /* A line that lacks only its newline is not lost: the next write brings it. */
    if (written > 0)
        sink.torn = out[written - 1] != '\n';
    if (written + 1 >= (ssize_t)before)
        sink.lost = 0;
    if (written + 1 < (ssize_t)n)
        sink.lost++;
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
