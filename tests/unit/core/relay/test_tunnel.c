/* Tunnels on the main loop and on workers: every byte arrives, the counters are final at the end, and each
 * tunnel ends once, in whatever order orders and ends meet. */
#include "relay/fixture.h"

#include "base/clock.h"
#include "relay/worker.h"

#include <stdio.h>

enum { TUNNELS = 24, MUCH = 3 * 1000 * 1000 };

/* One tunnel and its far ends. */
struct trip {
    struct tunnel tunnel;
    int client, server;
    size_t up_sent, up_got, down_sent, down_got;
    int client_saw, server_saw, ended, woke;
    enum relay_end end;
    bool moved; /* a worker had it */
};

static struct ev_loop *loop;
static struct workers workers;
static struct trip trips[TUNNELS];

static void on_ended(struct tunnel *t, enum relay_end end)
{
    struct trip *trip = container_of(t, struct trip, tunnel);
    assert_int_equal(trip->ended, 0);
    trip->ended++;
    trip->end = end;
    trip->moved = t->worker;
    memset(&t->relay.client, 0xa5, sizeof t->relay.client); /* as if freed */
}

static void on_woke(struct tunnel *t)
{
    container_of(t, struct trip, tunnel)->woke++;
}

static const struct tunnel_events TUNNEL_EVENTS = {.ended = on_ended, .woke = on_woke};

static void setup(size_t threads, double idle_s)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    workers_init(&workers, loop, idle_s, &TUNNEL_EVENTS);
    assert_int_equal(workers_start(&workers, threads), 0);
    assert_int_equal(workers.n_workers, threads);
}

static void teardown(void)
{
    workers_stop(&workers);
    assert_int_equal(workers.room.pump.pipes.n_held, 0);
    workers_done(&workers);
    assert_int_equal(ev_pending_count(loop), 0);
    ev_loop_destroy(loop);
}

static void depart(struct trip *trip)
{
    int client_fd, dest_fd;

    *trip = (struct trip){.ended = 0};
    tcp_pair(0, &trip->client, &client_fd);
    tcp_pair(0, &dest_fd, &trip->server);
    assert_int_equal(tunnel_start(&trip->tunnel, &workers, client_fd, dest_fd, NOTHING, NOTHING), 0);
}

static void arrive(struct trip *trip)
{
    if (trip->client >= 0)
        close(trip->client);
    if (trip->server >= 0)
        close(trip->server);
}

/* A turn of the main thread, and of both far ends. */
static void go_on(struct trip *trip, size_t total)
{
    trip->up_sent = feed(trip->client, trip->up_sent, total);
    trip->down_sent = feed(trip->server, trip->down_sent, total);
    trip->up_got = drain(trip->server, trip->up_got, &trip->server_saw);
    trip->down_got = drain(trip->client, trip->down_got, &trip->client_saw);
}

static double end_of_patience(void)
{
    return clock_now_s() + GIVE_UP_S;
}

static void run_until_handed_over(struct trip *trip)
{
    for (double end = end_of_patience(); !trip->tunnel.worker;) {
        ev_run(loop, EVRUN_ONCE);
        assert_true(clock_now_s() < end);
    }
}

static void run_until_ended(struct trip *trip)
{
    for (double end = end_of_patience(); !trip->ended;) {
        ev_run(loop, EVRUN_NOWAIT);
        assert_true(clock_now_s() < end);
    }
}

/* A tunnel on the only worker, or on the main loop without one. */
static void depart_alone(size_t threads)
{
    setup(threads, 0);
    depart(&trips[0]);
    if (threads > 0)
        run_until_handed_over(&trips[0]);
}

static void finish_alone(void)
{
    run_until_ended(&trips[0]);
    arrive(&trips[0]);
    teardown();
}

/* Both far ends say that nothing more comes. */
static void close_gracefully(const struct trip *trip)
{
    shutdown(trip->client, SHUT_WR);
    shutdown(trip->server, SHUT_WR);
}

/* Bytes of the client come to the server. */
static void send_up(struct trip *trip, size_t total)
{
    trip->up_sent = feed(trip->client, trip->up_sent, total);
    trip->up_got = drain(trip->server, trip->up_got, &trip->server_saw);
}

