/* One question to one server over UDP: what is taken for its answer, and what is kept for its score. */
#include "dns/exchange_room.h"

static void each_answer_is_told(void **state)
{
    static const struct {
        const char *name;
        enum dns_says says;
        size_t n;
    } cases[] = {
        {"four.test", DNS_SAYS_ADDRESSES, 3}, {"alias.test", DNS_SAYS_ALIAS, 0},
        {"empty.test", DNS_SAYS_NO_DATA, 0},  {"nothing.test", DNS_SAYS_NO_NAME, 0},
        {"broken.test", DNS_SAYS_FAILED, 0},  {"refused.test", DNS_SAYS_UNWILLING, 0},
    };
    struct room *r = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask(r, cases[i].name);
        say_answer(r);
        await(r);
        assert_says(cases[i].name, r, cases[i].says, cases[i].n);
        assert_false(r->was_answered);
        assert_true(r->age_s >= 0 && r->age_s < PATIENCE_S);
    }
}

/* Forged, or of an earlier question. */
enum forgery { ANOTHER_ID, NO_ANSWER, ANOTHER_NAME, CUT_SHORT, EMPTY, ANOTHER_PORT, FORGERIES };

static void forge(struct room *r, enum forgery forgery)
{
    static uint8_t out[DNS_PACKET_MAX];
    size_t len = answer(r, out);
    struct addr other;
    int fd = forgery == ANOTHER_PORT ? socket_at_loopback(AF_INET, SOCK_DGRAM, &other) : r->udp;

    out[0] ^= forgery == ANOTHER_ID;
    if (forgery == NO_ANSWER)
        out[2] &= 0x7f;
    out[DNS_HEADER + 1] ^= forgery == ANOTHER_NAME;
    say_from(r, fd, out, forgery == EMPTY ? 0 : forgery == CUT_SHORT ? DNS_HEADER - 1 : len);
    if (fd != r->udp)
        (void)close(fd);
}

static void what_does_not_answer_the_question_is_ignored(void **state)
{
    struct room *r = *state;

    for (int f = 0; f < FORGERIES; f++) {
        ask(r, "four.test");
        forge(r, (enum forgery)f);
        turn(r);
        if (r->done)
            fail_msg("forgery %d was taken for the answer", f);
        say_answer(r);
        await(r);
        assert_says("after a forgery", r, DNS_SAYS_ADDRESSES, 3);
    }
}

static void an_answer_behind_a_flood_of_forgeries_is_found(void **state)
{
    struct room *r = *state;

    ask(r, "four.test");
    for (int i = 0; i < 40; i++)
        forge(r, ANOTHER_ID);
    say_answer(r);
    turn(r);
    assert_false(r->done); /* others of this loop have their turn */
    await(r);
    assert_says("after the flood", r, DNS_SAYS_ADDRESSES, 3);
}

static void a_port_that_nobody_has_is_unreachable(void **state)
{
    struct room *r = *state;

    close_fd(&r->udp);
    start(r, "four.test");
    await(r);
    assert_true(r->unreachable);
}

static void silence_is_left_to_the_owner(void **state)
{
    struct room *r = *state;

    ask(r, "silent.test");
    turn(r);
    assert_false(r->done);
    assert_true(dns_exchange_age_s(r->exchange) >= 0);
    ev_io_stop(r->loop, &r->exchange->io);
    assert_idle(r->loop); /* it has no timer of its own */
}

/* A guess would have to hit both (RFC 5452 9.2). */
static void each_question_has_its_own_port_and_id(void **state)
{
    enum { N = 8 };
    const struct dns_query q = question("four.test");
    struct dns_exchange *all[N];
    struct room *r = *state;
    bool ids_differ = false;
    uint8_t first[2];
    in_port_t ports[N];

    for (int i = 0; i < N; i++) {
        assert_int_equal(dns_exchange_start(&all[i], &r->way, 0, &q, on_done, r), 0);
        hear(r);
        ports[i] = ((const struct sockaddr_in *)&r->asked.from)->sin_port;
        for (int j = 0; j < i; j++)
            assert_int_not_equal(ports[i], ports[j]);
        if (i == 0)
            memcpy(first, r->asked.query, sizeof first);
        ids_differ = ids_differ || memcmp(first, r->asked.query, sizeof first) != 0;
    }
    assert_true(ids_differ);
    for (int i = 0; i < N; i++)
        dns_exchange_close(all[i]);
}

static void a_server_on_loopback_is_asked_without_binding(void **state)
{
    struct room *r = *state;
    const struct dns_servers servers = r->way.servers;

    dns_way_aim(&r->way, &(const struct egress){.device = "nodev0"}, &servers);
    ask(r, "four.test");
    say_answer(r);
    await(r);
    assert_says("on loopback", r, DNS_SAYS_ADDRESSES, 3);
}

