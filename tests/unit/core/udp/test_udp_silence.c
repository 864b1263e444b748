/* Lines that answer no datagrams: which mappings are witnesses, how many it takes, and when mappings leave.
 * Counters, times and health are made up. */
#include "udp/udp_state.h"

#include "base/clock.h"
#include "base/log_capture.h"
#include "health/checks.h"
#include "support/loopback.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

#include <math.h>

enum { UPLINKS = 2, WAYS = 4 };

static struct ev_loop *loop;
static struct udp udp;
static struct outbounds shared;
static struct uplink_set set;
static struct uplink uplinks[UPLINKS];
static struct datagram_room room;
static struct udp_port port;
static struct udp_association association;
static struct udp_way ways[WAYS];
static struct outbound accounts[WAYS];
static size_t n_ways, n_hurried[UPLINKS];
static int hurried_family;
static struct mailbox news;
static double now;

void __wrap_checks_hurry(struct checks *c, const struct uplink *u, int family);
void __wrap_checks_hurry(struct checks *c, const struct uplink *u, int family)
{
    (void)c;
    hurried_family = family;
    n_hurried[u - uplinks]++;
}

static void on_news(struct mailbox *m, struct message *message, unsigned bits)
{
    (void)m, (void)message, (void)bits;
}

/* Nothing came by the uplink for so long. */
static void was_heard(size_t by, double ago_s)
{
    for (size_t i = 0; i < 2; i++)
        udp.lines[by][i].heard_s = now - ago_s;
}

static int setup(void **state)
{
    (void)state;
    loop = ev_loop_new(0);
    memset(&udp, 0, sizeof udp);
    memset(uplinks, 0, sizeof uplinks);
    memset(&port, 0, sizeof port);
    memset(ways, 0, sizeof ways);
    memset(accounts, 0, sizeof accounts);
    memset(n_hurried, 0, sizeof n_hurried);
    n_ways = 0;
    now = clock_now_s();
    mailbox_init(&news, loop, on_news);
    assert_int_equal(datagram_room_init(&room, loop, &news), 0);
    set = (struct uplink_set){.n = 0};
    for (size_t i = 0; i < UPLINKS; i++) {
        uplinks[i].view = (struct uplink_view){
            .id = (int32_t)i + 1, .up = true, .ipv4 = true, .ipv6 = true, .tier = 1, .quota_left = INFINITY};
        (void)snprintf(uplinks[i].name, sizeof uplinks[i].name, "line%zu", i);
        uplink_set_put(&set, &uplinks[i]);
        uplinks[i].four.health.checked = uplinks[i].six.health.checked = true;
        was_heard(i, 0);
    }
    shared = (struct outbounds){.loop = loop, .uplinks = &set};
    udp.loop = loop;
    udp.outbounds = &shared;
    list_init(&udp.ports);
    list_push_back(&udp.ports, &port.node);
    port.udp = &udp;
    port.port.room = &room;
    list_init(&port.associations);
    list_init(&port.ways);
    association = (struct udp_association){.port = &port};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    datagram_room_done(&room);
    mailbox_done(&news);
    ev_loop_destroy(loop);
    return 0;
}

/* A mapping that sends, and that nothing has answered for so long. @param rx  bytes received before */
static struct udp_way *sends(size_t by, uint64_t rx, double unanswered_s)
{
    struct udp_way *w = &ways[n_ways];

    w->account = &accounts[n_ways++];
    w->account->lease.uplink = &uplinks[by];
    w->account->target.kind = TARGET_IPV4;
    w->association = &association;
    w->port = &port;
    list_init(&w->asks);
    w->given = w->has4 = true;
    w->mapping.port = &port.port;
    mapping_init(&w->mapping);
    list_push_back(&port.ways, &w->node);
    atomic_store(&w->mapping.counters.rx, rx);
    atomic_store(&w->mapping.counters.tx, 1000);
    w->tx = 999;
    w->rx = rx;
    w->unanswered_s = now - unanswered_s;
    return w;
}

static void look(void)
{
    for (size_t i = 0; i < n_ways; i++) /* they go on to send */
        atomic_fetch_add(&ways[i].mapping.counters.tx, 100);
    udp_silence_look(&udp);
}

static int silences(size_t by)
{
    return uplinks[by].four.health.silences;
}

