#include "log/log_syslog.h"

#include "log/log_datagram.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FACILITY_DAEMON = 3 << 3 };

struct syslog_sink {
    struct log_sink sink;
    struct log_datagram socket;
    time_t second; /* of the latest line */
    char stamp[32];
};

/* Local time, with the English names of months that the protocol has (RFC 3164 4.1.2). The day has two
 * columns. */
static void renew_stamp(struct syslog_sink *s)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm t;

    if (now == s->second || !localtime_r(&now, &t))
        return;
    s->second = now;
    (void)snprintf(s->stamp, sizeof s->stamp, "%s %2d %02d:%02d:%02d", months[t.tm_mon], t.tm_mday, t.tm_hour,
                   t.tm_min, t.tm_sec);
}

static bool write_entry(struct log_sink *sink, const struct log_entry *e)
{
    struct syslog_sink *s = container_of(sink, struct syslog_sink, sink);
    char head[96];

    renew_stamp(s);
    int n =
        snprintf(head, sizeof head, "<%d>%s steerway[%d]: ", FACILITY_DAEMON | log_text_priority(e->level),
                 s->stamp, (int)getpid());
    struct iovec parts[] = {
        {head, (size_t)n}, {(void *)(uintptr_t)e->text.bytes, e->text.len - 1}, /* without the newline */
    };
    return log_datagram_send(&s->socket, parts, ARRAY_LEN(parts));
}

static void syslog_free(struct log_sink *sink)
{
    struct syslog_sink *s = container_of(sink, struct syslog_sink, sink);

    log_datagram_close(&s->socket);
    free(s);
}

int log_syslog_open(struct log_sink **ret, const char *path, enum log_form form)
{
    struct syslog_sink *s = malloc(sizeof *s);

    if (!s)
        return -ENOMEM;
    *s =
        (struct syslog_sink){.sink = {.form = form, .write = write_entry, .free = syslog_free}, .second = -1};
    int r = log_datagram_open(&s->socket, path);
    if (r < 0)
        syslog_free(&s->sink);
    else
        *ret = &s->sink;
    return r;
}
