#include "session/exchange_state.h"

#include <stdlib.h>
#include <string.h>

/* --- client to upstream --------------------------------------------------------------------------------- */

/* Send what has come of the body from where it lies.
 * @return false when the exchange is over: the body was malformed, or memory is out */
static bool pass_request_body(struct exchange *x)
{
    struct session *s = x->session;
    struct slice in = buf_slice(&s->in);
    size_t used = 0;

    if (!x->request_done && in.len > 0) {
        enum parse p = http_body_advance(&x->request_body, in.data, in.len, &used);
        if (p == PARSE_BAD) {
            x->client_keeps = false;
            if (x->head_done) {
                exchange_abort(x, "reset");
                return false;
            }
            exchange_drop_upstream(s, "reset");
            exchange_answer(x, 400, "http_request_error", "The request's body is malformed.");
            return false;
        }
        x->request_done = p == PARSE_OK;
    }
    if (!exchange_send(x, slice_of(in.data, used)))
        return false;
    buf_consume(&s->in, used);
    return true;
}

void exchange_pump_request(struct exchange *x)
{
    struct session *s = x->session;

    if (pump_waiting(&x->up) > 0)
        (void)exchange_flush_up(x);
    else if (!pass_request_body(x))
        return;
    /* A client that leaves within its own request wants no answer. */
    if (!x->request_done && s->client_ended && s->in.len == 0)
        return session_close(s, "reset");
    if (exchange_settle(x))
        return;
    session_watch(s);
    exchange_watch_upstream(x);
}

/* --- upstream to client --------------------------------------------------------------------------------- */

static void switch_protocols(struct exchange *x, size_t head_len)
{
    struct session *s = x->session;

    buf_consume(&x->from_upstream, head_len);
    /* What the client sent after its request, and what was not yet written upstream, belongs to the new
     * protocol. */
    struct slice rest = buf_slice(&x->from_upstream);
    if (exchange_waiting(x) > 0 || buf_append(&s->early, rest.data, rest.len) < 0)
        return session_close(s, fault_name(FAULT_RESOURCES));
    buf_done(&x->from_upstream);
    s->upstream_fd = x->fd;
    ev_io_stop(s->proxy->loop, &x->read);
    ev_io_stop(s->proxy->loop, &x->write);
    x->fd = -1;
    x->active = false;
    session_tunnel(s);
}

/* Parse what has come, with room for the fields that few heads need. @param ret_room  the caller's to free */
static enum parse parse_head(const struct exchange *x, struct http_head *ret, struct http_field **ret_room)
{
    struct slice in = buf_slice(&x->from_upstream);
    enum parse p = http_parse_response(ret, in.data, in.len);

    if (p == PARSE_BAD && ret->crowded)
        *ret_room = malloc(HTTP_FIELDS_MOST * sizeof **ret_room);
    return *ret_room ? http_parse_response_in(ret, in.data, in.len, *ret_room) : p;
}

/* @return whether the body may follow; else the exchange is over */
static bool pass_head(struct exchange *x, const struct http_head *head)
{
    struct session *s = x->session;

    if (http_interpret_response(&x->response, head, slice_str(x->method), x->upgrade) != PARSE_OK) {
        exchange_upstream_failed(x, "http_protocol_error", "The destination's answer is malformed.");
        return false;
    }
    bool interim = x->response.interim;
    if (x->client_minor == 0 && x->response.body.kind == HTTP_BODY_CHUNKED)
        x->client_keeps = false; /* the end of the content is told by closing */
    if (!interim && (x->response.body.kind == HTTP_BODY_UNTIL_CLOSE || s->proxy->draining))
        x->client_keeps = false;
    /* HTTP/1.0 knows no interim responses (RFC 9110 15.2). */
    if (!(interim && x->client_minor == 0) &&
        http_write_response(&s->out, head, &x->response, x->client_minor, x->client_keeps && x->request_done,
                            EXCHANGE_PSEUDONYM) < 0) {
        session_close(s, fault_name(FAULT_RESOURCES));
        return false;
    }
    if (x->response.switching) {
        switch_protocols(x, head->consumed);
        return false;
    }
    buf_consume(&x->from_upstream, head->consumed);
    if (!interim) {
        x->head_done = true;
        x->client_keeps = x->client_keeps && x->request_done;
        x->response_done = x->response.body.kind == HTTP_BODY_NONE || x->response.body.done;
    }
    return true;
}

/* @return whether the body may follow; else more input is needed or the exchange is over */
static bool take_head(struct exchange *x)
{
    struct http_head head;
    struct http_field *room = NULL;
    bool good = false;

    switch (parse_head(x, &head, &room)) {
    case PARSE_NEED_MORE:
        if (buf_room(&x->from_upstream) > 0)
            break;
        __attribute__((fallthrough)); /* clang does not read comments */
    case PARSE_BAD:
        exchange_upstream_failed(x, "http_protocol_error", "The destination's answer is malformed.");
        break;
    case PARSE_OK:
        good = pass_head(x, &head);
        break;
    }
    free(room);
    return good;
}

/* Take the chunks' content together, where it lies. @return as http_body_advance */
static enum parse unwrap(struct http_body *b, char *data, size_t len, size_t *ret_used, size_t *ret_content)
{
    size_t used = 0, content = 0, n;
    struct slice piece;
    enum parse p;

    do {
        p = http_body_next(b, data + used, len - used, &n, &piece);
        if (p == PARSE_BAD)
            return p;
        memmove(data + content, piece.data, piece.len);
        content += piece.len;
        used += n;
    } while (p == PARSE_NEED_MORE && used < len);
    *ret_used = used;
    *ret_content = content;
    return p;
}

/* @return likewise. What there is goes on as it is, but for padded chunk sizes. */
static enum parse pass_through(struct http_body *b, char *data, size_t len, size_t *ret_used,
                               size_t *ret_content)
{
    const struct http_body before = *b;
    enum parse p = http_body_advance(b, data, len, ret_used);

    *ret_content = *ret_used;
    if (p == PARSE_BAD || !b->padded)
        return p;
    *b = before;
    p = http_body_tidy(b, data, len, ret_used, ret_content);
    b->padded = false;
    return p;
}

/* Send the client its head and what has come of the body, from where it lies.
 * @return false when the exchange is over */
static bool pass_body(struct exchange *x)
{
    struct buf *from = &x->from_upstream;
    struct http_body *body = &x->response.body;
    size_t used = 0, content = 0;
    enum parse p = PARSE_OK;

    if (from->len > 0 && !x->response_done) {
        char *data = from->data + from->start;
        if (x->client_minor == 0 && body->kind == HTTP_BODY_CHUNKED) {
            p = unwrap(body, data, from->len, &used, &content);
        } else {
            p = pass_through(body, data, from->len, &used, &content);
        }
    }
    if (p == PARSE_BAD) {
        exchange_abort(x, "reset");
        return false;
    }
    if (!session_send(x->session, buf_slice(from).data, content))
        return false;
    buf_consume(from, used);
    x->response_done = x->response_done || body->done;
    return true;
}

void exchange_pump_response(struct exchange *x)
{
    struct session *s = x->session;

    while (!x->head_done && x->from_upstream.len > 0)
        if (!take_head(x))
            break;
    if (!x->active || s->state != SESSION_EXCHANGE)
        return;
    if (x->head_done ? !pass_body(x) : !session_flush(s))
        return;
    if (!exchange_settle(x))
        exchange_watch_upstream(x);
}
