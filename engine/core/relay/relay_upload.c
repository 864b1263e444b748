#include "relay/relay_internal.h"

/* Ten for each second over which rates are measured, so that a look more or less changes little. A look costs
 * a system call for each upload. */
static const double LOOK_S = 0.1;

/* After this many looks at which nothing had left, relay_on_look finds out when it goes on. It may take hours
 * until a reader that pauses does. */
enum { STILL_LOOKS_MAX = 20 };

static void remove_upload(struct relay *r)
{
    struct relay_room *room = r->room;
    struct relay *last = room->uploads[--room->n_uploads];

    room->uploads[r->upload - 1] = last;
    last->upload = r->upload;
    r->upload = 0;
}

/* The line carries bytes long after they were read, perhaps while the reader of the counters rests. */
static void look_at(struct relay *r)
{
    uint64_t before = counters_left(&r->counters);
    size_t waiting = relay_undelivered(&r->dest);

    counters_hold(&r->counters, waiting);
    bool moves = counters_left(&r->counters) != before;
    r->still_looks = moves ? 0 : r->still_looks + 1;
    if (moves && counters_wakes(&r->counters))
        r->room->events->woke(r);
    if (waiting > 0 && r->still_looks < STILL_LOOKS_MAX)
        return;
    if (waiting == 0)
        counters_hold_none(&r->counters);
    remove_upload(r);
}

static void on_look(struct ev_loop *loop, ev_timer *w, int events)
{
    struct relay_room *room = container_of(w, struct relay_room, upload_look);

    (void)events;
    for (size_t i = room->n_uploads; i-- > 0;)
        look_at(room->uploads[i]);
    if (room->n_uploads == 0)
        ev_timer_stop(loop, w);
}

void relay_uploads_init(struct relay_room *room)
{
    ev_timer_init(&room->upload_look, on_look, LOOK_S, LOOK_S);
}

void relay_uploads_done(struct relay_room *room)
{
    ev_timer_stop(room->loop, &room->upload_look);
}

static bool add_upload(struct relay *r)
{
    struct relay_room *room = r->room;

    if (room->n_uploads == RELAY_UPLOADS_MAX)
        return false;
    room->uploads[room->n_uploads++] = r;
    r->upload = (uint8_t)room->n_uploads;
    r->still_looks = 0;
    if (!ev_is_active(&room->upload_look))
        ev_timer_again(room->loop, &room->upload_look);
    return true;
}

void relay_upload_begin(struct relay *r)
{
    bool holds = counters_get(&r->counters.left) > 0;

    if (add_upload(r))
        counters_hold(&r->counters, holds ? relay_undelivered(&r->dest) : 0);
    else
        counters_hold_none(&r->counters);
}

void relay_upload_end(struct relay *r)
{
    if (r->upload == 0)
        return;
    counters_hold(&r->counters, relay_undelivered(&r->dest));
    remove_upload(r);
}

void relay_upload_resume(struct relay *r)
{
    if (r->upload == 0 && counters_get(&r->counters.left) > 0 && !add_upload(r))
        counters_hold_none(&r->counters);
}
