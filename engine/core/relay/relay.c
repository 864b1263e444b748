#include "relay/relay_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes after which a bulk relay is reported. Moving fewer takes less time than waking a thread. */
enum { MUCH_MOVED = 256 * 1024 };

/* Fewer bytes than this at once are a request and not an upload: they leave at once. */
enum { UPLOAD_MIN = 4 * 1024 };

/* After a reset, the other side gets this much time to take the bytes that came before it. The timer
 * restarts when it takes some. */
static const double LAST_WORDS_S = 2, LAST_WORDS_POLL_S = 0.01;

struct last_words {
    ev_timer poll;
    struct relay *relay;
    struct relay_side *of;
    size_t left;
    double until_s;
};

/* Close so that the peer sees a reset, not a FIN. */
static void close_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

/* The kernel's smoothed estimate; 0 when unknown. */
static double rtt_of(int fd)
{
    struct tcp_info info = {.tcpi_rtt = 0};

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof info}) < 0)
        return 0;
    return info.tcpi_rtt * 1e-6;
}

void relay_finish(struct relay *r, enum relay_end end)
{
    struct relay_side *sides[] = {&r->client, &r->dest};

    if (end == RELAY_RESET && r->unacked)
        end = RELAY_UNACKED;
    wheel_cancel(&r->look);
    relay_upload_end(r);
    pace_free(r->pace);
    r->pace = NULL;
    if (r->last_words)
        ev_timer_stop(r->room->loop, &r->last_words->poll);
    free(r->last_words);
    r->last_words = NULL;
    r->dest_rtt_s = rtt_of(relay_side_fd(&r->dest));
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        struct relay_side *s = sides[i];
        ev_io_stop(r->room->loop, &s->io);
        /* A side that was sent FIN has everything. Any other side would mistake a plain close for the end
         * of its data. */
        if (end == RELAY_RESET || end == RELAY_UNACKED || end == RELAY_CUT || !s->write_ended)
            close_reset(relay_side_fd(s));
        else
            (void)close(relay_side_fd(s));
        pump_done(&s->in, &r->room->pump);
    }
    r->room->events->done(r, end); /* r may be freed by now */
}

static bool side_wants_input(struct relay_side *s)
{
    const struct relay *r = relay_of_side(s);

    return !s->read_ended && !r->last_words && pump_waiting(&relay_other(s)->in) == 0 &&
           !pace_waits(r->pace, s->is_client);
}

static void side_watch(struct relay_side *s)
{
    struct ev_loop *loop = relay_of_side(s)->room->loop;
    int events = (side_wants_input(s) ? EV_READ : 0) | (pump_waiting(&s->in) > 0 ? EV_WRITE : 0);

    if (events == (ev_is_active(&s->io) ? s->io.events : 0))
        return;
    ev_io_stop(loop, &s->io);
    if (events == 0)
        return;
    ev_io_modify(&s->io, events);
    ev_io_start(loop, &s->io);
}

static void note_received(struct relay_side *source, size_t n);

/* Bytes that arrived before a side broke may still be in its socket, also when a send failed. The other
 * side must get them. Read one turn's worth, if nothing waits for the other side.
 * @return whether there may be more */
static bool hear_out(struct relay_side *broken)
{
    struct relay_side *survivor = relay_other(broken);
    struct pump_room *room = &relay_of_side(broken)->room->pump;
    enum pump_end end;
    size_t n;

    if (broken->read_ended || pump_waiting(&survivor->in) > 0)
        return !broken->read_ended;
    end = pump_turn(&survivor->in, room, relay_side_fd(broken), relay_side_fd(survivor), PUMP_ALL, &n);
    if (n > 0)
        note_received(broken, n);
    broken->read_ended = end == PUMP_SINK_BROKEN || end == PUMP_NO_MEMORY || (n == 0 && end != PUMP_FULL);
    return !broken->read_ended;
}

static void on_last_words(struct ev_loop *loop, ev_timer *w, int events)
{
    struct last_words *words = container_of(w, struct last_words, poll);
    bool more = hear_out(relay_other(words->of));
    size_t left = relay_undelivered(words->of);

    (void)loop;
    (void)events;
    if (left != words->left)
        words->until_s = clock_now_s() + LAST_WORDS_S;
    words->left = left;
    if ((!more && left == 0) || clock_now_s() >= words->until_s)
        return relay_finish(words->relay, RELAY_RESET);
    side_watch(words->of);
}

/* One side was reset. The other is reset too, but only after it has received the earlier bytes: a close
 * with reset discards what the kernel has not delivered. */
