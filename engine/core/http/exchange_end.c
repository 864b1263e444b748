/* Ends of a request: its response was sent completely, another answer is sent instead, or the client is
 * cut off. */
#include "http/exchange_state.h"

#include <assert.h>
#include <string.h>

void exchange_abort(struct exchange *x, const char *outcome)
{
    struct session *s = x->session;
    bool broken_off = x->dest_state == DEST_RESET && exchange_head_went(x);
    bool reset = broken_off || pump_waiting(&s->down) > 0 || exchange_end_would_mislead(x);

    exchange_drop_dest(s, outcome);
    exchange_enter_request(x, REQUEST_NONE);
    if (reset)
        return session_reset(s);
    session_end(s);
}

void exchange_answer(struct exchange *x, int status, const char *error, const char *text)
{
    struct session *s = x->session;
    bool whole = x->request_state == REQUEST_WHOLE;
    bool keep = x->client_keeps && whole && !s->client_ended && !s->proxy->draining;

    exchange_enter_request(x, REQUEST_NONE);
    if (http_write_error(&s->out, status, error, text, keep, strcmp(x->method, "HEAD") == 0) < 0)
        return session_close(s, NULL);
    if (!keep)
        return session_end(s);
    session_enter(s, SESSION_READING);
    if (session_flush(s))
        s->front->advance(s);
}

void exchange_dest_failed(struct exchange *x, const char *error, const char *text)
{
    if (exchange_head_went(x))
        return exchange_abort(x, "reset");
    exchange_drop_dest(x->session, "reset");
    exchange_answer(x, 502, error, text);
}

static bool may_keep_dest(const struct exchange *x)
{
    return x->response.keep_alive && x->request_state == REQUEST_WHOLE && x->from_dest.len == 0 &&
           x->dest_state == DEST_BUSY && !x->session->proxy->draining;
}

/* The response is complete, and nothing waits for a destination that is kept. */
static void exchange_finish(struct exchange *x)
{
    struct session *s = x->session;
    /* A client may send several requests before its FIN. */
    bool whole = x->request_state == REQUEST_WHOLE;
    bool client_stays = x->client_keeps && whole && (!s->client_ended || s->in.len > 0);
    bool keep = may_keep_dest(x);

    assert(!keep || exchange_waiting(x) == 0);

    exchange_enter_request(x, REQUEST_NONE);
    buf_done(&x->replay);
    if (keep)
        exchange_rest_dest(x);
    else
        exchange_drop_dest(s, "closed");
    if (!client_stays || s->proxy->draining)
        return session_end(s);
    session_enter(s, SESSION_READING);
    s->front->advance(s);
}

bool exchange_settle(struct exchange *x)
{
    if (x->response_state != RESPONSE_WHOLE || pump_waiting(&x->session->down) > 0)
        return false;
    /* An answer can come before its request is sent completely. The next request must wait for that. */
    if (may_keep_dest(x) && exchange_waiting(x) > 0)
        return false;
    exchange_finish(x);
    return true;
}

bool exchange_try_again(struct exchange *x)
{
    struct session *s = x->session;

    if (x->replay.len == 0)
        return false;
    exchange_drop_dest(s, "closed");
    x->to_dest = x->replay;
    buf_init(&x->replay, x->to_dest.max);
    session_connect(s, &x->target, POLICY_HTTP, &x->to_dest);
    return true;
}

void exchange_dest_ended(struct exchange *x, bool orderly)
{
    if (x->dest_state == DEST_RESTING)
        return exchange_drop_dest(x->session, "closed");
    if (!orderly)
        exchange_enter_dest(x, DEST_RESET);
    bool was_reset = x->dest_state == DEST_RESET;
    if (was_reset)
        outbound_note_reset(x->session->outbound);
    if (exchange_head_went(x) && !was_reset && x->response.body.kind == HTTP_BODY_UNTIL_CLOSE) {
        exchange_enter_response(x, RESPONSE_WHOLE);
        x->response.keep_alive = x->client_keeps = false;
        return exchange_finish(x);
    }
    if (exchange_try_again(x))
        return;
    bool answered = x->response_state != RESPONSE_AWAITED;
    if (!answered && x->served > 0) /* the proxy must not repeat it; the client may (RFC 9110 9.2.2) */
        return exchange_abort(x, "reset");
    if (!answered)
        return exchange_dest_failed(x, "connection_terminated", "The destination closed without an answer.");
    exchange_dest_failed(x, "http_response_incomplete",
                         "The destination closed before its answer was complete.");
}
