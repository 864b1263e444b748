/* What of an upload has left this machine, by the kernel's send queue. */
#include "relay/fixture.h"

#include "relay/relay_internal.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { TOTAL = 150000, REQUEST = 1000 };

static struct fixture f;
static int wakes;

static void on_woke(struct relay *r)
{
    (void)r;
    wakes++;
}

static const struct relay_events WAKING = {.done = on_done, .woke = on_woke};

/* The client has sent, and the server reads nothing: most waits in the kernel. Looks are made by the tests.
 * @return whether the room would make some */
static bool send_to_a_paused_reader(size_t total)
{
    const int small = 8192, large = 4 * TOTAL;
    size_t sent = 0;
    bool looks = false;

    wakes = 0;
    start(&f, NOTHING, NOTHING, 0);
    f.room.events = &WAKING;
    assert_return_code(setsockopt(f.server, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), errno);
    assert_return_code(setsockopt(f.relay.dest.io.fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof large), errno);
    while (counters_get(&f.relay.counters.tx) < total || pump_waiting(&f.relay.dest.in) > 0) {
        sent = feed(f.client, sent, total);
        turn(&f);
        looks = looks || ev_is_active(&f.room.upload_look);
        ev_timer_stop(f.loop, &f.room.upload_look);
    }
    return looks;
}

static void start_an_upload(void)
{
    assert_true(send_to_a_paused_reader(TOTAL));
    assert_int_equal(f.room.n_uploads, 1);
}

static void look(void)
{
    ev_invoke(f.loop, &f.room.upload_look, EV_TIMER);
}

/* Nothing leaves for so long that the room looks no more. */
static void pause_long(void)
{
    for (int i = 0; f.room.n_uploads > 0; i++) {
        assert_true(i < 100);
        look();
    }
}

static size_t waiting(void)
{
    int queued;

    assert_return_code(ioctl(f.relay.dest.io.fd, SIOCOUTQ, &queued), errno);
    return (size_t)queued + pump_waiting(&f.relay.dest.in);
}

static void send_more(size_t n)
{
    assert_int_equal(feed(f.client, TOTAL, TOTAL + n), TOTAL + n);
    while (counters_get(&f.relay.counters.tx) < TOTAL + n)
        turn(&f);
}

/* The server reads so far, and all acknowledgements have arrived. */
static size_t read_up_to(size_t got, size_t total)
{
    int saw = 0;

    while (got < total || (total == TOTAL && waiting() > 0)) {
        got = drain_up_to(f.server, got, total, &saw);
        turn(&f);
    }
    return got;
}

static void end(void)
{
    relay_stop(&f.relay);
    finish(&f);
}

static void what_waits_has_not_left(void **state)
{
    (void)state;
    start_an_upload();
    look();
    uint64_t tx = counters_get(&f.relay.counters.tx), left = counters_left(&f.relay.counters);
    assert_true(waiting() > TOTAL / 4);
    assert_int_equal(left, tx - waiting());
    size_t got = read_up_to(0, (size_t)left + 20000);
    look();
    assert_true(counters_left(&f.relay.counters) > left);
    assert_int_equal(f.room.n_uploads, 1);
    (void)read_up_to(got, TOTAL);
    ev_timer_again(f.loop, &f.room.upload_look);
    look();
    assert_int_equal(counters_left(&f.relay.counters), TOTAL);
    assert_int_equal(counters_get(&f.relay.counters.tx), TOTAL);
    assert_int_equal(f.room.n_uploads, 0);
    assert_false(ev_is_active(&f.room.upload_look));
    send_more(REQUEST);
    assert_int_equal(counters_left(&f.relay.counters), TOTAL + REQUEST);
    assert_int_equal(f.room.n_uploads, 0);
    end();
}

static void a_request_leaves_at_once(void **state)
{
    (void)state;
    assert_false(send_to_a_paused_reader(REQUEST));
    assert_int_equal(counters_left(&f.relay.counters), REQUEST);
    assert_int_equal(f.room.n_uploads, 0);
    end();
}

