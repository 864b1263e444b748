#include "session/exchange_state.h"

/* --- client to upstream --------------------------------------------------------------------------------- */

/* @return false when the exchange is over: the body was malformed, or memory is out */
static bool take_request_body(struct exchange *x)
{
    struct session *s = x->session;

    while (!x->request_done && s->in.len > 0 && x->to_upstream.len < EXCHANGE_HIGH_WATER) {
        struct slice in = buf_slice(&s->in);
        size_t used;
        if (in.len > EXCHANGE_HIGH_WATER)
            in.len = EXCHANGE_HIGH_WATER;
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
        if (buf_append(&x->to_upstream, in.data, used) < 0) {
            session_close(s, fault_name(FAULT_RESOURCES));
            return false;
        }
        buf_consume(&s->in, used);
        x->request_done = p == PARSE_OK;
    }
    return true;
}

void exchange_pump_request(struct exchange *x)
{
    struct session *s = x->session;
    bool whole = true;

    /* Again as long as the upstream takes all: else both would rest, the client for want of room in s->in,
     * the upstream for want of anything to write. */
    do {
        if (!take_request_body(x))
            return;
        whole = exchange_flush_upstream(x);
    } while (whole && !x->request_done && s->in.len > 0 && x->to_upstream.len < EXCHANGE_HIGH_WATER);
    /* A client that leaves within its own request wants no answer. */
    if (!x->request_done && s->client_ended && s->in.len == 0)
        return session_close(s, "reset");
    if (!whole) {
        /* The upstream hears no more, but may have said why: reading tells. */
        buf_done(&x->to_upstream);
        ev_io_stop(s->proxy->loop, &x->write);
    }
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
    if (x->to_upstream.len > 0 || buf_append(&s->early, rest.data, rest.len) < 0)
        return session_close(s, fault_name(FAULT_RESOURCES));
    s->upstream_fd = x->fd;
    ev_io_stop(s->proxy->loop, &x->read);
    ev_io_stop(s->proxy->loop, &x->write);
    x->fd = -1;
    x->active = false;
    session_tunnel(s);
}

/* @return whether the body may follow; else more input is needed or the exchange is over */
static bool take_head(struct exchange *x)
{
    struct session *s = x->session;
    struct http_head head;
    struct slice in = buf_slice(&x->from_upstream);

    switch (http_parse_response(&head, in.data, in.len)) {
    case PARSE_NEED_MORE:
        if (buf_room(&x->from_upstream) > 0)
            return false;
        __attribute__((fallthrough)); /* clang does not read comments */
    case PARSE_BAD:
        exchange_upstream_failed(x, "http_protocol_error", "The destination's answer is malformed.");
        return false;
    case PARSE_OK:
        break;
    }
    if (http_interpret_response(&x->response, &head, slice_str(x->method), x->upgrade) != PARSE_OK) {
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
        http_write_response(&s->out, &head, &x->response, x->client_minor, x->client_keeps && x->request_done,
                            EXCHANGE_PSEUDONYM) < 0) {
        session_close(s, fault_name(FAULT_RESOURCES));
        return false;
    }
    if (x->response.switching) {
        switch_protocols(x, head.consumed);
        return false;
    }
    buf_consume(&x->from_upstream, head.consumed);
    if (!interim) {
        x->head_done = true;
        x->client_keeps = x->client_keeps && x->request_done;
        x->response_done = x->response.body.kind == HTTP_BODY_NONE || x->response.body.done;
    }
    return true;
}

/* @return false when the exchange is over */
static bool take_body(struct exchange *x)
{
    struct session *s = x->session;
    bool unwrap = x->client_minor == 0 && x->response.body.kind == HTTP_BODY_CHUNKED;

    while (!x->response_done && x->from_upstream.len > 0 && s->out.len < EXCHANGE_HIGH_WATER) {
        struct slice in = buf_slice(&x->from_upstream), content;
        size_t used;
        enum parse p;
        if (unwrap) {
            p = http_body_next(&x->response.body, in.data, in.len, &used, &content);
        } else {
            p = http_body_advance(&x->response.body, in.data, in.len, &used);
            content = slice_of(in.data, used);
        }
        if (p == PARSE_BAD) {
            exchange_abort(x, "reset");
            return false;
        }
        if (buf_append(&s->out, content.data, content.len) < 0) {
            session_close(s, fault_name(FAULT_RESOURCES));
            return false;
        }
        buf_consume(&x->from_upstream, used);
        x->response_done = x->response.body.done;
    }
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
    /* Again as long as the client takes all: what waits in from_upstream wakes nobody up. */
    do {
        if (x->head_done && !take_body(x))
            return;
        if (!session_flush(s))
            return;
    } while (x->head_done && !x->response_done && x->from_upstream.len > 0 &&
             s->out.len < EXCHANGE_HIGH_WATER);
    if (x->response_done)
        return exchange_finish(x);
    exchange_watch_upstream(x);
}
