/* Bodies that need no parsing, since their length is known or they end with the connection. They pass from
 * socket to socket as in a tunnel, and no byte after them is taken. */
#include "http/exchange_state.h"

#include "base/clock.h"

#include <errno.h>

/* --- client to destination ---------------------------------------------------------------------------------
 */

bool exchange_moves_request(const struct exchange *x)
{
    return x->request_state == REQUEST_COMING && x->request_body.kind == HTTP_BODY_LENGTH &&
           x->dest_state == DEST_BUSY && x->session->in.len == 0 && exchange_waiting(x) == 0;
}

bool exchange_move_request(struct exchange *x)
{
    struct session *s = x->session;
    struct http_body *body = &x->request_body;
    size_t n;
    enum pump_end end =
        pump_turn(&x->up, &s->proxy->workers.room.pump, s->fd, x->fd, exchange_most(x, body->left), &n);
    int err = errno;

    body->left -= n;
    body->done = body->left == 0;
    if (body->done)
        exchange_enter_request(x, REQUEST_WHOLE);
    if (n > 0) {
        exchange_note(x, n, 0);
        x->last_activity_s = clock_now_s();
    }
    switch (end) {
    case PUMP_AGAIN:
    case PUMP_EMPTY:
        return body->done;
    case PUMP_FULL:
        session_watch(s);
        exchange_watch_dest(x);
        return false;
    case PUMP_ENDED:
        s->client_ended = true;
        return true;
    case PUMP_SOURCE_BROKEN:
        session_close(s, "reset");
        return false;
    case PUMP_SINK_BROKEN:
        exchange_note_broken(x, err);
        return true;
    case PUMP_NO_MEMORY:
        session_close(s, fault_name(FAULT_RESOURCES));
        return false;
    }
    return false;
}

void exchange_flush_up(struct exchange *x)
{
    int64_t n = pump_flush(&x->up, &x->session->proxy->workers.room.pump, x->fd);

    if (n < 0)
        exchange_note_broken(x, (int)-n);
    if (n > 0)
        x->last_activity_s = clock_now_s();
}

/* --- destination to client ---------------------------------------------------------------------------------
 */

bool exchange_moves_response(const struct exchange *x)
{
    return x->response_state == RESPONSE_BODY && x->response.body.kind != HTTP_BODY_CHUNKED;
}

void exchange_move_response(struct exchange *x)
{
    struct session *s = x->session;
    struct http_body *body = &x->response.body;
    bool measured = body->kind == HTTP_BODY_LENGTH;
    size_t n;
    enum pump_end end = pump_turn(&s->down, &s->proxy->workers.room.pump, x->fd, s->fd,
                                  exchange_most(x, measured ? body->left : PUMP_ALL), &n);

    if (measured) {
        body->left -= n;
        body->done = body->left == 0;
    }
    if (body->done)
        exchange_enter_response(x, RESPONSE_WHOLE);
    if (n > 0) {
        exchange_note(x, 0, n);
        x->last_activity_s = clock_now_s();
    }
    switch (end) {
    case PUMP_AGAIN:
    case PUMP_EMPTY:
        break;
    case PUMP_FULL:
        session_watch(s);
        return exchange_watch_dest(x);
    case PUMP_ENDED:
    case PUMP_SOURCE_BROKEN:
        return exchange_dest_ended(x, end == PUMP_ENDED);
    case PUMP_SINK_BROKEN:
        return session_close(s, "reset");
    case PUMP_NO_MEMORY:
        return session_close(s, fault_name(FAULT_RESOURCES));
    }
    if (body->done && !exchange_settle(x))
        exchange_watch_dest(x); /* the rest of the request is still being sent; nothing more is expected */
}
