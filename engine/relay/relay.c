#include "relay/relay.h"

#include "base/clock.h"
#include "net/keepalive.h"

#include <errno.h>
#include <linux/sockios.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Octets after which one that is bulk is told of: fewer are moved sooner than a thread is woken. */
enum { MUCH_MOVED = 256 * 1024 };

/* After a reset: how long, and how often looked at, the other side may take for what came before it. */
static const double LAST_WORDS_S = 2, LAST_WORDS_POLL_S = 0.01;

/* Looks in one idle time. What a slow peer takes from the kernel shows only when somebody looks, so idleness
 * is noticed late by up to this part of its time. */
enum { LOOKS_AN_IDLE_TIME = 8 };

/* How often a half-closed side is looked at: nobody reads it any more, so nothing else tells of its reset. */
static const double HALF_CLOSED_LOOK_S = 2;

/* The first look comes no later: few connections live so long, and only those need keepalives. */
static const double FIRST_LOOK_S = KEEPALIVE_IDLE_S / 2;

struct last_words {
    ev_timer poll;
    struct relay *relay;
    struct relay_side *of;
    double until_s;
};

static struct relay *relay_of(struct relay_side *s)
{
    return s->is_client ? container_of(s, struct relay, client) : container_of(s, struct relay, upstream);
}

static struct relay_side *other(struct relay_side *s)
{
    return s->is_client ? &relay_of(s)->upstream : &relay_of(s)->client;
}

static int side_fd(const struct relay_side *s)
{
    return s->io.fd;
}

/* Close so that the peer sees a reset instead of an orderly end. */
static void close_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(fd);
}

/* As the kernel smoothed it; 0 where it does not say. */
static double rtt_of(int fd)
{
    struct tcp_info info = {.tcpi_rtt = 0};

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof info}) < 0)
        return 0;
    return info.tcpi_rtt * 1e-6;
}

static void relay_finish(struct relay *r, enum relay_end end)
{
    struct relay_side *sides[] = {&r->client, &r->upstream};

    wheel_cancel(&r->look);
    if (r->last_words)
        ev_timer_stop(r->room->loop, &r->last_words->poll);
    free(r->last_words);
    r->last_words = NULL;
    r->upstream_rtt_s = rtt_of(side_fd(&r->upstream));
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        struct relay_side *s = sides[i];
        ev_io_stop(r->room->loop, &s->io);
        /* A side that has had our FIN has had everything; any other would take a plain close for the end of
         * its data. */
        if (end == RELAY_RESET || end == RELAY_CUT || !s->write_ended)
            close_reset(side_fd(s));
        else
            (void)close(side_fd(s));
        pump_done(&s->in, &r->room->pump);
    }
    r->room->events->done(r, end); /* r may be gone */
}

/* Octets sent to a side that its peer has not acknowledged, and those not sent yet. */
static size_t undelivered(const struct relay_side *s)
{
    int queued = 0;

    if (ioctl(side_fd(s), SIOCOUTQ, &queued) < 0 || queued < 0)
        queued = 0;
    return (size_t)queued + pump_waiting(&s->in);
}

static bool wants_input(struct relay_side *s)
{
    return !s->read_ended && !relay_of(s)->last_words && pump_waiting(&other(s)->in) == 0;
}

static void side_watch(struct relay_side *s)
{
    struct ev_loop *loop = relay_of(s)->room->loop;
    int events = (wants_input(s) ? EV_READ : 0) | (pump_waiting(&s->in) > 0 ? EV_WRITE : 0);

    if (events == (ev_is_active(&s->io) ? s->io.events : 0))
        return;
    ev_io_stop(loop, &s->io);
    if (events == 0)
        return;
    ev_io_modify(&s->io, events);
    ev_io_start(loop, &s->io);
}

static void on_last_words(struct ev_loop *loop, ev_timer *w, int events)
{
    struct last_words *words = container_of(w, struct last_words, poll);
    bool delivered = undelivered(words->of) == 0;

    (void)loop;
    (void)events;
    if (!delivered && clock_now_s() < words->until_s)
        return;
    relay_finish(words->relay, RELAY_RESET);
}