/* It costs nothing then, however long the pause is. */
static void a_reader_that_pauses_is_left_alone(void **state)
{
    (void)state;
    start_an_upload();
    pause_long();
    uint64_t left = counters_left(&f.relay.counters);
    assert_true(left < counters_get(&f.relay.counters.tx));
    (void)read_up_to(0, (size_t)left + 20000);
    wheel_cancel(&f.relay.look);
    f.room.looks.rang(&f.room.looks, &f.relay.look); /* its first look has nothing to compare with */
    (void)read_up_to((size_t)left + 20000, (size_t)left + 40000);
    f.room.looks.rang(&f.room.looks, &f.relay.look);
    assert_int_equal(f.room.n_uploads, 1);
    look();
    assert_true(counters_left(&f.relay.counters) > left);
    end();
}

static void a_byte_after_the_pause_shows_what_waits(void **state)
{
    (void)state;
    start_an_upload();
    pause_long();
    send_more(1);
    assert_int_equal(f.room.n_uploads, 1);
    assert_true(counters_left(&f.relay.counters) < TOTAL * 3 / 4);
    end();
}

static void what_leaves_wakes_the_reader_of_the_counters(void **state)
{
    (void)state;
    start_an_upload();
    look();
    atomic_store(&f.relay.counters.resting, true);
    look();
    assert_int_equal(wakes, 0);
    int n_read = 0, saw = 0;
    while (wakes == 0) {
        n_read = (int)drain(f.server, (size_t)n_read, &saw);
        look();
        ev_run(f.loop, EVRUN_NOWAIT | EVRUN_ONCE);
        assert_true(f.room.n_uploads > 0 || wakes > 0);
    }
    assert_false(atomic_load(&f.relay.counters.resting));
    end();
}

static void it_changes_rooms(void **state)
{
    struct relay_room other;
    (void)state;
    start_an_upload();
    relay_leave(&f.relay);
    assert_int_equal(f.room.n_uploads, 0);
    uint64_t left = counters_left(&f.relay.counters);
    assert_int_equal(left, counters_get(&f.relay.counters.tx) - waiting());
    relay_room_init(&other, f.loop, 0, &WAKING);
    relay_join(&f.relay, &other);
    assert_int_equal(other.n_uploads, 1);
    relay_stop(&f.relay);
    assert_int_equal(other.n_uploads, 0);
    assert_int_equal(counters_left(&f.relay.counters), left); /* what was in the queue never left */
    relay_room_done(&other);
    finish(&f);
}

/* More uploads than that cost no more: they count as before. */
static void the_looks_are_bounded(void **state)
{
    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    f.room.n_uploads = RELAY_UPLOADS_MAX;
    size_t sent = 0;
    while (counters_get(&f.relay.counters.tx) < 100000) {
        sent = feed(f.client, sent, 100000);
        turn(&f);
    }
    assert_int_equal(f.room.n_uploads, RELAY_UPLOADS_MAX);
    assert_int_equal(counters_left(&f.relay.counters), 100000);
    f.room.n_uploads = 0;
    end();
    start_an_upload();
    pause_long();
    f.room.n_uploads = RELAY_UPLOADS_MAX; /* the others came meanwhile */
    send_more(1);
    assert_int_equal(counters_left(&f.relay.counters), TOTAL + 1);
    f.room.n_uploads = 0;
    end();
}

static void all_places_are_given_back(void **state)
{
    struct relay others[3] = {{.room = &f.room}, {.room = &f.room}, {.room = &f.room}};
    (void)state;
    start(&f, NOTHING, NOTHING, 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        others[i].dest.io.fd = -1;
        relay_upload_begin(&others[i]);
    }
    relay_upload_end(&others[0]);
    assert_int_equal(f.room.n_uploads, 2);
    for (size_t i = 0; i < f.room.n_uploads; i++)
        assert_int_equal(f.room.uploads[i]->upload, i + 1);
    relay_upload_end(&others[2]);
    relay_upload_end(&others[1]);
    relay_upload_end(&others[1]);
    assert_int_equal(f.room.n_uploads, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_has_not_left),
        cmocka_unit_test(a_request_leaves_at_once),
        cmocka_unit_test(a_reader_that_pauses_is_left_alone),
        cmocka_unit_test(a_byte_after_the_pause_shows_what_waits),
        cmocka_unit_test(what_leaves_wakes_the_reader_of_the_counters),
        cmocka_unit_test(it_changes_rooms),
        cmocka_unit_test(the_looks_are_bounded),
        cmocka_unit_test(all_places_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
