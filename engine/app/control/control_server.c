#include "control/control_server.h"

#include "base/clock.h"
#include "control/descriptors.h"
#include "control/json_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client that sends and reads nothing for this long is closed. */
static const double IDLE_S = 60;
static const double ACCEPT_PAUSE_S = 0.1;
enum { READ_SIZE = 16 * 1024, ACCEPTS_A_TURN = 16, ERROR_MAX = 2048 };

struct client {
    struct list node;
    struct control_server *server;
    uint64_t id;
    int fd;
    ev_io readable, writable;
    ev_timer idle;
    struct buf in, out;
    struct control_stream *stream;  /* its answer is written piece by piece; else NULL */
    struct descriptors descriptors; /* to be sent with the output */
    bool owed;                      /* an answer is pending; the next line waits */
    bool silent;                    /* the client has sent FIN */
    bool leaving;                   /* close after the output is written */
};

/* --- clients -------------------------------------------------------------------------------------------- */

static void client_close(struct client *c)
{
    struct control_server *s = c->server;
    uint64_t id = c->id;

    ev_io_stop(s->loop, &c->readable);
    ev_io_stop(s->loop, &c->writable);
    ev_timer_stop(s->loop, &c->idle);
    (void)close(c->fd);
    buf_done(&c->in);
    buf_done(&c->out);
    descriptors_drop(&c->descriptors, c->descriptors.n);
    list_remove(&c->node);
    s->n_clients--;
    struct control_stream *stream = c->stream;
    free(c);
    if (stream) {
        stream->client = NULL;
        stream->gone(stream);
    }
    if (s->left)
        s->left(s->owner, id);
}

static void stay_awake(struct client *c)
{
    ev_timer_again(c->server->loop, &c->idle);
}

/* May free the client. */
static void flush(struct client *c)
{
    while (c->out.len > 0) {
        ssize_t n = descriptors_send(&c->descriptors, c->fd, buf_slice(&c->out));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0)
            return client_close(c);
        buf_consume(&c->out, (size_t)n);
        stay_awake(c);
    }
    if (c->out.len > 0)
        return ev_io_start(c->server->loop, &c->writable);
    buf_release_if_empty(&c->out);
    ev_io_stop(c->server->loop, &c->writable);
    if (c->leaving)
        client_close(c);
    else if (c->stream && c->stream->ready)
        c->stream->ready(c->stream);
}

/* Takes the answer. It is only queued, since the caller may be serving a line of this client. */
static void queue(struct client *c, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    json_decref(answer);
    if (!text || buf_append(&c->out, text, strlen(text)) < 0 || buf_append(&c->out, "\n", 1) < 0)
        c->leaving = true; /* the output is full, or out of memory */
    free(text);
}

static json_t *refusal(const char *text)
{
    return json_pack("{s:b, s:o}", "ok", 0, "error", json_text(text));
}

/* --- requests ------------------------------------------------------------------------------------------- */

static const struct control_verb *find_verb(const struct control_server *s, const char *name)
{
    for (size_t i = 0; i < s->n_verbs; i++)
        if (strcmp(s->verbs[i].name, name) == 0)
            return &s->verbs[i];
    return NULL;
}

static void refuse_unknown(const struct control_server *s, const char *name, struct control_reply reply)
{
    char known[512];
    size_t len = 0;

    for (size_t i = 0; i < s->n_verbs && len < sizeof known; i++)
        len += (size_t)snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", s->verbs[i].name);
    control_refuse(reply, "unknown verb '%.60s' (known are: %s)", name, known);
}

static void run_line(struct client *c, struct slice line)
{
    const struct control_reply reply = {.server = c->server, .client = c->id};
    json_error_t error;
    json_t *request = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, &error);
    const char *name = json_string_value(json_object_get(request, "verb"));

    c->owed = true;
    if (!request)
        control_refuse(reply, "the line is not valid JSON: %s (at byte %d)", error.text, error.position);
    else if (!json_is_object(request))
        control_refuse(reply, "expected an object such as {\"verb\": \"status\"}");
    else if (!name)
        control_refuse(reply, "expected a \"verb\", such as {\"verb\": \"status\"}");
    else if (!find_verb(c->server, name))
        refuse_unknown(c->server, name, reply);
    else
        find_verb(c->server, name)->run(c->server->owner, request, reply);
    json_decref(request);
}

static bool is_blank_line(struct slice line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!memchr(" \t\r", line.data[i], 3))
            return false;
    return true;
}

/* Whether a line can be served now. The last line may lack a newline; a line that fills the buffer is
 * refused. */
static bool has_line(const struct client *c)
{
    struct slice all = buf_slice(&c->in);

    return !c->owed && !c->leaving && all.len > 0 &&
           (c->silent || buf_room(&c->in) == 0 || memchr(all.data, '\n', all.len));
}

