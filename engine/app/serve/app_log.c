#include "serve/app_log.h"

#include "log/log_to.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *trouble(const char *to, int err)
{
    if (err == -ENOENT && log_to_is_word(to))
        return "the service does not run on this machine";
    if (err == -ECONNREFUSED)
        return "the service does not run";
    if (err == -EPROTOTYPE)
        return "the service takes no datagrams";
    if (err == -ENXIO)
        return "nobody reads this pipe";
    return strerror(-err);
}

int app_log_open(struct log_sink **ret, const struct config *c, char *err)
{
    int r = log_to_open(ret, c->log_to, c->log_format);

    if (r < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX, "--log-to %.500s: %s", c->log_to ? c->log_to : "stderr",
                       trouble(c->log_to, r));
    return r;
}

void app_log_reopen(void)
{
    struct log_line l;
    int r = log_reopen();

    if (r == 0)
        return;
    log_begin(&l, EVENT_LOG_NOT_REOPENED);
    log_str(&l, "error", strerror(-r));
    log_end(&l);
}

bool app_log_is_same(const struct config *a, const struct config *b)
{
    const char *one = a->log_to ? a->log_to : "stderr", *other = b->log_to ? b->log_to : "stderr";

    return a->log_format == b->log_format && strcmp(one, other) == 0;
}