void relay_break(struct relay *r, struct relay_side *broken)
{
    struct relay_side *survivor = relay_other(broken);

    r->dest_broke = broken == &r->dest;
    if (hear_out(broken) || relay_undelivered(survivor) > 0)
        r->last_words = malloc(sizeof *r->last_words);
    if (!r->last_words)
        return relay_finish(r, RELAY_RESET);
    *r->last_words = (struct last_words){.relay = r, .of = survivor, .until_s = clock_now_s() + LAST_WORDS_S};
    wheel_cancel(&r->look);
    ev_io_stop(r->room->loop, &broken->io);
    pump_done(&broken->in, &r->room->pump);
    side_watch(survivor);
    ev_timer_init(&r->last_words->poll, on_last_words, LAST_WORDS_POLL_S, LAST_WORDS_POLL_S);
    ev_timer_start(r->room->loop, &r->last_words->poll);
}

/* Whether both directions have ended and everything is written. */
static bool finished(const struct relay *r)
{
    return r->client.write_ended && r->dest.write_ended;
}

/* Pass on the other side's FIN once everything before it is written.
 * @return false when the socket is broken */
static bool end_when_drained(struct relay_side *sink)
{
    if (sink->write_ended || !relay_other(sink)->read_ended || pump_waiting(&sink->in) > 0)
        return true;
    sink->write_ended = true;
    /* The second FIN is sent by the close that follows. */
    return finished(relay_of_side(sink)) || shutdown(relay_side_fd(sink), SHUT_WR) == 0;
}

static void note_received(struct relay_side *source, size_t n)
{
    struct relay *r = relay_of_side(source);

    if (source->is_client && r->upload == 0 && (n >= UPLOAD_MIN || counters_get(&r->counters.left) > 0))
        relay_upload_begin(r);
    counters_add(source->is_client ? &r->counters.tx : &r->counters.rx, n);
    r->last_activity_s = clock_coarse_s();
    if (!r->stirs)
        relay_stir(r);
    if (!source->is_client && r->first_rx_s <= 0)
        r->first_rx_s = clock_now_s();
    if (counters_wakes(&r->counters))
        r->room->events->woke(r);
}

/* @return false when the relay has ended; it may be freed then */
static bool on_source_ended(struct relay_side *source)
{
    struct relay *r = relay_of_side(source);

    source->read_ended = true;
    r->last_activity_s = clock_now_s();
    side_watch(source);
    if (!end_when_drained(relay_other(source)))
        relay_break(r, relay_other(source));
    else if (finished(r))
        relay_finish(r, RELAY_CLOSED);
    else
        return relay_look_later(r), true;
    return false;
}

static void note_paced(struct relay_side *source, size_t n)
{
    pace_note(relay_of_side(source)->pace, source->is_client, n);
    side_watch(source);
}

static void on_pace_woke(void *arg, bool up)
{
    struct relay *r = arg;

    side_watch(up ? &r->client : &r->dest);
}

void relay_cap(struct relay *r, const struct pace_caps *caps)
{
    r->pace = pace_new(caps, on_pace_woke, r);
    if (r->pace)
        pace_join(r->pace, r->room->loop);
}

/* @return false when the relay has ended */
static bool on_readable(struct relay_side *source)
{
    struct relay_side *sink = relay_other(source);
    struct relay *r = relay_of_side(source);
    uint64_t most = r->pace ? pace_most(r->pace) : PUMP_ALL;
    size_t n;
    enum pump_end end =
        pump_turn(&sink->in, &r->room->pump, relay_side_fd(source), relay_side_fd(sink), most, &n);

    if (n > 0)
        note_received(source, n);
    if (n > 0 && r->pace)
        note_paced(source, n);
    switch (end) {
    case PUMP_AGAIN:
    case PUMP_EMPTY:
        return true;
    case PUMP_FULL:
        side_watch(source);
        side_watch(sink);
        return true;
    case PUMP_ENDED:
        return on_source_ended(source);
    case PUMP_SOURCE_BROKEN:
        relay_break(r, source);
        return false;
    case PUMP_SINK_BROKEN:
    case PUMP_NO_MEMORY:
        relay_break(r, sink);
        return false;
    }
    return true;
}

/* @return false when the relay has ended */
static bool on_writable(struct relay_side *sink)
{
    struct relay *r = relay_of_side(sink);
    int64_t n = pump_flush(&sink->in, &r->room->pump, relay_side_fd(sink));

    if (n < 0) {
        if (r->last_words)
            relay_finish(r, RELAY_RESET);
        else
            relay_break(r, sink);
        return false;
    }
    if (n > 0)
        r->last_activity_s = clock_now_s();
    if (pump_waiting(&sink->in) > 0)
        return true;
    side_watch(sink);
    if (r->last_words)
        return true; /* its source was reset: nothing more to read */
    side_watch(relay_other(sink));
    if (!end_when_drained(sink)) {
        relay_break(r, sink);
        return false;
    }
    if (!finished(r))
        return true;
    relay_finish(r, RELAY_CLOSED);
    return false;
}