static void every_byte_arrives(void **state)
{
    (void)state;
    for (size_t threads = 0; threads < 3; threads++) {
        setup(threads, 0);
        for (size_t i = 0; i < 4; i++)
            depart(&trips[i]);
        double end = end_of_patience();
        for (size_t done = 0; done < 4;) {
            done = 0;
            for (size_t i = 0; i < 4; i++) {
                go_on(&trips[i], MUCH);
                done += trips[i].up_got == MUCH && trips[i].down_got == MUCH;
            }
            ev_run(loop, EVRUN_NOWAIT);
            assert_true(clock_now_s() < end);
        }
        for (size_t i = 0; i < 4; i++) {
            assert_true(!trips[i].tunnel.worker == (threads == 0));
            close_gracefully(&trips[i]);
            run_until_ended(&trips[i]);
            assert_int_equal(trips[i].end, RELAY_CLOSED);
            assert_int_equal(trips[i].tunnel.relay.counters.tx, MUCH);
            assert_int_equal(trips[i].tunnel.relay.counters.rx, MUCH);
            assert_true(trips[i].tunnel.relay.first_rx_s > 0);
            arrive(&trips[i]);
        }
        for (size_t i = 0; i < workers.n_workers; i++)
            assert_int_equal(workers.items[i]->n_tunnels, 0);
        teardown();
    }
}

/* Short tunnels wake no other thread. */
static void short_tunnels_stay(void **state)
{
    (void)state;
    setup(2, 0);
    depart(&trips[0]);
    while (trips[0].down_got < 1000) {
        go_on(&trips[0], 1000);
        ev_run(loop, EVRUN_NOWAIT);
    }
    close_gracefully(&trips[0]);
    run_until_ended(&trips[0]);
    assert_false(trips[0].moved);
    finish_alone();
}

/* Long-lived ones are spread evenly, with the bytes that had arrived before. */
static void quiet_tunnels_are_handed_over(void **state)
{
    struct addr source;
    int link;

    (void)state;
    setup(2, 0);
    for (size_t i = 0; i < 4; i++)
        depart(&trips[i]);
    for (size_t i = 0; i < 4; i++)
        run_until_handed_over(&trips[i]);
    assert_int_equal(workers.items[0]->n_tunnels, 2);
    assert_int_equal(workers.items[1]->n_tunnels, 2);
    assert_false(ev_is_active(&workers.beat));
    for (size_t i = 0; i < 4; i++) {
        assert_true(tunnel_source(&trips[i].tunnel, &source, &link));
        assert_true(addr_is_loopback(&source));
        assert_int_equal(link, 0);
        for (double end = end_of_patience(); trips[i].down_got < 500 || trips[i].up_got < 500;) {
            go_on(&trips[i], 500);
            assert_true(clock_now_s() < end);
        }
        close(trips[i].client);
        trips[i].client = -1;
    }
    for (size_t i = 0; i < 4; i++) {
        shutdown(trips[i].server, SHUT_WR);
        run_until_ended(&trips[i]);
        assert_true(trips[i].moved);
        arrive(&trips[i]);
    }
    teardown();
}

