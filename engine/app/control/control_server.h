/* The control socket: JSON objects, one a line, asked and answered in order. What each verb does is its
 * table's. */
#ifndef STEERWAY_CONTROL_CONTROL_SERVER_H
#define STEERWAY_CONTROL_CONTROL_SERVER_H

#include "base/list.h"
#include "base/log.h"
#include "control/control_path.h"

#include <ev.h>
#include <jansson.h>
#include <stdint.h>

/* More at once are told so and closed. */
enum { CONTROL_CLIENTS_MAX = 16, CONTROL_LINE_MAX = 64 * 1024, CONTROL_OUTPUT_MAX = 4 * 1024 * 1024 };

struct control_server;

/** Whom an answer is for; may be kept until it is given, also when the client is gone by then. */
struct control_reply {
    struct control_server *server;
    uint64_t client;
};

/** Do what is asked and answer, now or later, once. @param request  an object, borrowed for the call */
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
    ev_timer pause; /* after accepting failed */
    ev_timer rest;  /* after a request */
    bool resting;
    struct list clients;
    size_t n_clients;
    uint64_t last_id;
    const struct control_verb *verbs;
    size_t n_verbs;
    void *owner;
    struct log_limit complaints;
    bool open;
};

/** Serve at that path. @param verbs  must outlive the server @return 0, or negative errno as
 * control_place_take */
MUST_CHECK int control_server_open(struct control_server *s, struct ev_loop *loop, const char *path,
                                   const struct control_verb *verbs, size_t n_verbs, void *owner);
/** Harmless on one that is not open. Answers that are still owed are dropped. */
void control_server_close(struct control_server *s);

/** Takes the answer (NULL: out of memory); "ok": true is added to it. */
void control_answer(struct control_reply reply, json_t *answer);
/** Answers {"ok": false, "error": …}. */
void control_refuse(struct control_reply reply, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