static bool moved_much(const struct relay *r)
{
    return counters_get(&r->counters.tx) + counters_get(&r->counters.rx) >= MUCH_MOVED;
}

static void on_event(struct ev_loop *loop, ev_io *w, int events)
{
    struct relay_side *s = container_of(w, struct relay_side, io);
    struct relay *r = relay_of_side(s);

    (void)loop;
    if (events & EV_WRITE && !on_writable(s))
        return;
    if (events & EV_READ && side_wants_input(s) && !on_readable(s))
        return;
    if (r->room->events->bulk && (r->client.in.bulk || r->dest.in.bulk) && moved_much(r))
        r->room->events->bulk(r);
}

static void side_init(struct relay_side *s, int fd, bool is_client)
{
    *s = (struct relay_side){.is_client = is_client};
    ev_io_init(&s->io, on_event, fd, EV_READ);
    /* The session watched this descriptor on the same loop for the same events. Without libev's mark for a
     * new descriptor, libev saves an epoll_ctl call. */
    if (is_client)
        s->io.events = EV_READ;
}

/* Queue a side's early bytes for the other side. Reading starts when they are written. */
static int side_begin(struct relay_side *source, struct slice early)
{
    if (early.len > RELAY_EARLY_MAX)
        return -ENOBUFS;
    if (early.len == 0)
        return 0;
    int err = pump_keep(&relay_other(source)->in, early.data, early.len);
    if (err == 0)
        note_received(source, early.len);
    return err;
}

void relay_room_init(struct relay_room *room, struct ev_loop *loop, double idle_s,
                     const struct relay_events *events)
{
    *room = (struct relay_room){.loop = loop, .events = events, .idle_s = idle_s};
    wheel_init(&room->looks, loop, relay_on_look);
    relay_uploads_init(room);
}

void relay_room_set_times(struct relay_room *room, double idle_s, double ack_s)
{
    atomic_store_explicit(&room->idle_s, idle_s, memory_order_relaxed);
    atomic_store_explicit(&room->ack_s, ack_s, memory_order_relaxed);
}

void relay_room_done(struct relay_room *room)
{
    wheel_done(&room->looks);
    relay_uploads_done(room);
    pipes_done(&room->pump.pipes);
}

int relay_start(struct relay *r, struct relay_room *room, int client_fd, int dest_fd,
                struct slice from_client, struct slice from_dest)
{
    *r = (struct relay){.room = room, .last_activity_s = clock_now_s()};
    side_init(&r->client, client_fd, true);
    side_init(&r->dest, dest_fd, false);

    int err = side_begin(&r->client, from_client);
    if (err == 0)
        err = side_begin(&r->dest, from_dest);
    if (err < 0) {
        struct relay_side *sides[] = {&r->client, &r->dest};
        relay_upload_end(r);
        for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
            pump_done(&sides[i]->in, &room->pump);
            close_reset(relay_side_fd(sides[i]));
        }
        return err;
    }
    side_watch(&r->client);
    side_watch(&r->dest);
    relay_look_later(r);
    return 0;
}

bool relay_may_leave(const struct relay *r)
{
    return !r->last_words;
}

void relay_leave(struct relay *r)
{
    struct relay_side *sides[] = {&r->client, &r->dest};

    wheel_cancel(&r->look);
    relay_upload_end(r);
    if (r->pace)
        pace_leave(r->pace);
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        ev_io_stop(r->room->loop, &sides[i]->io);
        pump_leave(&sides[i]->in, &r->room->pump);
    }
    r->room = NULL;
}

void relay_join(struct relay *r, struct relay_room *room)
{
    struct relay_side *sides[] = {&r->client, &r->dest};

    r->room = room;
    if (r->pace)
        pace_join(r->pace, room->loop);
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        pump_join(&sides[i]->in, &room->pump);
        ev_io_set(&sides[i]->io, relay_side_fd(sides[i]), sides[i]->io.events); /* new for this loop */
        side_watch(sides[i]);
    }
    relay_upload_resume(r);
    relay_look_later(r);
}

void relay_stop(struct relay *r)
{
    relay_finish(r, RELAY_STOPPED);
}

void relay_cut(struct relay *r)
{
    relay_finish(r, RELAY_CUT);
}

const char *relay_end_name(enum relay_end end)
{
    switch (end) {
    case RELAY_CLOSED:
        return "closed";
    case RELAY_RESET:
        return "reset";
    case RELAY_IDLE:
        return "idle";
    case RELAY_UNACKED:
        return "unacknowledged";
    case RELAY_STOPPED:
        return "shutdown";
    case RELAY_CUT:
        return "cut";
    }
    return "unknown";
}
