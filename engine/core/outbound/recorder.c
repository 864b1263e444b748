#include "outbound/recorder.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A crash loses at most this much. */
static const double FLUSH_S = 1;
static const char HEADER[] = "{\"steerway_trace\":1}\n";

static void fail(struct recorder *r, int err)
{
    struct log_line l;

    log_begin(&l, EVENT_RECORDING_STOPPED);
    log_str(&l, "file", r->path);
    log_str(&l, "error", strerror(err));
    log_end(&l);
    ev_timer_stop(r->loop, &r->flush);
    (void)fclose(r->file);
    r->file = NULL;
    free(r->path);
    r->path = NULL;
}

static void on_flush(struct ev_loop *loop, ev_timer *w, int events)
{
    struct recorder *r = container_of(w, struct recorder, flush);

    (void)loop;
    (void)events;
    if (fflush(r->file) != 0)
        fail(r, errno);
}

/* Never write to an existing file, even an empty one: its mode may let other users read it. */
static int open_new(const char *path, FILE **ret)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "a");

    if (file) {
        *ret = file;
        return 0;
    }
    int r = -errno;
    if (fd >= 0)
        (void)close(fd);
    return r;
}

static void begin(struct recorder *r, struct ev_loop *loop, FILE *file, char *path)
{
    *r = (struct recorder){.loop = loop, .file = file, .path = path, .began_s = clock_now_s()};
    ev_timer_init(&r->flush, on_flush, FLUSH_S, FLUSH_S);
    ev_timer_start(loop, &r->flush);
}

int recorder_start(struct recorder *r, struct ev_loop *loop, const char *path)
{
    FILE *file;
    char *copy = strdup(path);
    int err = copy ? open_new(path, &file) : -ENOMEM;

    if (err == 0 && (fputs(HEADER, file) == EOF || fflush(file) != 0)) {
        err = -errno;
        (void)fclose(file);
    }
    if (err < 0) {
        free(copy);
        return err;
    }
    recorder_stop(r);
    begin(r, loop, file, copy);
    return 0;
}

int recorder_continue(struct recorder *r, struct ev_loop *loop, const char *path, int fd, double began_s)
{
    char *copy = strdup(path);
    FILE *file = copy ? fdopen(fd, "a") : NULL;

    if (!file) {
        int err = errno ? -errno : -ENOMEM;
        free(copy);
        (void)close(fd);
        return err;
    }
    begin(r, loop, file, copy);
    r->began_s = began_s;
    return 0;
}

void recorder_stop(struct recorder *r)
{
    if (!r->file)
        return;
    if (fflush(r->file) != 0)
        return fail(r, errno);
    ev_timer_stop(r->loop, &r->flush);
    (void)fclose(r->file);
    free(r->path);
    *r = (struct recorder){.file = NULL};
}

void recorder_note(struct recorder *r, const struct recorded *c)
{
    json_t *o = json_pack("{s:f, s:s, s:s, s:i, s:s, s:I, s:I, s:f}", "t", c->started_s - r->began_s,
                          "client", c->client, "host", c->host, "port", (int)c->port, "proto", c->proto, "tx",
                          (json_int_t)c->tx, "rx", (json_int_t)c->rx, "duration", c->duration_s);
    int err = 0;

    if (!o)
        return; /* out of memory, or a name that is not UTF-8: skip the line */
    if (c->user)
        (void)json_object_set_new(o, "user", json_string(c->user));
    if (c->uplink)
        (void)json_object_set_new(o, "uplink", json_string(c->uplink));
    if (json_dumpf(o, r->file, JSON_COMPACT | JSON_REAL_PRECISION(9)) < 0 || fputc('\n', r->file) == EOF)
        err = errno ? errno : EIO;
    json_decref(o);
    if (err != 0)
        return fail(r, err);
    r->lines++;
}
