/* The server that a resolver asks, the source of questions, and unusual answers. */
#include "dns/resolver_job.h"
#include "dns/resolver_room.h"
#include <math.h>

/* A second server, besides the room's. */
static void two_servers(struct room *m, struct dns_server *other, const char *first, const char *second)
{
    char text[2 * ADDR_TEXT_MAX + 2];
    dns_server_open(other, m->loop);
    (void)snprintf(text, sizeof text, "%s,%s", first ? first : other->text, second ? second : other->text);
    room_servers(m, text, 5);
}

/* The first never answers. @return its socket */
static int mute_and_another(struct room *m, struct dns_server *other)
{
    struct addr mute;
    char text[ADDR_TEXT_MAX];
    int fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &mute);
    two_servers(m, other, addr_format(&mute, text), NULL);
    return fd;
}

/* The number of packets that were not read. */
static int packets_at(int fd)
{
    char packet[512];
    int n = 0;
    while (recv(fd, packet, sizeof packet, MSG_DONTWAIT) >= 0)
        n++;
    return n;
}

static void the_one_that_answers_is_asked_first(void **state)
{
    struct room *m = *state;
    char name[32];
    struct dns_server other;
    int fd = mute_and_another(m, &other);
    assert_gives(m, "four.first.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_true(m->took_s >= 0.09); /* the first had its full time */
    (void)packets_at(fd);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof name, "four.n%d.test", i);
        resolve(m, name, &ONLY4);
        assert_int_equal(m->n, 3);
    }
    assert_true(packets_at(fd) <= 5); /* more than one on a slow machine */
    dns_server_close(&other);
    (void)close(fd);
}

/* A provider's server that refuses other networks has answered, but does not help. */
static void one_that_refuses_or_fails_leaves_it_to_the_next(void **state)
{
    static const char *const names[] = {"refused.test", "broken.test"};
    struct room *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        double least_s = INFINITY;
        for (int tries = 0; tries < TRIES && least_s >= 0.09; tries++) {
            struct dns_server other;
            two_servers(m, &other, m->server.text, NULL);
            int asked = m->server.asked4, asked_other = other.asked4;
            assert_fault(m, names[i], &ONLY4, FAULT_DNS);
            least_s = fmin(least_s, m->took_s);
            assert_true(m->server.asked4 > asked);
            assert_true(other.asked4 > asked_other);
            assert_int_equal(m->query.news, RESOLVER_NO_NEWS); /* not a silence */
            dns_server_close(&other);
        }
        assert_true(least_s < 0.09);
    }
}

static void one_that_refuses_us_is_asked_last(void **state)
{
    struct room *m = *state;
    struct dns_server other;
    two_servers(m, &other, m->server.text, NULL);
    m->server.refuses = true;
    for (int i = 0; i < 5; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "four.n%d.test", i);
        resolve(m, name, &ONLY4);
        assert_int_equal(m->n, 3);
    }
    assert_int_equal(m->server.asked4, 1);
    assert_int_equal(other.asked4, 5);
    /* Until it is tried again, beside the other one, and then answers. */
    m->server.refuses = false;
    m->resolver->way.scores.of[0].retry_at = 0;
    resolve(m, "four.n5.test", &ONLY4);
    run_for(m, 0.02);
    resolve(m, "four.n6.test", &ONLY4);
    assert_int_equal(m->server.asked4, 3);
    assert_int_equal(other.asked4, 6);
    dns_server_close(&other);
}

/* A slow server is waited for a little longer, and keeps its place if it answers. */
static void a_slow_one_is_not_taken_for_a_silent_one(void **state)
{
    struct room *m = *state;
    struct dns_server other;
    two_servers(m, &other, m->server.text, NULL);
    ask(m, "late4.test", &ONLY4);
    await_questions(m, 1);
    while (other.n_held == 0)
        ev_run(m->loop, EVRUN_ONCE);
    dns_server_release(&other);
    run_until(m->loop, &m->done);
    assert_int_equal(m->resolver->way.scores.of[0].silences, 1);
    dns_server_release(&m->server);
    run_for(m, 0.02);
    assert_int_equal(m->resolver->way.scores.of[0].silences, 0);
    int asked = other.asked4;
    resolve(m, "four.test", &ONLY4);
    assert_int_equal(other.asked4, asked);
    dns_server_close(&other);
}

