/* Results of a resolver for a name. */
#include "dns/resolver_room.h"

#include <errno.h>
#include <sys/mman.h>

static const struct egress ONLY6 = {.any6 = true}, NOTHING = {.any4 = false};

static void test_families_take_turns(void **state)
{
    assert_gives(*state, "both.test", &EGRESS_DIRECT,
                 "[2001:db8::1]:80 192.0.2.1:80 [2001:db8::2]:80 192.0.2.2:80 192.0.2.3:80");
    assert_gives(*state, "four.test", &EGRESS_DIRECT, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_gives(*state, "six.test", &EGRESS_DIRECT, "[2001:db8::1]:80 [2001:db8::2]:80");
    assert_gives(*state, "BOTH.Test.", &ONLY6, "[2001:db8::1]:80 [2001:db8::2]:80");
}

static void test_only_useful_families_are_asked_for(void **state)
{
    struct room *m = *state;
    assert_gives(m, "both.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(m->server.asked4, 1);
    assert_int_equal(m->server.asked6, 0);
    assert_gives(m, "both.test", &ONLY6, "[2001:db8::1]:80 [2001:db8::2]:80");
    assert_int_equal(m->server.asked4, 1);
    assert_int_equal(m->server.asked6, 1);
}

static void test_many_addresses_are_cut_evenly(void **state)
{
    struct room *m = *state;
    resolve(m, "many.test", &EGRESS_DIRECT);
    assert_int_equal(m->n, DIAL_ADDRS_MAX);
    assert_non_null(strstr(m->addrs, "[2001:db8::1]:80 192.0.2.1:80 "));
    assert_non_null(strstr(m->addrs, " [2001:db8::8]:80 192.0.2.8:80"));
    resolve(m, "many.test", &ONLY4);
    assert_int_equal(m->n, DIAL_ADDRS_MAX);
    assert_non_null(strstr(m->addrs, " 192.0.2.16:80"));
}

static void test_mapped_addresses_are_ipv4(void **state)
{
    assert_gives(*state, "mapped.test", &EGRESS_DIRECT, "192.0.2.99:80");
    assert_fault(*state, "mapped.test", &ONLY6, FAULT_UNREACHABLE);
}

static void test_faults(void **state)
{
    struct room *m = *state;
    assert_fault(m, "nope.test", &EGRESS_DIRECT, FAULT_NAME);
    assert_fault(m, "nope.test", &ONLY4, FAULT_NAME);
    assert_fault(m, "empty.test", &EGRESS_DIRECT, FAULT_NAME);
    assert_fault(m, "six.test", &ONLY4, FAULT_UNREACHABLE);
    assert_fault(m, "four.test", &ONLY6, FAULT_UNREACHABLE);
    assert_fault(m, "broken.test", &EGRESS_DIRECT, FAULT_DNS);
    int asked = m->server.asked4 + m->server.asked6;
    assert_fault(m, "four.test", &NOTHING, FAULT_UNREACHABLE);
    assert_int_equal(m->server.asked4 + m->server.asked6, asked);
}

static void test_silence_ends_at_the_deadline(void **state)
{
    struct room *m = *state;
    room_resolver(m, 2);
    assert_fault(m, "silent.test", &EGRESS_DIRECT, FAULT_DNS);
    assert_int_equal(m->query.news, RESOLVER_SILENCE);
    assert_true(m->took_s >= 1.99);
    assert_true(m->server.asked4 >= 2); /* a lost packet is sent again */
    /* The resolver serves others meanwhile and afterwards. */
    assert_gives(m, "four.test", &ONLY4, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
}

static void test_truncated_answer_is_asked_for_over_tcp(void **state)
{
    struct room *m = *state;
    dns_server_open_tcp(&m->server);
    assert_gives(m, "big.test", &EGRESS_DIRECT,
                 "[2001:db8::1]:80 192.0.2.1:80 [2001:db8::2]:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(m->server.asked_tcp, 2);
}

static void test_server_that_is_not_there(void **state)
{
    struct room *m = *state;
    struct addr elsewhere = loopback(AF_INET, 9);
    /* A port that is bound and connected: the kernel rejects packets from others. */
    int fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &m->server.addr);
    assert_int_equal(connect(fd, &elsewhere.sa, addr_len(&elsewhere)), 0);
    (void)addr_format(&m->server.addr, m->server.text);
    room_resolver(m, 20);
    assert_fault(m, "four.test", &EGRESS_DIRECT, FAULT_DNS);
    assert_true(m->took_s < 15); /* known before the deadline */
    (void)close(fd);
}

static void test_second_server_helps_out(void **state)
{
    struct room *m = *state;
    struct addr mute;
    char text[2 * ADDR_TEXT_MAX + 2], first[ADDR_TEXT_MAX];
    int fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &mute);
    (void)snprintf(text, sizeof text, "%s,%s", addr_format(&mute, first), m->server.text);
    room_servers(m, text, 20);
    assert_gives(m, "six.test", &ONLY6, "[2001:db8::1]:80 [2001:db8::2]:80");
    assert_true(m->took_s < 15);
    (void)close(fd);
}

static void test_names_that_need_no_server(void **state)
{
    struct room *m = *state;
    assert_gives(m, "localhost", &EGRESS_DIRECT, "[::1]:80 127.0.0.1:80");
    assert_gives(m, "LocalHost.", &ONLY4, "127.0.0.1:80");
    assert_gives(m, "a.b.localhost", &ONLY6, "[::1]:80");
    assert_gives(m, "192.0.2.7", &EGRESS_DIRECT, "192.0.2.7:80");
    assert_gives(m, "2001:db8::7", &EGRESS_DIRECT, "[2001:db8::7]:80");
    assert_gives(m, "::ffff:192.0.2.7", &ONLY4, "192.0.2.7:80");
    assert_fault(m, "192.0.2.7", &ONLY6, FAULT_UNREACHABLE);
    assert_fault(m, "2001:db8::7", &ONLY4, FAULT_UNREACHABLE);
    assert_int_equal(m->server.asked4 + m->server.asked6, 0);
    assert_fault(m, "notlocalhost", &EGRESS_DIRECT, FAULT_NAME);
    assert_true(m->server.asked4 > 0);
}

static void test_names_that_cannot_be(void **state)
{
    struct room *m = *state;
    char label64[80], bytes254[255];
    memset(label64, 'a', 64);
    (void)strcpy(label64 + 64, ".localhost");
    for (size_t i = 0; i < 244; i++)
        bytes254[i] = i % 2 ? '.' : 'a';
    bytes254[243] = 'a';
    (void)strcpy(bytes254 + 244, ".localhost");
    const char *const bad[] = {"",         ".",        "..",    ".test",    "a..test", "a..localhost",
                               "a.test..", "a b.test", "a\n.b", "a\\.test", "a\x7f.b", label64,
                               bytes254};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_fault(m, bad[i], &EGRESS_DIRECT, FAULT_NAME);
    assert_int_equal(m->server.asked4 + m->server.asked6, 0);

    /* The longest possible names are asked for. */
    assert_fault(m, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test", &ONLY4,
                 FAULT_NAME);
    assert_true(m->server.asked4 > 0);
    int asked = m->server.asked4;
    bytes254[253] = '\0';
    assert_fault(m, bytes254, &ONLY4, FAULT_NAME);
    assert_true(m->server.asked4 > asked);
}

static void test_hosts_file_counts(void **state)
{
    struct room *m = *state;
    char path[64];
    int fd = memfd_create("hosts", MFD_CLOEXEC);
    assert_true(fd >= 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    assert_true(dprintf(fd, "192.0.2.55 printer.test\n2001:db8::55 printer.test\n") > 0);
    resolver_commons_init(&m->commons, path);
    resolve(m, "printer.test", &EGRESS_DIRECT);
    (void)close(fd);
    assert_string_equal(m->addrs, "[2001:db8::55]:80 192.0.2.55:80");
    assert_int_equal(m->server.asked4 + m->server.asked6, 0);
}

static void test_cancelled_query_is_not_called_back(void **state)
{
    struct room *m = *state;
    struct resolver_query fresh = {.resolver = NULL};
    resolver_cancel(&fresh);

    ask(m, "late.test", &EGRESS_DIRECT); /* the server holds it */
    await_question(m);
    resolver_cancel(&m->query);
    resolver_cancel(&m->query);
    memset(&m->query, 0x5a, sizeof m->query); /* its owner may be gone by the time the answer comes */
    dns_server_release(&m->server);
    run_for(m, 0.1);
    assert_int_equal(m->calls, 0);

    ask(m, "localhost", &EGRESS_DIRECT); /* known, but not reported yet */
    resolver_cancel(&m->query);
    ask(m, "..", &EGRESS_DIRECT);
    resolver_cancel(&m->query);
    run_for(m, 0.05);
    assert_int_equal(m->calls, 0);
    assert_gives(m, "six.test", &ONLY6, "[2001:db8::1]:80 [2001:db8::2]:80");
}

static void test_answer_after_the_deadline_is_for_nobody(void **state)
{
    struct room *m = *state;
    room_resolver(m, 0.2);
    assert_fault(m, "late.test", &EGRESS_DIRECT, FAULT_DNS);
    memset(&m->query, 0x5a, sizeof m->query);
    dns_server_release(&m->server);
    run_for(m, 0.1);
    assert_int_equal(m->calls, 1);
    m->query = (struct resolver_query){.resolver = NULL};
}

static void test_many_queries_at_once(void **state)
{
    enum { QUERIES = 200 };
    static struct room rooms[QUERIES];
    struct room *m = *state;
    static const char *const names[] = {"both.test", "nope.test", "localhost", "192.0.2.1"};
    for (size_t i = 0; i < QUERIES; i++) {
        rooms[i] = (struct room){.resolver = m->resolver, .loop = m->loop, .servers = m->servers};
        ask(&rooms[i], names[i % ARRAY_LEN(names)], &EGRESS_DIRECT);
    }
    for (size_t i = 0; i < QUERIES; i += 5)
        resolver_cancel(&rooms[i].query);
    for (size_t i = 0; i < QUERIES; i++) {
        if (i % 5 == 0)
            continue;
        run_until(m->loop, &rooms[i].done);
        assert_int_equal(rooms[i].calls, 1);
        assert_int_equal(rooms[i].fault, i % ARRAY_LEN(names) == 1 ? FAULT_NAME : FAULT_NONE);
    }
    for (size_t i = 0; i < QUERIES; i += 5)
        assert_int_equal(rooms[i].calls, 0);
}

static void test_freed_with_queries_running(void **state)
{
    struct room *m = *state;
    struct room others[3];
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        others[i] = (struct room){.resolver = m->resolver, .servers = m->servers};
    ask(m, "late.test", &EGRESS_DIRECT);
    await_question(m);
    ask(&others[0], "localhost", &EGRESS_DIRECT);
    ask(&others[1], "..", &EGRESS_DIRECT);
    ask(&others[2], "silent.test", &EGRESS_DIRECT);
    resolver_cancel(&others[2].query);
    resolver_free(m->resolver);
    m->resolver = NULL;
    assert_int_equal(count_fds(), m->fds + 2); /* the server's */
    dns_server_release(&m->server);
    run_for(m, 0.05);
    resolver_cancel(&m->query);
    resolver_cancel(&others[0].query);
    assert_int_equal(m->calls + others[0].calls + others[1].calls + others[2].calls, 0);
}

static void test_from_within_the_callback(void **state)
{
    struct room *m = *state;
    m->again = "four.test";
    ask(m, "nope.test", &EGRESS_DIRECT);
    run_until(m->loop, &m->done);
    assert_int_equal(m->calls, 2);
    assert_string_equal(m->addrs, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    m->free_resolver = true;
    assert_gives(m, "six.test", &ONLY6, "[2001:db8::1]:80 [2001:db8::2]:80");
    assert_null(m->resolver);
}

static bool freed;
static void on_done_free(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n)
{
    assert_int_equal(fault, FAULT_NONE);
    free(q);
    assert_int_equal(n, 3);
    assert_int_equal(addr_port(&addrs[2]), 80);
    freed = true;
}

static void test_query_may_be_freed_from_within(void **state)
{
    struct room *m = *state;
    struct resolver_query *q = calloc(1, sizeof *q);
    assert_non_null(q);
    resolver_aim(m->resolver, &EGRESS_DIRECT, &m->servers);
    resolver_start(m->resolver, q, "four.test", 80, on_done_free);
    run_until(m->loop, &freed);
}

int main(void)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)
    const struct CMUnitTest tests[] = {
        IN_ROOM(test_families_take_turns),
        IN_ROOM(test_only_useful_families_are_asked_for),
        IN_ROOM(test_many_addresses_are_cut_evenly),
        IN_ROOM(test_mapped_addresses_are_ipv4),
        IN_ROOM(test_faults),
        IN_ROOM(test_silence_ends_at_the_deadline),
        IN_ROOM(test_truncated_answer_is_asked_for_over_tcp),
        IN_ROOM(test_server_that_is_not_there),
        IN_ROOM(test_second_server_helps_out),
        IN_ROOM(test_names_that_need_no_server),
        IN_ROOM(test_names_that_cannot_be),
        IN_ROOM(test_hosts_file_counts),
        IN_ROOM(test_cancelled_query_is_not_called_back),
        IN_ROOM(test_answer_after_the_deadline_is_for_nobody),
        IN_ROOM(test_many_queries_at_once),
        IN_ROOM(test_freed_with_queries_running),
        IN_ROOM(test_from_within_the_callback),
        IN_ROOM(test_query_may_be_freed_from_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
