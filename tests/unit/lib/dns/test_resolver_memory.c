/* The resolver's cache, and for whom it holds. */
#include "dns/resolver_room.h"

static void test_answers_are_remembered_for_a_while(void **state)
{
    struct room *m = *state;
    assert_gives(m, "four.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(m->query.news, RESOLVER_HEARD);
    assert_gives(m, "Four.Test.", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(m->query.news, RESOLVER_NO_NEWS);
    assert_int_equal(m->server.asked4, 1);
    assert_fault(m, "nope.test", &ONLY4, FAULT_NAME);
    int until_then = m->server.asked4;
    assert_fault(m, "nope.test", &ONLY4, FAULT_NAME);
    assert_int_equal(m->server.asked4, until_then);
    for (int i = 1; i <= 2; i++) { /* failures are not cached */
        int asked = m->server.asked4;
        assert_fault(m, "broken.test", &ONLY4, FAULT_DNS);
        assert_true(m->server.asked4 > asked);
    }
    assert_int_equal(resolver_answers(m->resolver), 2);
}

static void test_another_way_has_another_memory(void **state)
{
    struct room *m = *state;
    struct egress other = ONLY4;
    other.source4 = loopback(AF_INET, 0);
    resolve(m, "four.test", &ONLY4);
    resolve(m, "four.test", &other);
    assert_int_equal(m->server.asked4, 2);
    (void)snprintf(other.device, sizeof other.device, "lo");
    resolve(m, "four.test", &other);
    assert_int_equal(m->server.asked4, 3);
    assert_int_equal(dns_servers_parse(&m->servers, "127.0.0.1:9"), 0);
    assert_fault(m, "four.test", &other, FAULT_DNS);
    assert_int_equal(m->query.news, RESOLVER_SILENCE);
    m->servers.n = 0;
    assert_fault(m, "four.test", &other, FAULT_DNS);
    assert_int_equal(m->query.news, RESOLVER_SILENCE);
}

static void test_a_change_of_ways_ends_what_runs(void **state)
{
    struct room *m = *state;
    ask(m, "late.test", &EGRESS_DIRECT);
    await_question(m);
    resolver_aim(m->resolver, &ONLY4, &m->servers);
    run_until(m->loop, &m->done);
    assert_int_equal(m->fault, FAULT_DNS);
    assert_int_equal(m->query.news, RESOLVER_NO_NEWS);
    m->server.n_held = 0;
}

static void test_same_questions_are_asked_once(void **state)
{
    enum { QUERIES = 50 };
    static struct room rooms[QUERIES];
    struct room *m = *state;
    int told = 0;
    for (size_t i = 0; i < QUERIES; i++) {
        rooms[i] = (struct room){.resolver = m->resolver, .loop = m->loop, .servers = m->servers};
        ask(&rooms[i], i % 2 ? "late.test" : "LATE.test.", &EGRESS_DIRECT);
    }
    await_question(m);
    resolver_cancel(&rooms[0].query); /* the query that began it */
    dns_server_release(&m->server);
    for (size_t i = 1; i < QUERIES; i++) {
        run_until(m->loop, &rooms[i].done);
        assert_int_equal(rooms[i].n, 5);
        told += rooms[i].query.news == RESOLVER_HEARD;
    }
    assert_int_equal(told, 1);
    assert_int_equal(m->server.asked4 + m->server.asked6, 2);
}

static void test_a_question_that_nobody_waits_for_is_abandoned(void **state)
{
    struct room *m = *state;
    struct room other = {.resolver = m->resolver, .loop = m->loop, .servers = m->servers};
    int fds = count_fds();
    ask(m, "late.test", &EGRESS_DIRECT);
    ask(&other, "late.test", &EGRESS_DIRECT);
    await_question(m);
    resolver_cancel(&m->query);
    assert_int_equal(count_fds(), fds + 2);
    resolver_cancel(&other.query);
    assert_int_equal(count_fds(), fds);
    dns_server_release(&m->server);
    run_for(m, 0.05);
    ask(m, "late.test", &EGRESS_DIRECT);
    await_question(m);
    assert_int_equal(m->server.asked4 + m->server.asked6, 4);
}

int main(void)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)
    const struct CMUnitTest tests[] = {
        IN_ROOM(test_answers_are_remembered_for_a_while),
        IN_ROOM(test_another_way_has_another_memory),
        IN_ROOM(test_a_change_of_ways_ends_what_runs),
        IN_ROOM(test_same_questions_are_asked_once),
        IN_ROOM(test_a_question_that_nobody_waits_for_is_abandoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
