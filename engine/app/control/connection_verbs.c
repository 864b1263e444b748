#include "control/connection_verbs.h"

#include "base/clock.h"
#include "control/control.h"
#include "outbound/outbound.h"
#include "view/connection.h"
#include "view/connection_filter.h"
#include "view/connection_row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Between two slices the loop serves connections, for at least as long as the slice took. */
static const double SLICE_S = 1e-3;
/* Connections between two looks at the clock: about 20 us. */
enum { BATCH = 16 };
/* A client that reads slower than the rows are written gets the next ones when it has read these. */
enum { WAITING_MAX = 256 * 1024 };

/* A walk through the connections, in slices. */
struct visit {
    struct control_stream stream;
    struct ev_loop *loop;
    ev_timer next;
    struct live_walk walk;
    struct connection_filter filter;
    bool closes, stalled;
    size_t n; /* that fit */
};

static void visit_free(struct visit *v)
{
    ev_timer_stop(v->loop, &v->next);
    live_walk_end(&v->walk);
    connection_filter_done(&v->filter);
    free(v);
}

/* --- a slice -------------------------------------------------------------------------------------------- */

/* @return false: out of memory */
static bool show(struct visit *v, const struct account *a, const char *state, double now_s)
{
    struct buf *out = control_stream_text(&v->stream);

    if (v->n++ > 0 && buf_append(out, ",", 1) < 0)
        return false;
    return connection_row_write(out, a, state, now_s) == 0;
}

/* @return 1; 0: there are no more; -1: out of memory */
static int visit_one(struct visit *v, double now_s)
{
    struct outbound *o = live_walk_next(&v->walk);
    struct account a;

    if (!o)
        return 0;
    account_of(o, &a);
    if (!connection_filter_fits(&v->filter, &a))
        return 1;
    if (!v->closes)
        return show(v, &a, connection_state(o), now_s) ? 1 : -1;
    v->n += connection_close(o);
    return 1;
}

static void fail(struct visit *v)
{
    control_stream_fail(&v->stream);
    visit_free(v);
}

static void finish(struct visit *v)
{
    struct buf *out = control_stream_text(&v->stream);

    if (v->closes ? buf_printf(out, "{\"ok\":true,\"closed\":%zu}\n", v->n) < 0
                  : buf_append(out, "]}\n", 3) < 0)
        control_stream_fail(&v->stream);
    else
        control_stream_close(&v->stream);
    visit_free(v);
}

/* May free the visit. */
static void slice(struct visit *v)
{
    double began_s = clock_now_s(), now_s = began_s;
    int r = 1;

    while (r > 0 && now_s - began_s < SLICE_S) {
        for (int i = 0; r > 0 && i < BATCH; i++)
            r = visit_one(v, now_s);
        now_s = clock_now_s();
    }
    if (r < 0)
        return fail(v);
    if (r == 0)
        return finish(v);
    control_stream_send(&v->stream);
    v->stalled = control_stream_text(&v->stream)->len > WAITING_MAX;
    if (v->stalled)
        return; /* on_ready goes on */
    ev_now_update(v->loop);
    ev_timer_set(&v->next, now_s - began_s, 0.);
    ev_timer_start(v->loop, &v->next);
}

static void on_next(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    slice(container_of(w, struct visit, next));
}

static void on_ready(struct control_stream *s)
{
    struct visit *v = container_of(s, struct visit, stream);

    if (!v->stalled)
        return;
    v->stalled = false;
    ev_now_update(v->loop);
    ev_timer_set(&v->next, 0., 0.);
    ev_timer_start(v->loop, &v->next);
}

static void on_gone(struct control_stream *s)
{
    visit_free(container_of(s, struct visit, stream));
}

/* --- the verbs ------------------------------------------------------------------------------------------ */

/* @return NULL after a refusal */
static struct visit *visit_new(void *owner, const json_t *request, bool closes, struct control_reply reply)
{
    struct outbounds *o = &((struct control *)owner)->subject.proxy->outbounds;
    char err[CONNECTION_FILTER_ERROR_MAX] = "out of memory";
    struct visit *v = calloc(1, sizeof *v);

    if (!v) {
        control_refuse(reply, "%s", err);
        return NULL;
    }
    v->loop = o->loop;
    v->closes = closes;
    v->stream = (struct control_stream){.ready = on_ready, .gone = on_gone};
    ev_timer_init(&v->next, on_next, 0., 0.);
    int r = connection_filter_read(&v->filter, request, err);
    if (r == 0 && closes && !connection_filter_is_said(&v->filter)) {
        (void)snprintf(err, sizeof err,
                       "expected \"ids\", a filter (host, client, uplink, user), or \"all\": true");
        r = -EINVAL;
    }
    if (r < 0)
        control_refuse(reply, "%s", err);
    if (r < 0 || !control_stream_open(&v->stream, reply)) {
        visit_free(v);
        return NULL;
    }
    return v;
}

static bool begin_rows(struct visit *v)
{
    static const char text[] = "{\"ok\":true,\"connections\":[";

    return buf_append(control_stream_text(&v->stream), text, sizeof text - 1) == 0;
}

static struct live *live_of(void *owner)
{
    return &((struct control *)owner)->subject.proxy->outbounds.live;
}

void verb_connections(void *owner, const json_t *request, struct control_reply reply)
{
    struct visit *v = visit_new(owner, request, false, reply);

    if (!v)
        return;
    if (!begin_rows(v))
        return fail(v);
    live_walk_begin(&v->walk, live_of(owner));
    slice(v);
}

void verb_close(void *owner, const json_t *request, struct control_reply reply)
{
    struct visit *v = visit_new(owner, request, true, reply);

    if (!v)
        return;
    live_walk_begin(&v->walk, live_of(owner));
    slice(v);
}

/* There are few: one slice is enough. */
void verb_recent(void *owner, const json_t *request, struct control_reply reply)
{
    const struct recent *recent = &((struct control *)owner)->subject.proxy->outbounds.recent;
    struct visit *v = visit_new(owner, request, false, reply);
    double now_s = clock_now_s();
    const struct account *a;

    if (!v)
        return;
    bool good = begin_rows(v);
    for (size_t i = 0; good && (a = recent_at(recent, i)); i++)
        if (connection_filter_fits(&v->filter, a))
            good = show(v, a, NULL, now_s);
    return good ? finish(v) : fail(v);
}
