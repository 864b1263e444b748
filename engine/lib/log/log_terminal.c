#include "log/log_terminal.h"

#include "base/log_fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_MIN = 80, COLUMNS_MAX = 120, COLUMNS_OF_REST = 52, UPLINK_COLUMNS = 8, OUTCOME_COLUMNS = 12 };

/* --- the line ------------------------------------------------------------------------------------------- */

/* The value of a field, whose name has a '=' behind it. A value with a newline has another form, and no field
 * that is looked for here. */
static struct slice field(const struct log_text *fields, const char *name)
{
    const char *end = fields->bytes + fields->len;
    const size_t len = strlen(name);

    for (const char *p = fields->bytes; p < end;) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (!line_end)
            break;
        if ((size_t)(line_end - p) >= len && memcmp(p, name, len) == 0)
            return slice_of(p + len, (size_t)(line_end - p) - len);
        p = line_end + 1;
    }
    return slice_str("");
}

static double number(const struct log_text *fields, const char *name)
{
    const struct slice s = field(fields, name);
    char text[32];

    (void)snprintf(text, sizeof text, "%.*s", (int)s.len, s.data);
    return strtod(text, NULL);
}

/* Terminals obey control characters, and a character of more bytes than one has a width of its own. */
static void put_plain(char *out, struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        out[i] = s.data[i] > ' ' && s.data[i] < 0x7f ? s.data[i] : '?';
    out[s.len] = '\0';
}

/* Of a text that is too long, the middle is left out: a site is known by the end of its name. */
static void fit(char out[COLUMNS_MAX + 1], const char *text, size_t columns)
{
    static const char gap[] = "..";
    const size_t len = strlen(text), room = columns - strlen(gap), tail = room - room / 3;

    if (len <= columns)
        (void)snprintf(out, COLUMNS_MAX + 1, "%-*s", (int)columns, text);
    else
        (void)snprintf(out, COLUMNS_MAX + 1, "%.*s%s%s", (int)(room / 3), text, gap, text + len - tail);
}

static const char *amount(double bytes, char out[16])
{
    static const char units[] = " KMGTPE";
    size_t unit = 0;

    for (; bytes >= 999.5 && units[unit + 1]; unit++)
        bytes /= 1000;
    (void)snprintf(out, 16, unit == 0 || bytes >= 99.95 ? "%.0f%.1s" : "%.1f%.1s", bytes,
                   unit == 0 ? "" : units + unit);
    return out;
}

static const char *duration(double s, char out[16])
{
    if (s < 99.95)
        (void)snprintf(out, 16, "%.1fs", s);
    else if (s < 5999.5)
        (void)snprintf(out, 16, "%.0fm", s / 60);
    else
        (void)snprintf(out, 16, "%.0fh", s / 3600);
    return out;
}

void log_terminal_line(struct log_text *ret, const struct log_text *fields, const char *time, size_t columns)
{
    const size_t all = columns < COLUMNS_MIN ? COLUMNS_MIN : columns > COLUMNS_MAX ? COLUMNS_MAX : columns;
    char host[512], port[8], to[sizeof host + sizeof port + 1], wide_to[COLUMNS_MAX + 1], uplink[128],
        wide_uplink[COLUMNS_MAX + 1], outcome[64], rx[16], tx[16], took[16];
    const double received = number(fields, "RX="), sent = number(fields, "TX=");
    struct slice name = field(fields, "HOST="), by = field(fields, "UPLINK="),
                 end = field(fields, "OUTCOME=");

    put_plain(host, slice_of(name.data, name.len < sizeof host ? name.len : sizeof host - 1));
    put_plain(uplink, slice_of(by.data, by.len < sizeof uplink ? by.len : sizeof uplink - 1));
    put_plain(outcome, slice_of(end.data, end.len < sizeof outcome ? end.len : sizeof outcome - 1));
    (void)snprintf(port, sizeof port, "%.0f", number(fields, "PORT="));
    (void)snprintf(to, sizeof to, "%s:%s", host, port);
    fit(wide_to, to, all - COLUMNS_OF_REST);
    fit(wide_uplink, uplink, UPLINK_COLUMNS);
    const bool closed = strcmp(outcome, "closed") == 0, moved = received + sent > 0;
    int n;
    if (moved || closed)
        n = snprintf(ret->bytes, sizeof ret->bytes, "%s %s %s %6s %6s %6s%s%.*s\n", time, wide_to,
                     wide_uplink, amount(received, rx), amount(sent, tx),
                     duration(number(fields, "DURATION="), took), closed ? "" : " ",
                     closed ? 0 : OUTCOME_COLUMNS, outcome);
    else
        n = snprintf(ret->bytes, sizeof ret->bytes, "%s %s %s %s\n", time, wide_to, wide_uplink, outcome);
    ret->len = (size_t)n;
}

/* --- the sink ------------------------------------------------------------------------------------------- */

static bool write_entry(struct log_sink *s, const struct log_entry *e)
{
    struct log_fd *out = container_of(s, struct log_fd, sink);
    struct log_text line;
    struct winsize size = {.ws_col = 0};
    char time[LOG_TEXT_CLOCK_MAX];

    if (e->event != EVENT_CONNECTION)
        return log_fd_put(out, &e->text);
    (void)ioctl(out->fd, TIOCGWINSZ, &size);
    log_terminal_line(&line, &e->fields, log_text_clock(time), size.ws_col);
    return log_fd_put(out, &line);
}

static void terminal_free(struct log_sink *s)
{
    struct log_fd *out = container_of(s, struct log_fd, sink);

    if (out->fd != STDERR_FILENO)
        (void)close(out->fd);
    free(out);
}

int log_terminal_open(struct log_sink **ret)
{
    struct log_fd *out = malloc(sizeof *out);

    if (!out)
        return -ENOMEM;
    *out = (struct log_fd){
        .sink = {.form = LOG_FORM_SHORT, .wants_fields = true, .write = write_entry, .free = terminal_free},
        .fd = STDERR_FILENO,
    };
    log_fd_of_stderr(out);
    *ret = &out->sink;
    return 0;
}
