/* The commands that show what a running proxy does, as it happens, and that set its log's level. */
#include "ask/ask.h"
#include "ask/ask_and_show.h"
#include "ask/ask_commands.h"
#include "ask/until_stopped.h"
#include "base/buf.h"
#include "cli/command_error.h"
#include "show/show.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, LINE_MAX_BYTES = 1024 * 1024 };

/* --- the stream ----------------------------------------------------------------------------------------- */

typedef void line_fn(struct slice line);

/* @return bytes that are taken */
static size_t print_lines(struct slice text, line_fn *print)
{
    size_t taken = 0;
    const char *end;

    while ((end = memchr(text.data + taken, '\n', text.len - taken))) {
        size_t len = (size_t)(end - text.data) - taken;
        print(slice_of(text.data + taken, len));
        taken += len + 1;
    }
    (void)fflush(stdout);
    return taken;
}

/* Until the proxy ends, or a signal comes. @return exit code */
static int follow(int fd, line_fn *print)
{
    struct buf in;
    int code = COMMAND_OK;
    char *space;

    buf_init(&in, LINE_MAX_BYTES);
    until_stopped_begin();
    while (until_stopped_wait(fd, -1)) {
        if (buf_reserve(&in, CHUNK, &space) < 0) {
            code = command_error(COMMAND_FAILED, "out of memory");
            break;
        }
        ssize_t n = recv(fd, space, CHUNK, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            break;
        buf_commit(&in, (size_t)n);
        buf_consume(&in, print_lines(buf_slice(&in), print));
    }
    buf_done(&in);
    (void)close(fd);
    return code;
}

static int ask_and_follow(const struct cli *cli, json_t *request, line_fn *print)
{
    int fd, code = ask_open(cli, request, &fd);

    return code == COMMAND_OK ? follow(fd, print) : code;
}

/* --- events --------------------------------------------------------------------------------------------- */

static void print_raw(struct slice line)
{
    (void)printf("%.*s\n", (int)line.len, line.data);
}

int cmd_events(const struct cli *cli)
{
    const char *level = cli_value(cli, "level");

    return ask_and_follow(cli, json_pack("{s:s, s:s}", "verb", "events", "level", level ? level : "info"),
                          print_raw);
}

/* --- tail ----------------------------------------------------------------------------------------------- */

static void print_short(struct slice line)
{
    json_t *event = json_loadb(line.data, line.len, 0, NULL);

    if (event)
        show_event(event);
    json_decref(event);
}

int cmd_tail(const struct cli *cli)
{
    json_t *request =
        json_pack("{s:s, s:s, s:[s, s, s, s, s, s]}", "verb", "events", "level", "debug", "only", "picked",
                  "raced", "attempt_failed", "connection", "rejected", "datagrams_refused");

    return ask_and_follow(cli, request, cli->as_json ? print_raw : print_short);
}

/* --- log ------------------------------------------------------------------------------------------------ */

static void print_level(const json_t *a)
{
    (void)printf("the log has the level %s; it had %s\n", show_text_of(a, "level"),
                 show_text_of(a, "before"));
}

int cmd_log(const struct cli *cli)
{
    return ask_and_show(cli, json_pack("{s:s, s:s}", "verb", "log", "level", cli->words[0]), print_level);
}