static void make_suspect(size_t by)
{
    for (int i = 0; i < HEALTH_SILENCES; i++)
        (void)health_silent(&uplinks[by].four.health, 0, now);
}

static void make_down(size_t by)
{
    for (int i = 0; i < HEALTH_FAILED_CHECKS; i++)
        (void)health_check_failed(&uplinks[by].four.health, 0, now);
    assert_int_equal(uplink_health_state(&uplinks[by], AF_INET), HEALTH_DOWN);
}

/* --- witnesses ------------------------------------------------------------------------------------------ */

/* When a check is asked for, and when the line becomes a suspect. One check or none can judge the line. */
static void how_long_it_takes(void **state)
{
    static const struct {
        const char *what;
        size_t answered, unanswered; /* mappings; the first were answered before */
        double silent_s, since_s;    /* of the line; the last mapping sends unanswered since then */
        bool unchecked, asks;
        int silences; /* after three looks */
    } cases[] = {
        {"two, soon", 2, 0, 1.5, 9, false, false, 0},
        {"two", 2, 0, 2.2, 9, false, true, 0},
        {"two, and one began to wait too late", 2, 0, 2.2, 1.5, false, false, 0},
        {"two that were never answered", 0, 2, 9, 9, false, true, 0},
        {"one, soon", 1, 0, 2.3, 9, false, false, 0},
        {"one", 1, 0, 2.7, 9, false, true, 0},
        {"one that was never answered", 0, 1, 60, 60, false, false, 0},
        {"one of each", 1, 1, 2.2, 9, false, true, 0},
        {"nearly", 2, 0, 3.8, 9, false, true, 0},
        {"a suspect", 2, 0, 4.2, 9, false, true, 3},
        {"a suspect by one", 1, 0, 4.2, 9, false, true, 3},
        {"a suspect by one of each", 1, 1, 4.2, 9, false, true, 3},
        {"unchecked, and nearly", 2, 0, 5.8, 9, true, true, 0},
        {"unchecked", 1, 0, 6.2, 9, true, true, 3},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)teardown(state);
        (void)setup(state);
        for (size_t k = 0; k < cases[i].answered + cases[i].unanswered; k++)
            (void)sends(0, k < cases[i].answered ? 10 : 0, 60);
        ways[n_ways - 1].unanswered_s = now - cases[i].since_s;
        was_heard(0, cases[i].silent_s);
        uplinks[0].four.health.checked = !cases[i].unchecked;
        for (int k = 0; k < HEALTH_SILENCES; k++)
            look();
        if (silences(0) != cases[i].silences || n_hurried[0] != (cases[i].asks ? 3 : 0))
            fail_msg("%s: %d silences, %zu checks", cases[i].what, silences(0), n_hurried[0]);
        assert_int_equal(silences(1), 0);
        assert_int_equal(n_hurried[1], 0);
        assert_int_equal(uplink_health_state(&uplinks[0], AF_INET),
                         cases[i].silences == HEALTH_SILENCES ? HEALTH_SUSPECT : HEALTH_UP);
    }
}

/* What IPv6 brings says nothing about IPv4, and only IPv4 is checked. */
static void families_are_judged_apart(void **state)
{
    (void)state;
    (void)sends(0, 10, 9);
    was_heard(0, 9);
    uplinks[0].six.received = 5;
    (void)health_answered(&uplinks[0].six.health);
    look();
    assert_int_equal(silences(0), 1);
    assert_int_equal(uplinks[0].six.health.silences, 0);
    assert_int_equal(n_hurried[0], 1);
    assert_int_equal(hurried_family, AF_INET);
    /* Without a check, the bytes of both count. */
    uplinks[0].four.health.checked = false;
    uplinks[0].six.received = 6;
    look();
    assert_int_equal(silences(0), 1);
    assert_int_equal(n_hurried[0], 1);
}

/* Any byte that came by the line, of TCP too, shows that it works. */
static void a_line_that_is_heard_is_not_silent(void **state)
{
    (void)state;
    (void)sends(0, 10, 9);
    (void)sends(0, 10, 9);
    was_heard(0, 9);
    uplinks[0].four.received = 1;
    look();
    assert_int_equal(silences(0), 0);
    assert_int_equal(n_hurried[0], 0);
    was_heard(0, 9);
    look();
    assert_int_equal(silences(0), 1);
}