static void serve_line(struct client *c)
{
    struct slice all = buf_slice(&c->in);
    const char *end = memchr(all.data, '\n', all.len);

    if (!end && !c->silent) {
        queue(c, refusal("the line is too long: expected at most 65536 bytes"));
        c->leaving = true;
        return;
    }
    struct slice line = slice_of(all.data, end ? (size_t)(end - all.data) : all.len);
    if (!is_blank_line(line))
        run_line(c, line);
    buf_consume(&c->in, end ? line.len + 1 : line.len);
}

/* Set the watchers for the client's state, and write. May free the client. */
static void settle(struct client *c)
{
    if (c->silent && !c->owed && c->in.len == 0)
        c->leaving = true;
    if (buf_room(&c->in) > 0 && !c->leaving && !c->silent)
        ev_io_start(c->server->loop, &c->readable);
    else
        ev_io_stop(c->server->loop, &c->readable);
    buf_release_if_empty(&c->in);
    flush(c);
}

/* Serve one line of one client, then rest for as long as that took. So control clients take at most half
 * of the main loop's time, whatever they ask. */
static void serve_one(struct control_server *s)
{
    LIST_EACH(&s->clients, node, next) {
        struct client *c = container_of(node, struct client, node);
        if (!has_line(c))
            continue;
        list_remove(&c->node); /* move to the end, so that clients take turns */
        list_push_back(&s->clients, &c->node);
        double began_s = clock_now_s();
        serve_line(c);
        ev_now_update(s->loop);
        ev_timer_set(&s->rest, clock_now_s() - began_s, 0.);
        ev_timer_start(s->loop, &s->rest);
        s->resting = true;
        return settle(c);
    }
}

/* May free the client. */
static void serve(struct client *c)
{
    struct control_server *s = c->server;

    settle(c); /* may free c */
    if (!s->resting)
        serve_one(s);
}

static void on_rested(struct ev_loop *loop, ev_timer *w, int events)
{
    struct control_server *s = container_of(w, struct control_server, rest);

    (void)loop;
    (void)events;
    s->resting = false;
    serve_one(s);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct client *c = container_of(w, struct client, readable);
    size_t want = buf_room(&c->in) < READ_SIZE ? buf_room(&c->in) : READ_SIZE;
    char *space;

    (void)loop;
    (void)events;
    if (buf_reserve(&c->in, want, &space) < 0)
        return client_close(c);
    ssize_t n = recv(c->fd, space, want, 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n <= 0) {
        if (n < 0)
            return client_close(c);
        if (c->stream && c->stream->endless)
            return client_close(c);
        c->silent = true; /* answers are still sent */
        return serve(c);
    }
    buf_commit(&c->in, (size_t)n);
    stay_awake(c);
    serve(c);
}

/* Part of an answer was sent, or an answer was queued, so the next line may be due. */
static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)events;
    serve(container_of(w, struct client, writable));
}

