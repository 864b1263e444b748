#include "control/event_desk.h"

#include "base/digits.h"

#include <stdlib.h>
#include <string.h>

/* Bytes that wait for a client; what comes beyond that is lost for it. */
enum { WAITING_MAX = 256 * 1024 };

struct event_stream {
    struct control_stream stream;
    struct event_desk *desk;
    struct list node;
    enum log_level level;
    bool some; /* only those that are wanted */
    bool wanted[EVENT_COUNT];
    uint64_t lost;
};

/* --- levels --------------------------------------------------------------------------------------------- */

static const char *const LEVELS[] = {"error", "warn", "info", "debug"};

bool event_level_read(const json_t *name, enum log_level *ret)
{
    const char *text = json_string_value(name);

    for (size_t i = 0; text && i < ARRAY_LEN(LEVELS); i++) {
        if (strcmp(text, LEVELS[i]) == 0) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *event_level_name(enum log_level level)
{
    return LEVELS[level];
}

/* --- lines ---------------------------------------------------------------------------------------------- */

static bool send_text(struct event_stream *s, const struct log_text *t)
{
    struct buf *out = control_stream_text(&s->stream);

    if (out->len + t->len > WAITING_MAX || buf_append(out, t->bytes, t->len) < 0)
        return false;
    control_stream_send(&s->stream);
    return true;
}

static bool is_asked_for(const struct event_stream *s, const struct log_entry *e)
{
    return e->level <= s->level && (!s->some || s->wanted[e->event]);
}

/* Once a line is lost, the following ones are, until the client has been told. */
static void hear(struct log_tap *tap, const struct log_entry *e, const struct log_text *json)
{
    struct event_desk *d = container_of(tap, struct event_desk, tap);

    LIST_EACH(&d->streams, node, next) {
        struct event_stream *s = container_of(node, struct event_stream, node);
        if (is_asked_for(s, e) && (s->lost > 0 || !send_text(s, json)))
            s->lost++;
    }
}

static void on_ready(struct control_stream *stream)
{
    struct event_stream *s = container_of(stream, struct event_stream, stream);
    char number[DIGITS_MAX];
    struct log_text t;

    if (s->lost == 0)
        return;
    log_text_begin(&t, LOG_FORM_JSON, LOG_WARN, EVENT_LOG_LINES_LOST);
    log_text_field(&t, "hidden", slice_of(number, digits_put(number, s->lost)), true);
    log_text_end(&t);
    if (send_text(s, &t))
        s->lost = 0;
}

/* --- who listens ---------------------------------------------------------------------------------------- */

/* The tap hears what any of them wants. */
static void retune(struct event_desk *d)
{
    d->tap.level = LOG_ERROR;
    LIST_EACH(&d->streams, node, next) {
        const struct event_stream *s = container_of(node, struct event_stream, node);
        if (s->level > d->tap.level)
            d->tap.level = s->level;
    }
    log_set_tap(list_is_empty(&d->streams) ? NULL : &d->tap);
}

static void on_gone(struct control_stream *stream)
{
    struct event_stream *s = container_of(stream, struct event_stream, stream);
    struct event_desk *d = s->desk;

    list_remove(&s->node);
    free(s);
    retune(d);
}

static bool want(struct event_stream *s, const char *id)
{
    for (size_t i = 0; id && i < EVENT_COUNT; i++) {
        if (strcmp(LOG_EVENT_INFO[i].id, id) == 0) {
            s->wanted[i] = true;
            return true;
        }
    }
    return false;
}

/* @return NULL, or what was expected */
static const char *read_request(struct event_stream *s, const json_t *request)
{
    const json_t *level = json_object_get(request, "level"), *only = json_object_get(request, "only"), *id;
    size_t i;

    s->level = LOG_INFO;
    s->some = only;
    if (level && !event_level_read(level, &s->level))
        return "expected a \"level\": debug, info, warn or error";
    if (only && !json_is_array(only))
        return "only: expected a list of events, such as \"connection\"";
    json_array_foreach(only, i, id)
    {
        if (!want(s, json_string_value(id)))
            return "only: expected a list of events, such as \"connection\"";
    }
    return NULL;
}

void event_desk_ask(struct event_desk *d, const json_t *request, struct control_reply reply)
{
    static const char greeting[] = "{\"ok\":true}\n";
    struct event_stream *s = calloc(1, sizeof *s);
    const char *fault = s ? read_request(s, request) : "out of memory";

    if (!fault) {
        s->stream = (struct control_stream){.ready = on_ready, .gone = on_gone, .endless = true};
        if (!control_stream_open(&s->stream, reply))
            fault = "the client has sent FIN: keep the connection open to hear events";
    }
    if (fault) {
        free(s);
        return control_refuse(reply, "%s", fault);
    }
    s->desk = d;
    if (!d->streams.next)
        list_init(&d->streams);
    list_push_back(&d->streams, &s->node);
    d->tap.hear = hear;
    retune(d);
    if (buf_append(control_stream_text(&s->stream), greeting, sizeof greeting - 1) == 0)
        return control_stream_send(&s->stream);
    struct control_stream *stream = &s->stream;
    control_stream_fail(stream);
    on_gone(stream);
}