/* Another uplink may take the number of one that is gone, and its count begins anew. */
static void a_smaller_count_is_heard_too(void **state)
{
    (void)state;
    (void)sends(0, 10, 9);
    (void)sends(0, 10, 9);
    udp.lines[0][0].received = 5000;
    uplinks[0].four.received = 40;
    was_heard(0, 9);
    look();
    assert_int_equal(silences(0), 0);
}

/* Telemetry and streams: many send, and nobody answers. A check is asked for, and decides. */
static void one_way_traffic_condemns_nothing(void **state)
{
    (void)state;
    (void)sends(0, 0, 9);
    was_heard(0, 60);
    look();
    assert_int_equal(n_hurried[0], 0);
    (void)sends(0, 0, 9);
    (void)sends(0, 0, 9);
    for (int i = 0; i < 5; i++)
        look();
    assert_int_equal(silences(0), 0);
    assert_int_equal(n_hurried[0], 5);
    assert_int_equal(uplink_health_state(&uplinks[0], AF_INET), HEALTH_UP);
}

/* A mapping was answered once, and sends one way since. After the check the line is cleared for good. */
static void an_answer_to_a_check_clears_the_line(void **state)
{
    (void)state;
    struct udp_way *w = sends(0, 10, 9);
    was_heard(0, 60);
    look();
    assert_int_equal(silences(0), 1);
    (void)health_check_passed(&uplinks[0].four.health, true);
    for (int i = 0; i < 5; i++)
        look();
    assert_int_equal(silences(0), 0);
    assert_int_equal(n_hurried[0], 1);
    /* It is answered again, and then falls silent: that is new. */
    udp.lines[0][0].answered_s = now - 20;
    w->unanswered_s = now - 9;
    look();
    assert_int_equal(silences(0), 1);
}

static void a_mapping_that_does_not_send_is_no_witness(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct udp_way *w = sends(0, 10, 9);
        w->tx = 1000;
        w->tx_s = now - 4;
    }
    was_heard(0, 9);
    udp_silence_look(&udp); /* and not `look`, by which all send */
    assert_int_equal(silences(0), 0);
    assert_int_equal(n_hurried[0], 0);
}

/* Each has a mapping of its own, and is asked again after five seconds only. */
static void a_question_is_a_witness_where_others_were_answered(void **state)
{
    (void)state;
    struct udp_way *w = sends(0, 0, 4.5);
    w->mapping.hears = true;
    w->tx = 1000;
    w->tx_s = w->unanswered_s;
    was_heard(0, 9);
    udp_silence_look(&udp);
    assert_int_equal(silences(0), 0);
    assert_int_equal(n_hurried[0], 0);
    sends(0, 10, 0)->mapping.hears = true;
    udp_silence_look(&udp); /* hears of it */
    udp_silence_look(&udp);
    assert_int_equal(silences(0), 1);
    assert_int_equal(n_hurried[0], 1);
    was_heard(0, 1);
    udp_silence_look(&udp);
    assert_int_equal(silences(0), 1);
}

/* Silence begins with the first datagram after an answer. */
static void an_answer_ends_the_silence(void **state)
{
    (void)state;
    struct udp_way *w = sends(0, 10, 9);
    atomic_store(&w->mapping.counters.rx, 20);
    look();
    assert_true(w->unanswered_s <= 0);
    look();
    assert_true(w->unanswered_s >= now);
    double since = w->unanswered_s;
    look();
    assert_true(w->unanswered_s == since);
}

/* Mappings that go direct have no uplink. */
static void direct_mappings_are_no_witnesses(void **state)
{
    (void)state;
    struct udp_way *w = sends(0, 10, 9);
    w->account->lease.uplink = NULL;
    was_heard(0, 9);
    look();
    assert_int_equal(silences(0), 0);
    assert_null(w->outcome);
}

/* --- leaving -------------------------------------------------------------------------------------------- */

static void mappings_leave_a_dead_line(void **state)
{
    (void)state;
    struct udp_way *dead = sends(0, 10, 1), *alive = sends(1, 10, 1);
    make_down(0);
    look();
    assert_string_equal(dead->outcome, "cut");
    assert_null(alive->outcome);
}

