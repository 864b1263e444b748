#include "base/log_text.h"

#include "base/utf8.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Room for the end of a full line: the brace and the newline. */
enum { TAIL_ROOM = 2 };

/* The second of the latest line as text, made once for all lines of a second. */
static struct {
    time_t second;
    char text[32];
} stamp = {.second = -1};

/* All or nothing. @return false if the line is full */
static bool put(struct log_text *t, const char *data, size_t n)
{
    if (t->len + n > sizeof t->bytes - TAIL_ROOM)
        return false;
    memcpy(t->bytes + t->len, data, n);
    t->len += n;
    return true;
}

static bool put_str(struct log_text *t, const char *s)
{
    return put(t, s, strlen(s));
}

/* Terminals obey C0, DEL and C1. @return the code point, or -1 for any other character */
static int control(const char *s, size_t n)
{
    unsigned char c = (unsigned char)s[0];

    if (n == 1)
        return c < 0x20 || c == 0x7f ? c : -1;
    return n == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0 ? (unsigned char)s[1] : -1;
}

static bool put_unicode(struct log_text *t, int point)
{
    char text[16];

    (void)snprintf(text, sizeof text, "\\u%04x", (unsigned)point);
    return put_str(t, text);
}

/* A byte outside any character; JSON cannot show its value. */
static bool put_invalid(struct log_text *t, char byte)
{
    char text[8];

    (void)snprintf(text, sizeof text, "\\x%02x", (unsigned char)byte);
    return put_str(t, t->form == LOG_FORM_JSON ? "\\ufffd" : text);
}

/* Write the first character of s, escaped if it would end the quotes or control a terminal. @return the bytes
 * of s taken, or 0 if the line is full */
static size_t put_escaped(struct log_text *t, struct slice s)
{
    size_t n = utf8_len(s);

    if (n == 0)
        return put_invalid(t, s.data[0]) ? 1 : 0;
    if (control(s.data, n) >= 0)
        return put_unicode(t, control(s.data, n)) ? n : 0;
    if (*s.data == '"' || *s.data == '\\')
        return put(t, (const char[]){'\\', *s.data}, 2) ? n : 0;
    return put(t, s.data, n) ? n : 0;
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
static bool put_all(struct log_text *t, struct slice s)
{
    while (s.len > 0) {
        size_t n = ordinary(s);
        if (n == 0 || !put(t, s.data, n))
            n = put_escaped(t, s);
        if (n == 0)
            return false;
        s = slice_of(s.data + n, s.len - n);
    }
    return true;
}

static bool put_quoted(struct log_text *t, struct slice s)
{
    return put_str(t, "\"") && put_all(t, s) && put_str(t, "\"");
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

static bool put_key(struct log_text *t, const char *name)
{
    if (t->form == LOG_FORM_JSON)
        return put_str(t, ",") && put_quoted(t, slice_str(name)) && put_str(t, ":");
    return put_str(t, " ") && put_str(t, name) && put_str(t, "=");
}

/* A text with a newline has its length before it, in eight bytes, the lowest first. */
static bool put_native(struct log_text *t, const char *name, struct slice value)
{
    bool lines = value.len > 0 && memchr(value.data, '\n', value.len);

    for (const char *p = name; *p; p++)
        if (!put(t, (const char[]){(char)toupper((unsigned char)*p)}, 1))
            return false;
    if (!put_str(t, lines ? "\n" : "="))
        return false;
    char length[8];
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (char)((uint64_t)value.len >> 8 * i);
    return (!lines || put(t, length, sizeof length)) && put(t, value.data, value.len) && put_str(t, "\n");
}

static bool put_field(struct log_text *t, const char *name, struct slice value, bool number)
{
    if (t->form == LOG_FORM_FIELDS)
        return put_native(t, name, value);
    bool quoted = !number && (t->form == LOG_FORM_JSON || !plain(value));
    return put_key(t, name) && (quoted ? put_quoted(t, value) : put(t, value.data, value.len));
}

/* A field that does not fit is left out whole: a part would mislead, and break JSON. */
void log_text_field(struct log_text *t, const char *key, struct slice value, bool number)
{
    size_t before = t->len;

    if (!put_field(t, key, value, number))
        t->len = before;
}

static void put_time(struct log_text *t)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != stamp.second) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        (void)strftime(stamp.text, sizeof stamp.text, "%Y-%m-%dT%H:%M:%S", &utc);
        stamp.second = now.tv_sec;
    }
    unsigned ms = (unsigned)(now.tv_nsec / 1000000);
    const char rest[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z'};
    (void)put_str(t, stamp.text);
    (void)put(t, rest, sizeof rest);
}

int log_text_priority(enum log_level level)
{
    static const int priorities[] = {3, 4, 6, 7};

    return priorities[level];
}

static const char *const LEVELS[] = {"error", "warn", "info", "debug"};

static void begin_json(struct log_text *t, enum log_level level, const char *id)
{
    (void)put_str(t, "{\"time\":\"");
    put_time(t);
    (void)put_str(t, "\",\"level\":\"");
    (void)put_str(t, LEVELS[level]);
    (void)put_str(t, "\",\"event\":\"");
    (void)put_str(t, id);
    (void)put_str(t, "\",\"message\":\"");
}

static void begin_text(struct log_text *t, enum log_level level)
{
    put_time(t);
    (void)put_str(t, " ");
    (void)put_str(t, LEVELS[level]);
    (void)put_str(t, " ");
}

const char *log_text_clock(char out[LOG_TEXT_CLOCK_MAX])
{
    time_t now = time(NULL);
    struct tm local;

    if (!localtime_r(&now, &local) || strftime(out, LOG_TEXT_CLOCK_MAX, "%H:%M:%S", &local) == 0)
        (void)strcpy(out, "--:--:--");
    return out;
}

static void begin_short(struct log_text *t, enum log_level level)
{
    char clock[LOG_TEXT_CLOCK_MAX];

    (void)put_str(t, log_text_clock(clock));
    (void)put_str(t, " ");
    if (level != LOG_INFO) {
        (void)put_str(t, LEVELS[level]);
        (void)put_str(t, " ");
    }
}

/* What it puts always fits. */
void log_text_begin(struct log_text *t, enum log_form form, enum log_level level, enum log_event event)
{
    const struct log_event_info *info = &LOG_EVENT_INFO[event];

    t->form = form;
    t->len = 0;
    if (form == LOG_FORM_FIELDS)
        return;
    if (form == LOG_FORM_JSON)
        begin_json(t, level, info->id);
    else if (form == LOG_FORM_TEXT)
        begin_text(t, level);
    else if (form == LOG_FORM_SHORT)
        begin_short(t, level);
    else if (form == LOG_FORM_PREFIXED)
        (void)put(t, (const char[]){'<', (char)('0' + log_text_priority(level)), '>'}, 3);
    (void)put_str(t, info->text);
    (void)put_str(t, form == LOG_FORM_JSON ? "\"" : "");
}

void log_text_end(struct log_text *t)
{
    if (t->form == LOG_FORM_JSON)
        t->bytes[t->len++] = '}';
    if (t->form != LOG_FORM_FIELDS)
        t->bytes[t->len++] = '\n';
}
