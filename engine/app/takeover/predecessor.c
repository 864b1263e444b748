#include "takeover/predecessor.h"

#include "config/config.h"
#include "control/control_path.h"
#include "control/descriptors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The main loop of the other process may be busy with lists. */
enum { PATIENCE_S = 20, ANSWER_MAX = 1 << 20, CHUNK = 16 * 1024 };

static int send_request(int fd, json_t *request)
{
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    char line[256];
    int n = text ? snprintf(line, sizeof line, "%s\n", text) : -1;

    free(text);
    json_decref(request);
    if (n < 0 || (size_t)n >= sizeof line)
        return -ENOMEM;
    return send(fd, line, (size_t)n, MSG_NOSIGNAL) == n ? 0 : errno ? -errno : -EIO;
}

/* Read one line, and what comes with it. @return 0 or negative errno */
static int read_answer(int fd, json_t **ret, struct descriptors *with)
{
    char *text = malloc(ANSWER_MAX);
    size_t len = 0;
    int r = text ? 0 : -ENOMEM;

    while (r == 0 && !(len > 0 && text[len - 1] == '\n')) {
        size_t room = ANSWER_MAX - len < CHUNK ? ANSWER_MAX - len : CHUNK;
        ssize_t n = room > 0 ? descriptors_receive(with, fd, text + len, room) : 0;
        if (n == 0)
            r = -ECONNRESET;
        else if (n < 0 && errno != EINTR)
            r = errno == EAGAIN ? -ETIMEDOUT : -errno;
        len += n > 0 ? (size_t)n : 0;
    }
    *ret = r == 0 ? json_loadb(text, len, 0, NULL) : NULL;
    free(text);
    if (r == 0 && !json_is_object(*ret))
        r = -EPROTO;
    return r;
}

static int refuse(char *err, const char *path, int r, const json_t *answer)
{
    const char *error = json_string_value(json_object_get(answer, "error"));

    (void)snprintf(err, CONFIG_ERROR_MAX, "--takeover: the proxy at %.200s: %.600s", path,
                   error ? error : strerror(-r));
    return r;
}

int predecessor_ask(struct predecessor *p, const char *path, char *err)
{
    struct descriptors with = {.n = 0};
    json_t *answer = NULL;
    int fd = control_path_connect(path, PATIENCE_S);

    *p = (struct predecessor){.fd = -1};
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return 0;
    if (fd < 0)
        return refuse(err, path, fd, NULL);
    int r = send_request(fd, json_pack("{s:s}", "verb", "takeover"));
    if (r == 0)
        r = read_answer(fd, &answer, &with);
    if (r == 0 && !json_is_true(json_object_get(answer, "ok")))
        r = -EPERM;
    if (r == -ECONNRESET || r == -EPIPE) { /* it has ended meanwhile */
        descriptors_drop(&with, with.n);
        (void)close(fd);
        return 0;
    }
    if (r < 0) {
        descriptors_drop(&with, with.n);
        (void)refuse(err, path, r, answer);
    } else {
        r = handed_parse(&p->handed, json_object_get(answer, "sockets"), with.fds, with.n);
        free(with.fds);
        if (r < 0)
            (void)refuse(err, path, r, NULL);
    }
    if (r < 0) {
        json_decref(answer);
        (void)close(fd);
        return r;
    }
    p->fd = fd;
    p->answer = answer;
    return 0;
}

/* Whatever has become of the other process, this one serves. */
void predecessor_relieve(struct predecessor *p)
{
    struct descriptors with = {.n = 0};
    json_t *answer = NULL;

    if (p->fd < 0)
        return;
    if (send_request(p->fd, json_pack("{s:s, s:s, s:i}", "verb", "takeover", "step", "serving", "pid",
                                      (int)getpid())) == 0)
        (void)!read_answer(p->fd, &answer, &with);
    descriptors_drop(&with, with.n);
    json_decref(answer);
}

void predecessor_done(struct predecessor *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = -1;
    json_decref(p->answer);
    p->answer = NULL;
    handed_close(&p->handed);
}