/* Where nothing else would serve, they stay: the line may come back. */
static void mappings_stay_where_nothing_else_is_fit(void **state)
{
    (void)state;
    struct udp_way *w = sends(0, 10, 20);
    make_down(0);
    make_suspect(1);
    look();
    assert_null(w->outcome);
    uplinks[1].four.health = (struct health){.silences = 0};
    uplinks[1].view.up = false;
    look();
    assert_null(w->outcome);
    uplinks[1].view.up = true;
    look();
    assert_non_null(w->outcome);
}

/* How long mappings on a suspect wait for an answer. */
static void when_mappings_leave_a_suspect(void **state)
{
    static const struct {
        const char *what;
        bool unchecked, failed, on_trial;
        uint64_t rx;
        double stays_s, leaves_s;
    } cases[] = {
        {"until its check must have been answered", .rx = 10, .stays_s = 5, .leaves_s = 6},
        {"never answered", .rx = 0, .stays_s = 5, .leaves_s = 6},
        {"its check failed", .failed = true, .rx = 10, .stays_s = 1.5, .leaves_s = 2.5},
        {"unchecked", .unchecked = true, .rx = 10, .stays_s = 7, .leaves_s = 8},
        {"tries the line", .unchecked = true, .on_trial = true, .stays_s = 1.5, .leaves_s = 2.5},
        {"has tried it", .unchecked = true, .on_trial = true, .rx = 10, .stays_s = 7, .leaves_s = 8},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        (void)teardown(state);
        (void)setup(state);
        struct udp_way *soon = sends(0, cases[i].rx, cases[i].stays_s),
                       *late = sends(0, cases[i].rx, cases[i].leaves_s), *answered = sends(0, 10, 60);
        soon->account->on_trial = late->account->on_trial = cases[i].on_trial;
        make_suspect(0);
        uplinks[0].four.health.checked = !cases[i].unchecked;
        uplinks[0].four.health.failed_checks = cases[i].failed;
        atomic_store(&answered->mapping.counters.rx, 20);
        look();
        if (soon->outcome || !late->outcome || answered->outcome)
            fail_msg("%s: %s, %s", cases[i].what, soon->outcome ? "gone" : "stays",
                     late->outcome ? "gone" : "stays");
    }
}

/* Bytes of UDP end the silence, and a line in the log says so. */
static void bytes_clear_a_suspect(void **state)
{
    make_suspect(0);
    uplinks[0].four.received = 5;
    assert_int_equal(capture_begin(state), 0);
    log_setup(LOG_INFO, LOG_TEXT);
    look();
    look();
    const char *said = captured(), *first = strstr(said, "uplink answers");
    assert_true(first && !strstr(first + 1, "uplink answers"));
    (void)capture_end(state);
    assert_int_equal(silences(0), 0);
    assert_int_equal(uplink_health_state(&uplinks[0], AF_INET), HEALTH_UP);
}

static void mappings_leave_a_line_without_addresses(void **state)
{
    (void)state;
    struct udp_way *w = sends(0, 10, 0);
    uplinks[0].view.ipv4 = uplinks[0].view.ipv6 = false;
    look();
    assert_non_null(w->outcome);
}

static void mappings_stay_on_a_line_that_answers(void **state)
{
    (void)state;
    struct udp_way *w = sends(0, 10, 60);
    look();
    assert_null(w->outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(how_long_it_takes),
        TEST(families_are_judged_apart),
        TEST(a_question_is_a_witness_where_others_were_answered),
        TEST(a_line_that_is_heard_is_not_silent),
        TEST(a_smaller_count_is_heard_too),
        TEST(one_way_traffic_condemns_nothing),
        TEST(an_answer_to_a_check_clears_the_line),
        TEST(a_mapping_that_does_not_send_is_no_witness),
        TEST(an_answer_ends_the_silence),
        TEST(direct_mappings_are_no_witnesses),
        TEST(mappings_leave_a_dead_line),
        TEST(mappings_stay_where_nothing_else_is_fit),
        TEST(when_mappings_leave_a_suspect),
        TEST(bytes_clear_a_suspect),
        TEST(mappings_leave_a_line_without_addresses),
        TEST(mappings_stay_on_a_line_that_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