static void what_cannot_be_sent_is_refused_at_once(void **state)
{
    static const struct {
        const char *server;
        struct egress egress;
        int error; /* 0: any */
    } cases[] = {
        {"192.0.2.1", {.any6 = true}, -EAFNOSUPPORT},
        {"2001:db8::1", {.any4 = true}, -EAFNOSUPPORT},
        {"192.0.2.1", {.any4 = true, .device = "nodev0"}, 0},
    };
    const struct dns_query q = question("four.test");
    struct room *r = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dns_servers servers;
        assert_int_equal(dns_servers_parse(&servers, cases[i].server), 0);
        dns_way_aim(&r->way, &cases[i].egress, &servers);
        int error = dns_exchange_start(&r->exchange, &r->way, 0, &q, on_done, r);
        assert_true(error < 0 && (cases[i].error == 0 || error == cases[i].error));
        assert_null(r->exchange);
        assert_int_equal(count_fds(), r->fds);
    }
}

/* --- kept for the score --------------------------------------------------------------------------------- */

/* Their own timers limit the wait. */
static void end_late(struct room *r)
{
    while (r->way.n_late > 0)
        (void)ev_run(r->loop, EVRUN_ONCE);
}

static void a_late_answer_counts_for_the_server(void **state)
{
    static const struct {
        const char *name;
        bool counts;
    } cases[] = {{"four.test", true}, {"broken.test", true}, {"refused.test", false}};
    struct room *r = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        dns_scores_init(&r->way.scores, 1);
        dns_scores_silent(&r->way.scores, 0, 1);
        ask(r, cases[i].name);
        dns_exchange_keep(r->exchange);
        r->exchange = NULL; /* the way's now */
        assert_int_equal(r->way.n_late, 1);
        say_answer(r);
        end_late(r);
        assert_int_equal(r->calls, 0); /* the owner hears no more of it */
        assert_int_equal(r->way.scores.of[0].silences, cases[i].counts ? 0 : 1);
        assert_int_equal(count_fds(), r->fds);
    }
}

static void a_kept_one_ends_by_its_timer(void **state)
{
    struct room *r = *state;

    ask(r, "silent.test");
    struct dns_exchange *e = r->exchange;
    dns_exchange_keep(e);
    r->exchange = NULL;
    assert_true(ev_is_active(&e->late));
    double left_s = ev_timer_remaining(r->loop, &e->late);
    assert_true(left_s > 0 && left_s < 10);
    ev_invoke(r->loop, &e->late, EV_TIMER);
    assert_int_equal(r->way.n_late, 0);
    assert_int_equal(r->calls, 0);
    assert_int_equal(r->way.scores.of[0].silences, 0); /* that is the owner's count */
    assert_int_equal(count_fds(), r->fds);
}

static void a_kept_one_that_is_unreachable_counts_nothing(void **state)
{
    struct room *r = *state;

    dns_scores_silent(&r->way.scores, 0, 1);
    close_fd(&r->udp);
    start(r, "four.test");
    dns_exchange_keep(r->exchange);
    r->exchange = NULL;
    end_late(r);
    assert_int_equal(r->way.scores.of[0].silences, 1);
}

static uint16_t port_of(const struct dns_exchange *e)
{
    const struct addr own = bound_addr(e->io.fd);
    return addr_port(&own);
}

/* The oldest makes room. */
static void the_way_keeps_a_few(void **state)
{
    enum { MORE = 20, KEPT = 16 };
    struct room *r = *state;
    uint16_t ports[MORE];

    for (int i = 0; i < MORE; i++) {
        ask(r, "silent.test");
        ports[i] = port_of(r->exchange);
        dns_exchange_keep(r->exchange);
        r->exchange = NULL;
    }
    assert_int_equal(r->way.n_late, KEPT);
    assert_int_equal(count_fds(), r->fds + KEPT);
    int at = MORE - KEPT;
    LIST_EACH(&r->way.late, it, tmp) {
        struct dns_exchange *e = container_of(it, struct dns_exchange, node);
        assert_int_equal(port_of(e), ports[at++]);
    }
    assert_int_equal(at, MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(each_answer_is_told),
        IN_ROOM(what_does_not_answer_the_question_is_ignored),
        IN_ROOM(an_answer_behind_a_flood_of_forgeries_is_found),
        IN_ROOM(a_port_that_nobody_has_is_unreachable),
        IN_ROOM(silence_is_left_to_the_owner),
        IN_ROOM(each_question_has_its_own_port_and_id),
        IN_ROOM(a_server_on_loopback_is_asked_without_binding),
        IN_ROOM(what_cannot_be_sent_is_refused_at_once),
        IN_ROOM(a_late_answer_counts_for_the_server),
        IN_ROOM(a_kept_one_ends_by_its_timer),
        IN_ROOM(a_kept_one_that_is_unreachable_counts_nothing),
        IN_ROOM(the_way_keeps_a_few),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
