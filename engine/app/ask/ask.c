#include "ask/ask.h"

#include "cli/command_error.h"
#include "control/control_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A question takes at most 2 s. A reload with lists of millions of names takes half a minute on a small
 * machine. A proxy that takes longer hangs. */
enum { PATIENCE_S = 50, PATIENCE_QUIET_S = 4, ANSWER_MAX = 64 * 1024 * 1024, CHUNK = 64 * 1024 };

/* A server that refuses the client closes before it reads; its answer can still be read. */
static int send_line(int fd, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);
    int r = 0;

    if (!text)
        return -EINVAL;
    size_t len = strlen(text);
    text[len++] = '\n'; /* replaces the NUL */
    for (size_t at = 0; r == 0 && at < len;) {
        ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            r = -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    free(text);
    return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

/* Receive no more than the rest of the line: events may follow it. */
static ssize_t recv_line(int fd, char *into, size_t room)
{
    ssize_t n = recv(fd, into, room, MSG_PEEK);
    const char *end = n > 0 ? memchr(into, '\n', (size_t)n) : NULL;

    return n <= 0 ? n : recv(fd, into, end ? (size_t)(end + 1 - into) : (size_t)n, 0);
}

/* Read one line. */
static int read_answer(int fd, json_t **ret)
{
    char *text = NULL;
    size_t len = 0;
    int r = 0;

    while (r == 0 && !(len > 0 && text[len - 1] == '\n') && len < ANSWER_MAX) {
        char *more = realloc(text, len + CHUNK);
        if (!more) {
            r = -ENOMEM;
            break;
        }
        text = more;
        ssize_t n = recv_line(fd, text + len, CHUNK);
        if (n == 0)
            r = -ECONNRESET;
        else if (n < 0 && errno != EINTR)
            r = errno == EAGAIN ? -ETIMEDOUT : -errno;
        len += n > 0 ? (size_t)n : 0;
    }
    json_t *answer = r == 0 ? json_loadb(text, len, 0, NULL) : NULL;
    free(text);
    if (r == 0 && !json_is_object(answer))
        r = -EPROTO;
    if (r < 0)
        json_decref(answer);
    else
        *ret = answer;
    return r;
}

static int find_path(const struct cli *cli, char ret[CONTROL_PATH_MAX])
{
    const char *given = cli_value(cli, "control");

    if (!given)
        return control_path_to_ask(ret);
    if (strlen(given) >= CONTROL_PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(ret, given, strlen(given) + 1);
    return 0;
}

/* Send the request (taken). @param ret_path  where the proxy is asked
 * @return COMMAND_OK with a descriptor, or the exit code after a message */
static int send_request(const struct cli *cli, json_t *request, char ret_path[CONTROL_PATH_MAX], int *ret_fd)
{
    if (!request)
        return command_error(COMMAND_MISUSED,
                             "a word of the command line is not valid UTF-8 and cannot be sent to the proxy");
    int r = find_path(cli, ret_path);
    if (r == -ENAMETOOLONG && cli_value(cli, "control")) {
        json_decref(request);
        return command_error(COMMAND_MISUSED,
                             "--control: the path is longer than the %d bytes of a Unix socket",
                             CONTROL_PATH_MAX - 1);
    }
    if (r < 0) {
        json_decref(request);
        return command_error(COMMAND_FAILED,
                             "no runtime directory for the control socket; name its path with --control");
    }
    int fd = control_path_connect(ret_path, PATIENCE_S);
    r = fd < 0 ? fd : send_line(fd, request);
    json_decref(request);
    if (r == 0) {
        *ret_fd = fd;
        return COMMAND_OK;
    }
    if (fd >= 0)
        (void)close(fd);
    if (r == -ENOENT || r == -ECONNREFUSED)
        return command_error(COMMAND_FAILED,
                             "no proxy listens at %s; is it running? (--control names another place)",
                             ret_path);
    return command_error(COMMAND_FAILED, "%s: %s", ret_path, strerror(-r));
}

/* Read the answer. @return COMMAND_OK, or the exit code after a message, which may be the proxy's refusal */
static int take_answer(int fd, const char *path, json_t **ret)
{
    json_t *answer;
    int r = read_answer(fd, &answer);

    if (r < 0)
        return command_error(COMMAND_FAILED, "%s: %s", path, strerror(-r));
    if (json_is_true(json_object_get(answer, "ok"))) {
        *ret = answer;
        return COMMAND_OK;
    }
    const char *error = json_string_value(json_object_get(answer, "error"));
    r = command_error(COMMAND_FAILED, "%s", error ? error : "the proxy refused without a reason");
    json_decref(answer);
    return r;
}

int ask(const struct cli *cli, json_t *request, json_t **ret)
{
    char path[CONTROL_PATH_MAX];
    int fd, code = send_request(cli, request, path, &fd);

    if (code != COMMAND_OK)
        return code;
    code = take_answer(fd, path, ret);
    (void)close(fd);
    return code;
}

int ask_open(const struct cli *cli, json_t *request, int *ret_fd)
{
    const struct timeval forever = {.tv_sec = 0};
    char path[CONTROL_PATH_MAX];
    json_t *answer;
    int fd, code = send_request(cli, request, path, &fd);

    if (code != COMMAND_OK)
        return code;
    code = take_answer(fd, path, &answer);
    if (code != COMMAND_OK) {
        (void)close(fd);
        return code;
    }
    json_decref(answer);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
    *ret_fd = fd;
    return COMMAND_OK;
}

json_t *ask_quietly(const char *path, json_t *request)
{
    json_t *answer = NULL;
    int fd = request && strlen(path) < CONTROL_PATH_MAX ? control_path_connect(path, PATIENCE_QUIET_S) : -1;

    if (fd >= 0 && (send_line(fd, request) < 0 || read_answer(fd, &answer) < 0))
        answer = NULL;
    if (fd >= 0)
        (void)close(fd);
    json_decref(request);
    if (json_is_true(json_object_get(answer, "ok")))
        return answer;
    json_decref(answer);
    return NULL;
}

bool ask_is_there(const struct cli *cli, char *ret_path)
{
    if (find_path(cli, ret_path) < 0)
        ret_path[0] = '\0';
    return control_place_is_served(ret_path);
}