static void of_silent_servers_a_few_are_waited_for(void **state)
{
    enum { N = DNS_SERVERS_MAX };
    struct room *m = *state;
    char text[N * (ADDR_TEXT_MAX + 1)] = "", one[ADDR_TEXT_MAX];
    int fds[N], most = 0;
    for (int i = 0; i < N; i++) {
        struct addr mute;
        fds[i] = socket_at_loopback(AF_INET, SOCK_DGRAM, &mute);
        (void)strcat(strcat(text, i ? "," : ""), addr_format(&mute, one));
    }
    room_servers(m, text, 3);
    int before = count_fds();
    ask(m, "four.test", &ONLY4);
    while (!m->done) {
        ev_run(m->loop, EVRUN_ONCE);
        most = count_fds() - before > most ? count_fds() - before : most;
    }
    assert_int_equal(most, 4);
    assert_int_equal(m->fault, FAULT_DNS);
    assert_int_equal(m->query.news, RESOLVER_SILENCE);
    for (int i = 0; i < N; i++)
        (void)close(fds[i]);
}

/* However many questions were pending when it fell silent. */
static void few_late_answers_are_waited_for(void **state)
{
    enum { N = 40 };
    static struct room rooms[N];
    struct room *m = *state;
    char name[32];
    struct dns_server other;
    int fd = mute_and_another(m, &other);
    int before = count_fds();
    for (int i = 0; i < N; i++) {
        rooms[i] = (struct room){.resolver = m->resolver, .loop = m->loop, .servers = m->servers};
        (void)snprintf(name, sizeof name, "four.n%d.test", i);
        ask(&rooms[i], name, &ONLY4);
    }
    for (int i = 0; i < N; i++) {
        run_until(m->loop, &rooms[i].done);
        assert_int_equal(rooms[i].n, 3);
    }
    assert_int_equal(count_fds(), before + 16);
    dns_server_close(&other);
    (void)close(fd);
}

static void each_question_leaves_by_a_port_of_its_own(void **state)
{
    struct room *m = *state;
    char name[32];
    int same = 0;
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "both.n%d.test", i);
        resolve(m, name, &EGRESS_DIRECT);
    }
    assert_int_equal(m->server.n_ports, 40);
    for (size_t i = 0; i < m->server.n_ports; i++)
        for (size_t k = 0; k < i; k++)
            same += m->server.ports[i] == m->server.ports[k];
    assert_true(same <= 3); /* of 28,000 ports the kernel may pick one twice */
}

static void forged_answers_are_passed_over(void **state)
{
    assert_gives(*state, "forged.test", &EGRESS_DIRECT, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
}

/* Datagrams from other sources are not received: the socket is connected to the server. */
static void nobody_else_answers(void **state)
{
    struct room *m = *state;
    struct addr elsewhere, to = loopback(AF_INET, 0);
    int fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &elsewhere);
    uint8_t out[DNS_PACKET_MAX];
    ask(m, "late.test", &ONLY4);
    await_questions(m, 1);
    struct dns_held q = m->server.held[0];
    size_t len = dns_answer(&q, dns_question(&q), out);
    addr_set_port(&to, m->server.ports[0]);
    assert_true(sendto(fd, out, len, 0, &to.sa, addr_len(&to)) == (ssize_t)len);
    run_for(m, 0.05);
    assert_int_equal(m->calls, 0);
    dns_server_release(&m->server);
    run_until(m->loop, &m->done);
    assert_int_equal(m->n, 3);
    (void)close(fd);
}

