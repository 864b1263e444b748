#include "http/exchange_state.h"

#include <stdlib.h>
#include <string.h>

/* --- client to destination ---------------------------------------------------------------------------------
 */

/* Parse the received bytes of a body. Bytes that can be passed on unchanged stay at data; if the framing
 * must be corrected, all is appended to out instead. The rest is incomplete framing.
 * @return as http_body_advance; *ret_err as http_body_mend */
static enum parse pass_through(struct http_body *b, struct slice data, struct buf *out, size_t *ret_used,
                               size_t *ret_as_is, int *ret_err)
{
    size_t rest;
    enum parse p = http_body_advance(b, data.data, data.len, ret_used);

    *ret_err = 0;
    *ret_as_is = *ret_used;
    if (p == PARSE_BAD || !b->bent)
        return p;
    *ret_err = buf_append(out, data.data, *ret_used);
    *ret_as_is = 0;
    if (*ret_err < 0)
        return p;
    p = http_body_mend(b, data.data + *ret_used, data.len - *ret_used, &rest, out, ret_err);
    *ret_used += rest;
    return p;
}

static void refuse_request_body(struct exchange *x)
{
    x->client_keeps = false;
    if (exchange_head_went(x))
        return exchange_abort(x, "reset");
    exchange_drop_dest(x->session, "reset");
    exchange_answer(x, 400, "http_request_error", "The request's body is malformed.");
}

/* Send the received body bytes from where they are.
 * @return false when the exchange is over: a malformed body, or no memory */
static bool pass_request_body(struct exchange *x)
{
    struct session *s = x->session;
    struct slice in = buf_slice(&s->in);
    size_t used = 0, as_is = 0;
    int err = 0;

    if (x->request_state == REQUEST_COMING && in.len > 0) {
        enum parse p = pass_through(&x->request_body, in, &x->to_dest, &used, &as_is, &err);
        if (p == PARSE_BAD) {
            refuse_request_body(x);
            return false;
        }
        if (p == PARSE_OK)
            exchange_enter_request(x, REQUEST_WHOLE);
    }
    if (err < 0) {
        session_close(s, fault_name(FAULT_RESOURCES));
        return false;
    }
    if (!exchange_send(x, slice_of(in.data, as_is)))
        return false;
    buf_consume(&s->in, used);
    return true;
}

/* Whether the client has sent FIN within its request. Incomplete chunk framing will stay incomplete. */
static bool has_left(const struct exchange *x)
{
    return x->request_state == REQUEST_COMING && x->session->client_ended &&
           (x->session->in.len == 0 || x->request_body.kind == HTTP_BODY_CHUNKED);
}

void exchange_pump_request(struct exchange *x)
{
    struct session *s = x->session;
    bool was_whole = x->request_state == REQUEST_WHOLE;

    if (pump_waiting(&x->up) > 0)
        exchange_flush_up(x);
    else if (!pass_request_body(x))
        return;
    if (has_left(x)) /* it expects no answer */
        return session_close(s, "reset");
    if (exchange_settle(x))
        return;
    if (!was_whole) /* otherwise the client's input does not depend on waiting bytes */
        session_watch(s);
    exchange_watch_dest(x);
}

/* --- destination to client ---------------------------------------------------------------------------------
 */

static void switch_protocols(struct exchange *x, size_t head_len)
{
    struct session *s = x->session;

    buf_consume(&x->from_dest, head_len);
    /* What the client sent after its request, and what waits for the destination, belongs to the new
     * protocol. */
    struct slice rest = buf_slice(&x->from_dest);
    if (exchange_waiting(x) > 0 || buf_append(&s->early_to_client, rest.data, rest.len) < 0)
        return session_close(s, fault_name(FAULT_RESOURCES));
    buf_done(&x->from_dest);
    s->dest_fd = x->fd;
    ev_io_stop(s->proxy->loop, &x->read);
    ev_io_stop(s->proxy->loop, &x->write);
    x->fd = -1;
    pace_free(x->pace);
    x->pace = NULL;
    exchange_enter_dest(x, DEST_NONE);
    exchange_enter_request(x, REQUEST_NONE);
    session_tunnel(s);
}

static size_t count_lines(struct slice s)
{
    size_t n = 0;

    for (const char *lf; s.len > 0 && (lf = memchr(s.data, '\n', s.len)); n++)
        s = slice_of(lf + 1, s.len - (size_t)(lf + 1 - s.data));
    return n;
}

/* Whether the bytes since the last call contain an empty line. Otherwise a head in many pieces would be
 * parsed in full as many times. */
static bool may_have_end(struct exchange *x, struct slice in)
{
    size_t from = x->head_seen > 2 ? x->head_seen - 2 : 0;

    x->head_seen = in.len;
    for (const char *at = in.data + from, *end = in.data + in.len;
         (at = memchr(at, '\n', (size_t)(end - at)));) {
        at++;
        if (at == end)
            return false;
        if (*at == '\n' || (*at == '\r' && end - at > 1 && at[1] == '\n'))
            return true;
    }
    return false;
}

/* Parse the received head, with additional room for the fields that few heads need. @param ret_room  the
 * caller's to free */