static void on_idle(struct ev_loop *loop, ev_timer *w, int events)
{
    struct client *c = container_of(w, struct client, idle);

    (void)loop;
    (void)events;
    if (c->stream && c->stream->endless && c->out.len == 0)
        return stay_awake(c);
    client_close(c);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static struct client *client_by_id(struct control_server *s, uint64_t id)
{
    LIST_EACH(&s->clients, node, next) {
        struct client *c = container_of(node, struct client, node);
        if (c->id == id)
            return c;
    }
    return NULL;
}

static void on_answered(struct control_reply reply, json_t *answer)
{
    struct client *c = client_by_id(reply.server, reply.client);

    if (!c || !c->owed) {
        json_decref(answer);
        return;
    }
    c->owed = false;
    queue(c, answer);
    /* Defer to the next turn: the line being served may be this client's. */
    ev_feed_event(c->server->loop, &c->writable, EV_WRITE);
}

void control_answer(struct control_reply reply, json_t *answer)
{
    json_t *whole = answer ? json_pack("{s:b}", "ok", 1) : NULL;

    if (!whole || json_object_update(whole, answer) < 0) {
        json_decref(whole);
        whole = refusal("out of memory");
    }
    json_decref(answer);
    on_answered(reply, whole);
}

void control_answer_with(struct control_reply reply, json_t *answer, const int *fds, size_t n)
{
    struct client *c = client_by_id(reply.server, reply.client);
    int r = c ? descriptors_copy(&c->descriptors, fds, n) : 0;

    if (r < 0) {
        json_decref(answer);
        return control_refuse(reply, "the sockets cannot be handed over: %s", strerror(-r));
    }
    control_answer(reply, answer);
}

void control_refuse(struct control_reply reply, const char *fmt, ...)
{
    char text[ERROR_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    on_answered(reply, refusal(text));
}

bool control_stream_open(struct control_stream *s, struct control_reply reply)
{
    struct client *c = client_by_id(reply.server, reply.client);

    if (!c || !c->owed || c->stream || (s->endless && c->silent))
        return false;
    s->client = c;
    c->stream = s;
    return true;
}

struct buf *control_stream_text(struct control_stream *s)
{
    return &s->client->out;
}

void control_stream_send(struct control_stream *s)
{
    ev_io_start(s->client->server->loop, &s->client->writable);
}

void control_stream_close(struct control_stream *s)
{
    struct client *c = s->client;

    if (!c)
        return;
    c->stream = NULL;
    s->client = NULL;
    c->owed = false;
    ev_feed_event(c->server->loop, &c->writable, EV_WRITE); /* see on_answered */
}

void control_stream_fail(struct control_stream *s)
{
    s->client->leaving = true;
    control_stream_close(s);
}

/* --- accepting ------------------------------------------------------------------------------------------ */

/* Only this user and root may connect, even if the file's mode is changed. */
static bool may_ask(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

static void turn_away(int fd, const char *text)
{
    char line[256];
    int n = snprintf(line, sizeof line, "{\"ok\":false,\"error\":\"%s\"}\n", text);

    (void)!send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
}

static void client_new(struct control_server *s, int fd)
{
    struct client *c = s->n_clients < CONTROL_CLIENTS_MAX ? calloc(1, sizeof *c) : NULL;

    if (!c)
        return turn_away(fd, "too many control clients; try again later");
    c->server = s;
    c->id = ++s->last_id;
    c->fd = fd;
    buf_init(&c->in, CONTROL_LINE_MAX);
    buf_init(&c->out, CONTROL_OUTPUT_MAX);
    ev_io_init(&c->readable, on_readable, fd, EV_READ);
    ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
    ev_init(&c->idle, on_idle);
    c->idle.repeat = IDLE_S;
    list_push_back(&s->clients, &c->node);
    s->n_clients++;
    ev_io_start(s->loop, &c->readable);
    ev_timer_again(s->loop, &c->idle);
}

/* Without a pause, the loop would spin on a descriptor that stays readable. */
static void pause_accepting(struct control_server *s)
{
    ev_io_stop(s->loop, &s->io);
    ev_timer_set(&s->pause, ACCEPT_PAUSE_S, 0.);
    ev_timer_start(s->loop, &s->pause);
}

static void on_connection(struct ev_loop *loop, ev_io *w, int events)
{
    struct control_server *s = container_of(w, struct control_server, io);

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(s->place.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && may_ask(fd))
            client_new(s, fd);
        else if (fd >= 0)
            turn_away(fd, "the control socket is for the proxy's own user");
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        else if (errno != EINTR && errno != ECONNABORTED)
            return pause_accepting(s); /* out of descriptors or memory */
    }
}

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int events)
{
    struct control_server *s = container_of(w, struct control_server, pause);

    (void)events;
    ev_io_start(loop, &s->io);
}

int control_server_open(struct control_server *s, struct ev_loop *loop, const char *path,
                        const struct control_verb *verbs, size_t n_verbs, void *owner)
{
    struct control_place place;
    int r = control_place_take(&place, path);

    if (r == 0)
        control_server_open_at(s, loop, &place, verbs, n_verbs, owner);
    return r;
}

void control_server_open_at(struct control_server *s, struct ev_loop *loop, const struct control_place *place,
                            const struct control_verb *verbs, size_t n_verbs, void *owner)
{
    *s = (struct control_server){
        .place = *place, .loop = loop, .verbs = verbs, .n_verbs = n_verbs, .owner = owner, .open = true};
    list_init(&s->clients);
    ev_io_init(&s->io, on_connection, place->fd, EV_READ);
    ev_io_start(loop, &s->io);
    ev_timer_init(&s->pause, on_pause_over, 0., 0.);
    ev_timer_init(&s->rest, on_rested, 0., 0.);
}

void control_server_close(struct control_server *s)
{
    if (!s->open)
        return;
    s->left = NULL;
    LIST_EACH(&s->clients, node, next) {
        struct client *c = container_of(node, struct client, node);
        if (c->out.len > 0) /* such as the answer to restart */
            (void)descriptors_send(&c->descriptors, c->fd, buf_slice(&c->out));
        client_close(c);
    }
    ev_io_stop(s->loop, &s->io);
    ev_timer_stop(s->loop, &s->pause);
    ev_timer_stop(s->loop, &s->rest);
    control_place_leave(&s->place);
    s->open = false;
}
