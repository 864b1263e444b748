/* A relay between two loopback TCP connections; the test holds the far ends. */
#ifndef STEERWAY_TESTS_RELAY_FIXTURE_H
#define STEERWAY_TESTS_RELAY_FIXTURE_H

#include "relay/relay.h"

#include "support/tcp.h"

static const double GIVE_UP_S = 60;

struct fixture {
    struct ev_loop *loop;
    struct relay_room room;
    struct relay relay;
    ev_timer alarm;
    int client, server; /* the far ends: what the proxy's clients and servers hold */
    bool done, late;
    enum relay_end end;
};

static inline void on_done(struct relay *r, enum relay_end end)
{
    struct fixture *f = container_of(r, struct fixture, relay);
    assert_false(f->done);
    f->done = true;
    f->end = end;
}

static const struct relay_events EVENTS = {.done = on_done};

static inline void on_alarm(struct ev_loop *loop, ev_timer *w, int events)
{
    struct fixture *f = container_of(w, struct fixture, alarm);
    (void)loop;
    (void)events;
    f->late = true;
}

static inline void start_with_window(struct fixture *f, int client_window, struct slice early_client,
                                     struct slice early_server, double idle_s)
{
    int client_fd, dest_fd;

    *f = (struct fixture){.loop = ev_loop_new(EVFLAG_AUTO)};
    relay_room_init(&f->room, f->loop, idle_s, &EVENTS);
    tcp_pair(client_window, &f->client, &client_fd);
    tcp_pair(0, &dest_fd, &f->server);
    ev_timer_init(&f->alarm, on_alarm, GIVE_UP_S, 0.);
    ev_timer_start(f->loop, &f->alarm);
    assert_int_equal(relay_start(&f->relay, &f->room, client_fd, dest_fd, early_client, early_server), 0);
}

static inline void start(struct fixture *f, struct slice early_client, struct slice early_server,
                         double idle_s)
{
    start_with_window(f, 0, early_client, early_server, idle_s);
}

static inline void finish(struct fixture *f)
{
    assert_true(f->done);
    if (f->client >= 0)
        close(f->client);
    if (f->server >= 0)
        close(f->server);
    ev_timer_stop(f->loop, &f->alarm);
    assert_int_equal(ev_pending_count(f->loop), 0);
    assert_int_equal(f->room.pump.pipes.n_held, 0);
    relay_room_done(&f->room);
    ev_loop_destroy(f->loop);
}

static const struct slice NOTHING = {"", 0};

static inline void turn(struct fixture *f)
{
    ev_run(f->loop, EVRUN_NOWAIT);
    assert_false(f->late);
}

static inline void reset_now(int *fd)
{
    close_with_reset(*fd);
    *fd = -1;
}

#endif
