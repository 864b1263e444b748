#include "log/log_journal.h"

#include "log/log_datagram.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct journal {
    struct log_sink sink;
    struct log_datagram socket;
};

static bool write_entry(struct log_sink *s, const struct log_entry *e)
{
    static char message[] = "MESSAGE=";
    const struct journal *j = container_of(s, struct journal, sink);
    char head[256];
    int n = snprintf(head, sizeof head, "PRIORITY=%d\nSYSLOG_IDENTIFIER=steerway\nSTEERWAY_EVENT=%s\n",
                     log_text_priority(e->level), LOG_EVENT_INFO[e->event].id);
    struct iovec parts[] = {
        {head, (size_t)n},
        {(void *)(uintptr_t)e->fields.bytes, e->fields.len},
        {message, sizeof message - 1},
        {(void *)(uintptr_t)e->text.bytes, e->text.len}, /* its escapes leave no newline but the last */
    };

    return log_datagram_send(&j->socket, parts, ARRAY_LEN(parts));
}

static void journal_free(struct log_sink *s)
{
    struct journal *j = container_of(s, struct journal, sink);

    log_datagram_close(&j->socket);
    free(j);
}

int log_journal_open(struct log_sink **ret, const char *path)
{
    struct journal *j = malloc(sizeof *j);

    if (!j)
        return -ENOMEM;
    j->sink = (struct log_sink){
        .form = LOG_FORM_BARE, .wants_fields = true, .write = write_entry, .free = journal_free};
    int r = log_datagram_open(&j->socket, path);
    if (r < 0)
        journal_free(&j->sink);
    else
        *ret = &j->sink;
    return r;
}