static void an_alias_without_addresses_is_followed(void **state)
{
    struct room *m = *state;
    assert_gives(m, "alias.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(m->server.asked4, 2);
    assert_gives(m, "alias.test", &EGRESS_DIRECT, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
}

/* The server has followed the alias, whose target has no address of this family. */
static void an_alias_whose_end_is_known_is_not(void **state)
{
    struct room *m = *state;
    resolve(m, "alias6.test", &EGRESS_DIRECT);
    assert_int_equal(m->server.asked6, 1);
}

static void a_circle_of_aliases_ends(void **state)
{
    struct room *m = *state;
    assert_fault(m, "circle.test", &EGRESS_DIRECT, FAULT_DNS);
    assert_true(m->took_s < 5);
    assert_true(m->server.asked4 <= 12 && m->server.asked6 <= 12);
    assert_fault(m, "ping.test", &EGRESS_DIRECT,
                 FAULT_DNS); /* and a circle of two, with a question for each step */
    assert_true(m->took_s < 5);
    assert_true(m->server.asked4 >= 8 && m->server.asked4 <= 24);
}

static void of_thousands_of_addresses_a_few_are_kept(void **state)
{
    struct room *m = *state;
    dns_server_open_tcp(&m->server);
    resolve(m, "huge.test", &EGRESS_DIRECT);
    assert_int_equal(m->n, DIAL_ADDRS_MAX);
    assert_int_equal(m->server.asked_tcp, 2);
}

/* The server has answered: it is not silent, and only its answer is incomplete. */
static void assert_heard(const struct room *m)
{
    assert_int_equal(m->resolver->way.scores.of[0].silences, 0);
    assert_true(m->resolver->way.scores.of[0].rtt_s > 0);
}

static void truncated_and_no_tcp_is_a_failure(void **state)
{
    struct room *m = *state;
    assert_fault(m, "big.test", &EGRESS_DIRECT, FAULT_DNS);
    assert_true(m->took_s < 5);
    assert_int_equal(m->query.news, RESOLVER_NO_NEWS);
    assert_heard(m);
}

static void what_is_truncated_serves_where_tcp_is_refused(void **state)
{
    struct room *m = *state;
    assert_gives(m, "part.test", &ONLY4, "192.0.2.1:80");
    int asked = m->server.asked4;
    assert_gives(m, "part.test", &ONLY4, "192.0.2.1:80");
    assert_true(m->server.asked4 > asked); /* a partial set is not cached (RFC 2181 9) */
    assert_int_equal(m->query.news, RESOLVER_HEARD);
    assert_heard(m);
}

static void what_is_truncated_serves_where_tcp_is_silent(void **state)
{
    struct room *m = *state;
    dns_server_open_mute_tcp(&m->server);
    room_resolver(m, 4);
    assert_gives(m, "part.test", &ONLY4, "192.0.2.1:80");
    assert_true(m->took_s >= 0.9); /* it had its time */
    assert_heard(m);
}

static void truncated_and_tcp_silent_is_no_silence(void **state)
{
    struct room *m = *state;
    dns_server_open_mute_tcp(&m->server);
    room_resolver(m, 3);
    ask(m, "big.test", &ONLY4);
    while (!dns_question_is_heard(&m->query.job->four))
        ev_run(m->loop, EVRUN_ONCE);
    assert_int_equal(resolver_unanswered(&m->query), RESOLVER_NO_NEWS);
    run_until(m->loop, &m->done);
    assert_int_equal(m->fault, FAULT_DNS);
    assert_int_equal(m->query.news, RESOLVER_NO_NEWS);
    assert_heard(m);
}

static void tcp_comes_before_what_is_truncated(void **state)
{
    struct room *m = *state;
    dns_server_open_tcp(&m->server);
    assert_gives(m, "part.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    int asked = m->server.asked_tcp;
    assert_gives(m, "part.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(m->server.asked_tcp, asked); /* it is complete, and cached */
}

static void truncated_without_an_address_leaves_it_to_the_next(void **state)
{
    struct room *m = *state;
    struct dns_server other;
    two_servers(m, &other, m->server.text, NULL);
    dns_server_open_tcp(&other);
    m->resolver->way.scores.of[0].rtt_s = 1; /* so that a loaded machine does not make it count as silent */
    assert_gives(m, "big.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80"); /* refused */
    assert_int_equal(other.asked_tcp, 1);
    assert_heard(m);
    dns_server_open_mute_tcp(&m->server);
    assert_gives(m, "big.silent.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(other.asked_tcp, 2);
    assert_heard(m);
    dns_server_close(&other);
}

int main(void)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)
    const struct CMUnitTest tests[] = {
        IN_ROOM(the_one_that_answers_is_asked_first),
        IN_ROOM(one_that_refuses_or_fails_leaves_it_to_the_next),
        IN_ROOM(one_that_refuses_us_is_asked_last),
        IN_ROOM(a_slow_one_is_not_taken_for_a_silent_one),
        IN_ROOM(of_silent_servers_a_few_are_waited_for),
        IN_ROOM(few_late_answers_are_waited_for),
        IN_ROOM(each_question_leaves_by_a_port_of_its_own),
        IN_ROOM(forged_answers_are_passed_over),
        IN_ROOM(nobody_else_answers),
        IN_ROOM(an_alias_without_addresses_is_followed),
        IN_ROOM(an_alias_whose_end_is_known_is_not),
        IN_ROOM(a_circle_of_aliases_ends),
        IN_ROOM(of_thousands_of_addresses_a_few_are_kept),
        IN_ROOM(truncated_and_no_tcp_is_a_failure),
        IN_ROOM(what_is_truncated_serves_where_tcp_is_refused),
        IN_ROOM(what_is_truncated_serves_where_tcp_is_silent),
        IN_ROOM(truncated_and_tcp_silent_is_no_silence),
        IN_ROOM(tcp_comes_before_what_is_truncated),
        IN_ROOM(truncated_without_an_address_leaves_it_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
