/* The control socket: one JSON object a line, answered in order. The table of verbs says what each does. */
#ifndef STEERWAY_CONTROL_CONTROL_SERVER_H
#define STEERWAY_CONTROL_CONTROL_SERVER_H

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "control/control_path.h"

#include <ev.h>
#include <jansson.h>
#include <stdint.h>

/* Clients above the maximum get an error and are closed. */
enum { CONTROL_CLIENTS_MAX = 16, CONTROL_LINE_MAX = 64 * 1024, CONTROL_OUTPUT_MAX = 4 * 1024 * 1024 };

struct control_server;

/** The client that an answer is for. It may be kept for later; answers to a client that is gone are
 * dropped. */
struct control_reply {
    struct control_server *server;
    uint64_t client;
};

struct client;

/** An answer that is written piece by piece, or a stream of lines that ends when its client does. Embedded by
 * its owner. */
struct control_stream {
    struct client *client; /* NULL: not open */
    /** All that was written has been sent; may be NULL. It may write, and must not close the stream. */
    void (*ready)(struct control_stream *s);
    /** The client has left, and the stream is not open any more. It may free the stream. */
    void (*gone)(struct control_stream *s);
    /** Without an end of its own: it ends when the client sends FIN, and no client is too slow for it. */
    bool endless;
};

/** Handle the request, and answer exactly once, now or later. @param request  an object, borrowed for the
 * call */
typedef void control_verb_fn(void *owner, const json_t *request, struct control_reply reply);

struct control_verb {
    const char *name;
    control_verb_fn *run;
};

/** Embedded by its owner; zero-initialised is "not open". */
struct control_server {
    struct control_place place;
    struct ev_loop *loop;
    ev_io io;
    ev_timer pause; /* pauses accepting after it failed */
    ev_timer rest;  /* the rest after a request */
    bool resting;
    struct list clients;
    size_t n_clients;
    uint64_t last_id;
    const struct control_verb *verbs;
    size_t n_verbs;
    void *owner;
    struct log_limit complaints;
    /** A client has closed, or was closed; may be NULL. */
    void (*left)(void *owner, uint64_t client);
    bool open;
};

/** Serve at that path. @param verbs  must outlive the server @return 0, or negative errno of
 * control_place_take */
MUST_CHECK int control_server_open(struct control_server *s, struct ev_loop *loop, const char *path,
                                   const struct control_verb *verbs, size_t n_verbs, void *owner);
/** The same at a place that was taken; the server has it from now on. */
void control_server_open_at(struct control_server *s, struct ev_loop *loop, const struct control_place *place,
                            const struct control_verb *verbs, size_t n_verbs, void *owner);
/** Harmless when it is not open. Pending answers are dropped. */
void control_server_close(struct control_server *s);

/** Send the answer (taken; NULL means out of memory) with "ok": true added. */
void control_answer(struct control_reply reply, json_t *answer);
/** The same, with copies of these descriptors (SCM_RIGHTS). It is a refusal where they cannot be copied. */
void control_answer_with(struct control_reply reply, json_t *answer, const int *fds, size_t n);
/** In place of an answer: open the stream for it. @return false: the client is gone */
MUST_CHECK bool control_stream_open(struct control_stream *s, struct control_reply reply);
/** Where its text is written, without waiting. Call control_stream_send afterwards. */
struct buf *control_stream_text(struct control_stream *s);
void control_stream_send(struct control_stream *s);
/** The text is complete, and its last byte is a newline: the client's next line may be served. Harmless when
 * it is not open. `gone` is not called. */
void control_stream_close(struct control_stream *s);
/** The text cannot be completed: close the client after what it has. `gone` is not called. */
void control_stream_fail(struct control_stream *s);
/** Send {"ok": false, "error": …}. */
void control_refuse(struct control_reply reply, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