static enum parse parse_head(struct exchange *x, struct http_head *ret, struct http_field **ret_room)
{
    enum { COMMON_HEAD = 16 * 1024 };
    struct slice in = buf_slice(&x->from_dest);

    if (in.len > COMMON_HEAD && in.len < HTTP_ANSWER_HEAD_MAX && !may_have_end(x, in))
        return PARSE_NEED_MORE;
    enum parse p = http_parse_response(ret, in.data, in.len);
    if (p != PARSE_BAD || !ret->crowded)
        return p;
    size_t most = count_lines(in);
    *ret_room = malloc(most * sizeof **ret_room);
    return *ret_room ? http_parse_response_in(ret, in.data, in.len, *ret_room, most) : p;
}

/* If a request is incomplete when its answer is complete, no other request can follow on the connection. */
static bool client_stays(const struct exchange *x)
{
    return x->client_keeps && x->request_state == REQUEST_WHOLE;
}

/* @return whether the body may follow; else the exchange is over */
static bool pass_head(struct exchange *x, const struct http_head *head)
{
    struct session *s = x->session;

    if (http_interpret_response(&x->response, head, slice_str(x->method), x->upgrade) != PARSE_OK) {
        exchange_dest_failed(x, "http_protocol_error", "The destination's answer is malformed.");
        return false;
    }
    if (x->client_minor == 0 && x->response.body.coded) {
        exchange_dest_failed(x, "http_response_transfer_coding",
                             "The destination's answer is coded in a way that HTTP/1.0 does not know.");
        return false;
    }
    bool interim = x->response.interim;
    if (x->client_minor == 0 && x->response.body.kind == HTTP_BODY_CHUNKED)
        x->client_keeps = false; /* the end of the content is marked by closing */
    if (!interim && (x->response.body.kind == HTTP_BODY_UNTIL_CLOSE || s->proxy->draining))
        x->client_keeps = false;
    /* HTTP/1.0 has no interim responses (RFC 9110 15.2). */
    if (!(interim && x->client_minor == 0) &&
        http_write_response(&s->out, head, &x->response, x->client_minor, client_stays(x),
                            EXCHANGE_PSEUDONYM) < 0) {
        session_close(s, fault_name(FAULT_RESOURCES));
        return false;
    }
    if (x->response.switching) {
        switch_protocols(x, head->consumed);
        return false;
    }
    buf_consume(&x->from_dest, head->consumed);
    x->head_seen = 0;
    if (!interim) {
        x->client_keeps = client_stays(x);
        bool whole = x->response.body.kind == HTTP_BODY_NONE || x->response.body.done;
        exchange_enter_response(x, whole ? RESPONSE_WHOLE : RESPONSE_BODY);
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
        if (buf_room(&x->from_dest) > 0)
            break;
        __attribute__((fallthrough)); /* clang does not accept the comment */
    case PARSE_BAD:
        exchange_dest_failed(x, "http_protocol_error", "The destination's answer is malformed.");
        break;
    case PARSE_OK:
        good = pass_head(x, &head);
        break;
    }
    free(room);
    return good;
}

/* Move the content of chunks together, in place. @return as http_body_advance */
static enum parse unwrap(struct http_body *b, char *data, size_t len, size_t *ret_used, size_t *ret_content)
{
    size_t n;
    struct slice piece;
    enum parse p;

    *ret_used = *ret_content = 0;
    do {
        p = http_body_next(b, data + *ret_used, len - *ret_used, &n, &piece);
        if (p == PARSE_BAD)
            return p;
        memmove(data + *ret_content, piece.data, piece.len);
        *ret_content += piece.len;
        *ret_used += n;
    } while (p == PARSE_NEED_MORE && n > 0 && *ret_used < len);
    return p;
}

/* Send the client the head and the received body bytes, from where they are.
 * @return false when the exchange is over */
static bool pass_body(struct exchange *x)
{
    struct session *s = x->session;
    struct buf *from = &x->from_dest;
    struct http_body *body = &x->response.body;
    size_t used = 0, as_is = 0;
    enum parse p = PARSE_OK;
    int err = 0;

    if (from->len > 0 && x->response_state == RESPONSE_BODY) {
        if (x->client_minor == 0 && body->kind == HTTP_BODY_CHUNKED)
            p = unwrap(body, from->data + from->start, from->len, &used, &as_is);
        else
            p = pass_through(body, buf_slice(from), &s->out, &used, &as_is, &err);
    }
    if (p == PARSE_BAD) {
        exchange_abort(x, "reset");
        return false;
    }
    if (err < 0) {
        session_close(s, fault_name(FAULT_RESOURCES));
        return false;
    }
    if (!session_send(s, buf_slice(from).data, as_is))
        return false;
    buf_consume(from, used);
    if (x->response_state == RESPONSE_BODY && body->done)
        exchange_enter_response(x, RESPONSE_WHOLE);
    return true;
}

void exchange_pump_response(struct exchange *x)
{
    struct session *s = x->session;

    while (!exchange_head_went(x) && x->from_dest.len > 0)
        if (!take_head(x))
            break;
    if (s->state != SESSION_EXCHANGE)
        return;
    if (exchange_head_went(x) ? !pass_body(x) : !session_flush(s))
        return;
    if (!exchange_settle(x))
        exchange_watch_dest(x);
}