/* The number of epoll sets of this process that have the descriptor. */
static int watched_by(int fd)
{
    int n = 0;

    for (int i = 0; i < 256; i++) {
        char path[64], line[256];
        int tfd;
        (void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", i);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof line, f))
            n += sscanf(line, "tfd: %d", &tfd) == 1 && tfd == fd;
        if (f)
            fclose(f);
    }
    return n;
}

/* The main loop forgets descriptors that it handed over: their numbers may soon belong to others. */
static void the_main_loop_forgets_what_it_handed_over(void **state)
{
    (void)state;
    setup(1, 0);
    depart(&trips[0]);
    ev_run(loop, EVRUN_NOWAIT);
    int client_fd = trips[0].tunnel.relay.client.io.fd, dest_fd = trips[0].tunnel.relay.dest.io.fd;
    assert_int_equal(watched_by(client_fd), 1);
    run_until_handed_over(&trips[0]);
    while (trips[0].up_got < 10) /* then the worker has it for certain */
        send_up(&trips[0], 10);
    assert_int_equal(watched_by(client_fd), 1);
    assert_int_equal(watched_by(dest_fd), 1);
    tunnel_stop(&trips[0].tunnel);
    finish_alone();
}

static void resets_and_idleness_are_reported(void **state)
{
    (void)state;
    setup(1, 0.6);
    depart(&trips[0]);
    depart(&trips[1]);
    run_until_handed_over(&trips[0]);
    reset_now(&trips[0].server);
    run_until_ended(&trips[0]);
    assert_int_equal(trips[0].end, RELAY_RESET);
    assert_true(trips[0].tunnel.relay.dest_broke);
    run_until_ended(&trips[1]);
    assert_int_equal(trips[1].end, RELAY_IDLE);
    arrive(&trips[0]);
    arrive(&trips[1]);
    teardown();
}

static void resting_counters_report_the_next_byte(void **state)
{
    (void)state;
    for (size_t threads = 0; threads < 2; threads++) {
        depart_alone(threads);
        trips[0].tunnel.relay.counters.resting = true;
        for (double end = end_of_patience(); !trips[0].woke;) {
            trips[0].up_sent = feed(trips[0].client, trips[0].up_sent, 10);
            ev_run(loop, EVRUN_NOWAIT);
            assert_true(clock_now_s() < end);
        }
        assert_int_equal(trips[0].tunnel.relay.counters.tx, 10);
        assert_false(trips[0].tunnel.relay.counters.resting);
        while (trips[0].up_got < 100) {
            send_up(&trips[0], 100);
            ev_run(loop, EVRUN_NOWAIT);
        }
        assert_int_equal(trips[0].woke, 1);
        tunnel_stop(&trips[0].tunnel);
        finish_alone();
    }
}

/* The main thread's orders, the peers' ends and the threads' own end, in every order; each tunnel ends
 * once. */
static void orders_and_ends_may_cross(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        setup(2, 0);
        for (size_t i = 0; i < TUNNELS; i++)
            depart(&trips[i]);
        run_until_handed_over(&trips[TUNNELS - 1]);
        for (size_t i = 0; i < TUNNELS; i++) {
            switch ((i + (size_t)round) % 6) {
            case 0:
                tunnel_cut(&trips[i].tunnel);
                tunnel_stop(&trips[i].tunnel);
                break;
            case 1:
                reset_now(&trips[i].client);
                tunnel_cut(&trips[i].tunnel);
                break;
            case 2:
                tunnel_stop(&trips[i].tunnel);
                reset_now(&trips[i].server);
                break;
            case 3:
                reset_now(&trips[i].server);
                break;
            case 4:
                close_gracefully(&trips[i]);
                break;
            default: /* the thread ends it */
                break;
            }
            if (i % 5 == 0)
                ev_run(loop, EVRUN_NOWAIT);
        }
        workers_stop(&workers);
        for (size_t i = 0; i < TUNNELS; i++) {
            if ((i + (size_t)round) % 6 == 0)
                assert_int_equal(trips[i].end, RELAY_CUT);
            assert_int_equal(trips[i].ended, 1);
            arrive(&trips[i]);
        }
        teardown();
    }
}

static void a_cut_resets_both_sides(void **state)
{
    (void)state;
    for (size_t threads = 0; threads < 2; threads++) {
        depart_alone(threads);
        tunnel_cut(&trips[0].tunnel);
        run_until_ended(&trips[0]);
        assert_int_equal(trips[0].end, RELAY_CUT);
        for (double end = end_of_patience(); trips[0].client_saw == 0 || trips[0].server_saw == 0;) {
            go_on(&trips[0], 0);
            assert_true(clock_now_s() < end);
        }
        assert_int_equal(trips[0].client_saw, -1);
        assert_int_equal(trips[0].server_saw, -1);
        finish_alone();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_arrives),
        cmocka_unit_test(short_tunnels_stay),
        cmocka_unit_test(quiet_tunnels_are_handed_over),
        cmocka_unit_test(the_main_loop_forgets_what_it_handed_over),
        cmocka_unit_test(resets_and_idleness_are_reported),
        cmocka_unit_test(resting_counters_report_the_next_byte),
        cmocka_unit_test(orders_and_ends_may_cross),
        cmocka_unit_test(a_cut_resets_both_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
