#include "takeover/late_bytes.h"

#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* As often as quotas are saved (ledger.c). */
static const double TICK_S = 3;
enum { LAST_S = 1, ANSWER_MAX = 16 * 1024 };

static void hang_up(struct late_bytes *b)
{
    if (b->fd < 0)
        return;
    ev_io_stop(b->loop, &b->answered);
    (void)close(b->fd);
    b->fd = -1;
}

/* --- the report ----------------------------------------------------------------------------------------- */

/* @return NULL without memory, and where there is nothing to tell */
static char *write_report(struct late_bytes *b)
{
    const struct uplink_set *all = b->ledger->ties.uplinks;
    json_t *bytes = json_object();
    bool any = false;

    for (size_t i = 0; i < all->n; i++) {
        const struct uplink *u = all->items[i];
        double untold = ledger_untold(b->ledger, u);
        b->sent[u->view.id - 1] = untold;
        if (untold <= 0)
            continue;
        any = true;
        (void)json_object_set_new(bytes, u->name, json_real(untold));
    }
    json_t *request = any ? json_pack("{s:s, s:O}", "verb", "count", "bytes", bytes) : NULL;
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    json_decref(bytes);
    return text;
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = LAST_S};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(addr.sun_path, path, strlen(path) + 1);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
        return fd;
    int r = -errno;
    (void)close(fd);
    return r;
}

/* Connect and send. A report is short enough for an empty socket. @return whether it is under way */
static bool send_report(struct late_bytes *b)
{
    char *text = write_report(b);

    if (!text)
        return false;
    size_t len = strlen(text);
    text[len++] = '\n'; /* replaces the NUL */
    b->fd = connect_to(b->path);
    if (b->fd >= 0 && send(b->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len) {
        (void)close(b->fd);
        b->fd = -1;
    }
    free(text);
    if (b->fd < 0)
        b->fd = -1;
    return b->fd >= 0;
}

/* --- the answer ----------------------------------------------------------------------------------------- */

static bool is_among(const json_t *names, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(names, i, item)
    {
        if (strcmp(json_string_value(item) ? json_string_value(item) : "", name) == 0)
            return true;
    }
    return false;
}

/* A hard quota that is used up there ends connections here, too. */
static void take_answer(struct late_bytes *b, const json_t *answer)
{
    const struct uplink_set *all = b->ledger->ties.uplinks;

    if (!json_is_true(json_object_get(answer, "ok")))
        return;
    for (size_t i = 0; i < all->n; i++) {
        struct uplink *u = all->items[i];
        ledger_tell(b->ledger, u, b->sent[u->view.id - 1]);
        if (is_among(json_object_get(answer, "spent"), u->name))
            (void)b->ledger->ties.cut(b->ledger->ties.owner, u);
    }
}

static void read_answer(struct late_bytes *b)
{
    char text[ANSWER_MAX];
    ssize_t n = recv(b->fd, text, sizeof text, 0); /* one message of another process on this machine */

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    json_t *answer = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
    hang_up(b);
    take_answer(b, answer);
    json_decref(answer);
}

static void on_answered(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)events;
    read_answer(container_of(w, struct late_bytes, answered));
}

/* --- life ----------------------------------------------------------------------------------------------- */

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct late_bytes *b = container_of(w, struct late_bytes, tick);

    (void)events;
    hang_up(b); /* what was not answered is told again */
    if (!send_report(b))
        return;
    ev_io_init(&b->answered, on_answered, b->fd, EV_READ);
    ev_io_start(loop, &b->answered);
}

void late_bytes_start(struct late_bytes *b, struct ev_loop *loop, struct ledger *ledger, const char *path)
{
    *b = (struct late_bytes){.loop = loop, .ledger = ledger, .fd = -1};
    (void)snprintf(b->path, sizeof b->path, "%s", path);
    ev_init(&b->answered, on_answered);
    ev_timer_init(&b->tick, on_tick, TICK_S, TICK_S);
    ev_timer_start(loop, &b->tick);
}

void late_bytes_finish(struct late_bytes *b)
{
    if (!b->loop)
        return;
    ev_timer_stop(b->loop, &b->tick);
    hang_up(b);
    (void)uplink_set_tick(b->ledger->ties.uplinks, UPLINK_TICK_S); /* count the bytes since the last tick */
    if (send_report(b)) {
        char answer[ANSWER_MAX];
        (void)fcntl(b->fd, F_SETFL, 0);
        (void)!recv(b->fd, answer, sizeof answer, 0);
    }
    hang_up(b);
    b->loop = NULL;
}
