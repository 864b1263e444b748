#include "log/log_to.h"

#include "base/log_fd.h"
#include "log/log_file.h"
#include "log/log_journal.h"
#include "log/log_syslog.h"
#include "log/log_terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char STDERR[] = "stderr", JOURNAL[] = "journal", SYSLOG[] = "syslog";
static const char JOURNAL_PATH[] = "/run/systemd/journal/socket", SYSLOG_PATH[] = "/dev/log";

bool log_to_is_stderr(const char *to)
{
    return !to || strcmp(to, STDERR) == 0;
}

bool log_to_is_journal(const char *to)
{
    return to && strcmp(to, JOURNAL) == 0;
}

bool log_to_is_word(const char *to)
{
    return log_to_is_stderr(to) || log_to_is_journal(to) || strcmp(to, SYSLOG) == 0;
}

/* systemd.exec(5): then the variable has the device and the inode of standard error. It may have been
 * inherited by a program whose output goes elsewhere. */
static bool stderr_is_journal(void)
{
    const char *said = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return said && sscanf(said, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

static void stderr_free(struct log_sink *s)
{
    struct log_fd *f = container_of(s, struct log_fd, sink);

    if (f->fd != STDERR_FILENO)
        (void)close(f->fd);
    free(f);
}

static int open_stderr(struct log_sink **ret, enum log_form form)
{
    struct log_fd *f = malloc(sizeof *f);

    if (!f)
        return -ENOMEM;
    *f = (struct log_fd){.sink = {.form = form, .write = log_fd_write, .free = stderr_free},
                         .fd = STDERR_FILENO};
    log_fd_of_stderr(f);
    *ret = &f->sink;
    return 0;
}

int log_to_open(struct log_sink **ret, const char *to, enum log_format format)
{
    if (log_to_is_journal(to))
        return log_journal_open(ret, JOURNAL_PATH);
    if (log_to_is_stderr(to) && format == LOG_AUTO && isatty(STDERR_FILENO))
        return log_terminal_open(ret);
    if (log_to_is_stderr(to))
        return open_stderr(ret, format == LOG_JSON                          ? LOG_FORM_JSON
                                : format == LOG_AUTO && stderr_is_journal() ? LOG_FORM_PREFIXED
                                                                            : LOG_FORM_TEXT);
    if (strcmp(to, SYSLOG) == 0)
        return log_syslog_open(ret, SYSLOG_PATH, format == LOG_JSON ? LOG_FORM_JSON : LOG_FORM_BARE);
    return log_file_open(ret, to, format == LOG_JSON ? LOG_FORM_JSON : LOG_FORM_TEXT);
}