/* A side was reset. The other shall be reset too, but not before it has what was said before: closing with a
 * reset throws away what the kernel has not delivered. */
static void relay_break(struct relay *r, struct relay_side *broken)
{
    struct relay_side *survivor = other(broken);

    r->upstream_broke = broken == &r->upstream;
    if (undelivered(survivor) > 0)
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

/* Whether both directions have ended and all that was read has been written. */
static bool finished(const struct relay *r)
{
    return r->client.write_ended && r->upstream.write_ended;
}

/* Pass on the FIN of the other side once everything before it has been written.
 * @return false when the socket is broken */
static bool end_when_drained(struct relay_side *sink)
{
    if (sink->write_ended || !other(sink)->read_ended || pump_waiting(&sink->in) > 0)
        return true;
    sink->write_ended = true;
    /* The last one of the two travels with the close that follows. */
    return finished(relay_of(sink)) || shutdown(side_fd(sink), SHUT_WR) == 0;
}

static void note_received(struct relay_side *source, size_t n)
{
    struct relay *r = relay_of(source);

    tally_add(source->is_client ? &r->tally.tx : &r->tally.rx, n);
    r->last_activity_s = clock_coarse_s();
    if (!source->is_client && r->first_rx_s <= 0)
        r->first_rx_s = clock_now_s();
    if (tally_wakes(&r->tally))
        r->room->events->woke(r);
}

/* Octets that the other side has sent for it. */
static uint64_t sent_to(struct relay_side *s)
{
    struct relay *r = relay_of(s);

    return tally_get(s->is_client ? &r->tally.rx : &r->tally.tx);
}

/* Whether a side has been reset. One that ended both directions in good order hangs up as well, but has no
 * error; asking does not take the error away. */
static bool was_reset(const struct relay_side *s)
{
    struct pollfd p = {.fd = side_fd(s)};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

/* Note how much the peer's kernel has taken in all; what was sent before the relay began makes that a
 * constant too little. @return whether it has changed since the last look, if there was one */
static bool note_delivered(struct relay_side *s)
{
    uint64_t delivered = sent_to(s) - undelivered(s);
    bool changed = s->looked && delivered != s->delivered;

    s->delivered = delivered;
    s->looked = true;
    return changed;
}

/* Traffic does not touch the timer; when it rings, on_look sees how long the silence has really been. */
static void look_later(struct relay *r)
{
    double after = INFINITY, idle_s = r->room->idle_s;

    if (idle_s > 0)
        after = fmin(r->last_activity_s + idle_s - clock_now_s(), idle_s / LOOKS_AN_IDLE_TIME);
    if (r->client.read_ended || r->upstream.read_ended)
        after = fmin(after, HALF_CLOSED_LOOK_S);
    if (!r->keeps_alive)
        after = fmin(after, FIRST_LOOK_S);
    if (!isinf(after))
        wheel_set(&r->room->looks, &r->look, after);
}

static void on_look(struct wheel *w, struct wheel_entry *e)
{
    struct relay *r = container_of(e, struct relay, look);
    struct relay_side *sides[] = {&r->client, &r->upstream};

    (void)w;
    if (!r->keeps_alive)
        keepalive_set(side_fd(&r->upstream));
    r->keeps_alive = true;
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        struct relay_side *s = sides[i];
        if (note_delivered(s))
            r->last_activity_s = clock_now_s();
        /* A peer that is slow to take what came before the reset keeps its time, up to idleness. */
        if (s->read_ended && was_reset(s) && undelivered(other(s)) == 0)
            return relay_break(r, s);
    }
    if (r->room->idle_s > 0 && clock_now_s() - r->last_activity_s >= r->room->idle_s)
        return relay_finish(r, RELAY_IDLE);
    look_later(r);
}

/* @return whether it goes on as before; else it is at its end, and may be gone */
static bool on_source_ended(struct relay_side *source)
{
    struct relay *r = relay_of(source);

    source->read_ended = true;
    r->last_activity_s = clock_now_s();
    side_watch(source);
    if (!end_when_drained(other(source)))
        relay_break(r, other(source));
    else if (finished(r))
        relay_finish(r, RELAY_CLOSED);
    else
        return look_later(r), true;
    return false;
}

/* @return likewise */
static bool on_readable(struct relay_side *source)
{
    struct relay_side *sink = other(source);
    struct relay *r = relay_of(source);
    size_t n;
    enum pump_end end = pump_turn(&sink->in, &r->room->pump, side_fd(source), side_fd(sink), PUMP_ALL, &n);

    if (n > 0)
        note_received(source, n);
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

/* @return likewise */
static bool on_writable(struct relay_side *sink)
{
    struct relay *r = relay_of(sink);
    int64_t n = pump_flush(&sink->in, &r->room->pump, side_fd(sink));

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
        return true; /* its source was reset: no more will come */
    side_watch(other(sink));
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
    return tally_get(&r->tally.tx) + tally_get(&r->tally.rx) >= MUCH_MOVED;
}

static void on_event(struct ev_loop *loop, ev_io *w, int events)
{
    struct relay_side *s = container_of(w, struct relay_side, io);
    struct relay *r = relay_of(s);

    (void)loop;
    if (events & EV_WRITE && !on_writable(s))
        return;
    if (events & EV_READ && wants_input(s) && !on_readable(s))
        return;
    if (r->room->events->bulk && (r->client.in.bulk || r->upstream.in.bulk) && moved_much(r))
        r->room->events->bulk(r);
}

static void side_init(struct relay_side *s, int fd, bool is_client)
{
    *s = (struct relay_side){.is_client = is_client};
    ev_io_init(&s->io, on_event, fd, EV_READ);
    /* Whoever was the client's has watched it on this loop all the time, and for the same: without the mark
     * of a descriptor that is new libev does not tell the kernel once more, in vain. */
    if (is_client)
        s->io.events = EV_READ;
}

/* Early octets of source go first; its further ones are read once these are written. */
static int side_begin(struct relay_side *source, struct slice early)
{
    if (early.len > RELAY_EARLY_MAX)
        return -ENOBUFS;
    if (early.len == 0)
        return 0;
    int err = pump_keep(&other(source)->in, early.data, early.len);
    if (err == 0)
        note_received(source, early.len);
    return err;
}

void relay_room_init(struct relay_room *room, struct ev_loop *loop, double idle_s,
                     const struct relay_events *events)
{
    *room = (struct relay_room){.loop = loop, .events = events, .idle_s = idle_s};
    wheel_init(&room->looks, loop, on_look);
}

void relay_room_done(struct relay_room *room)
{
    wheel_done(&room->looks);
    pipes_done(&room->pump.pipes);
}

int relay_start(struct relay *r, struct relay_room *room, int client_fd, int upstream_fd,
                struct slice from_client, struct slice from_upstream)
{
    *r = (struct relay){.room = room, .last_activity_s = clock_now_s()};
    side_init(&r->client, client_fd, true);
    side_init(&r->upstream, upstream_fd, false);

    int err = side_begin(&r->client, from_client);
    if (err == 0)
        err = side_begin(&r->upstream, from_upstream);
    if (err < 0) {
        struct relay_side *sides[] = {&r->client, &r->upstream};
        for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
            pump_done(&sides[i]->in, &room->pump);
            close_reset(side_fd(sides[i]));
        }
        return err;
    }
    side_watch(&r->client);
    side_watch(&r->upstream);
    look_later(r);
    return 0;
}

bool relay_may_leave(const struct relay *r)
{
    return !r->last_words;
}

void relay_leave(struct relay *r)
{
    struct relay_side *sides[] = {&r->client, &r->upstream};

    wheel_cancel(&r->look);
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        ev_io_stop(r->room->loop, &sides[i]->io);
        pump_leave(&sides[i]->in, &r->room->pump);
    }
    r->room = NULL;
}

void relay_join(struct relay *r, struct relay_room *room)
{
    struct relay_side *sides[] = {&r->client, &r->upstream};

    r->room = room;
    for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
        pump_join(&sides[i]->in, &room->pump);
        ev_io_set(&sides[i]->io, side_fd(sides[i]), sides[i]->io.events); /* to this loop it is new */
        side_watch(sides[i]);
    }
    look_later(r);
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
    case RELAY_STOPPED:
        return "shutdown";
    case RELAY_CUT:
        return "cut";
    }
    return "unknown";
}
