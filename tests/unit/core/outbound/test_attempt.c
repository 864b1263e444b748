/* One attempt: its results, and the owner of the lease. The servers are real ones on loopback. */
#include "outbound/attempt.h"
#include "uplink/uplink.h"
#include "uplink/uplink_lease.h"

#include "outbound/scene.h"

/* A proxy with one uplink, and the callbacks that the attempt has made. */
struct desk {
    struct attempt attempt; /* first: the desk is found by its address */
    struct ev_loop *loop;
    struct outbounds shared;
    struct scene scene;
    struct uplink uplink;
    char why[REACH_WHY_MAX];
    struct addr client, listening, closed;
    int listening_fd;
    struct target target;
    int locals, ends;
    enum fault fault;
    int fd;
    bool held, done;
};

static void on_local(struct attempt *a)
{
    ((struct desk *)a)->locals++;
}

static void on_done(struct attempt *a, enum fault fault, int fd)
{
    struct desk *d = (struct desk *)a;
    d->ends++;
    d->fault = fault;
    d->fd = fd;
    d->held = a->lease.uplink != NULL;
    d->done = true;
}

static void on_doubtful(struct attempt *a)
{
    (void)a;
    fail_msg("nothing is known against the uplink");
}

static void on_refused(struct attempt *a, const char *why)
{
    struct desk *d = (struct desk *)a;
    (void)snprintf(d->why, sizeof d->why, "%s", why);
}

static const struct attempt_events events = {
    .local = on_local, .doubtful = on_doubtful, .refused = on_refused, .done = on_done};

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 0), 0);
    return a;
}

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    scene_init(&d->scene, &d->shared, 5);
    d->loop = d->shared.loop;
    d->uplink = (struct uplink){.view = {.id = 1, .weight = 1, .up = true, .ipv4 = true},
                                .egress = EGRESS_DIRECT,
                                .names.resolver = scene_resolver(&d->scene, d->loop)};
    d->client = ip("127.0.0.1");
    d->listening_fd = listen_at_loopback(AF_INET, 8, &d->listening);
    int fd = socket_at_loopback(AF_INET, SOCK_STREAM, &d->closed); /* bound, but not listening */
    (void)close(fd);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    attempt_cancel(&d->attempt);
    assert_true(d->uplink.view.active == 0);
    if (d->fd > 0)
        (void)close(d->fd);
    (void)close(d->listening_fd);
    resolver_free(d->uplink.names.resolver);
    scene_done(&d->scene, &d->shared);
    free(d);
    return 0;
}

static void start(struct desk *d, const char *host, const struct addr *at, struct uplink *u)
{
    assert_int_equal(target_set(&d->target, slice_str(host), addr_port(at)), PARSE_OK);
    attempt_start(&d->attempt,
                  &(struct attempt_request){.shared = &d->shared,
                                            .target = &d->target,
                                            .client = &d->client,
                                            .uplink = u,
                                            .timeout_s = 5,
                                            .left_s = 5},
                  &events);
}

static void list_loopback(struct cidr_set *set)
{
    static const char *const ranges[] = {"127.0.0.0/8", "::1/128"};
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
        struct cidr c;
        assert_int_equal(cidr_parse(&c, slice_str(ranges[i])), 0);
        assert_int_equal(cidr_set_add(set, &c), 0);
    }
}

/* --- by an uplink --------------------------------------------------------------------------------------- */

static void test_connects_and_leaves_the_lease_to_its_owner(void **state)
{
    struct desk *d = *state;
    struct uplink_lease mine = {.uplink = NULL};
    start(d, "127.0.0.1", &d->listening, &d->uplink);
    assert_true(d->attempt.running && d->uplink.view.active == 1);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_NONE);
    assert_true(d->fd >= 0 && d->held && !d->attempt.running);
    uplink_lease_move(&mine, &d->attempt.lease);
    attempt_cancel(&d->attempt);
    assert_true(d->uplink.view.active == 1);
    uplink_release(&mine);
    assert_int_equal(d->ends, 1);
    assert_int_equal(d->locals, 0);
}

static void test_a_failure_still_holds_its_lease(void **state)
{
    struct desk *d = *state;
    start(d, "127.0.0.1", &d->closed, &d->uplink);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_REFUSED);
    assert_true(d->fd == -1 && d->held && d->uplink.view.active == 1);
}

static enum resolver_news news_of_silent_servers(struct desk *d, const char *host, double timeout_s)
{
    assert_int_equal(target_set(&d->target, slice_str(host), 80), PARSE_OK);
    d->done = false;
    attempt_start(&d->attempt,
                  &(struct attempt_request){.shared = &d->shared,
                                            .target = &d->target,
                                            .client = &d->client,
                                            .uplink = &d->uplink,
                                            .timeout_s = timeout_s,
                                            .left_s = timeout_s},
                  &events);
    run_until(d->loop, &d->done);
    assert_string_equal(fault_name(d->fault), fault_name(FAULT_DNS));
    attempt_cancel(&d->attempt); /* which releases its lease */
    return d->attempt.news;
}

/* A late attempt has little time, so silence in it does not blame the servers. */
static void test_silence_in_a_short_attempt_does_not_blame_the_servers(void **state)
{
    struct desk *d = *state;
    struct addr mute;
    struct dns_servers dns;
    char text[ADDR_TEXT_MAX];
    int fd = socket_at_loopback(AF_INET, SOCK_DGRAM, &mute);
    assert_int_equal(dns_servers_parse(&dns, addr_format(&mute, text)), 0);
    resolver_aim(d->uplink.names.resolver, &EGRESS_DIRECT, &dns);
    d->shared.settings.dial_timeout_s = 2;
    assert_int_equal(news_of_silent_servers(d, "one.test", 0.4), RESOLVER_NO_NEWS);
    assert_int_equal(news_of_silent_servers(d, "two.example", 0.6), RESOLVER_SILENCE);
    (void)close(fd);
}

static void test_without_its_uplink_it_ends_at_once(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "silent.test"};
    struct desk *d = *state;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        d->done = false;
        start(d, hosts[i], &d->listening, &d->uplink);
        attempt_lose_uplink(&d->attempt);
        assert_true(d->done && d->fd == -1 && d->held && d->attempt.lost);
        assert_int_equal(d->fault, FAULT_UNREACHABLE);
        attempt_cancel(&d->attempt);
        assert_true(d->uplink.view.active == 0);
    }
    assert_false(run_until_within(d->loop, &(bool){false}, 0.05));
    assert_int_equal(d->ends, ARRAY_LEN(hosts));
}

static void test_cancel_calls_nothing_and_releases_the_lease(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "silent.test"};
    struct desk *d = *state;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        start(d, hosts[i], &d->listening, &d->uplink);
        assert_true(d->uplink.view.active == 1);
        attempt_cancel(&d->attempt);
        assert_true(d->uplink.view.active == 0);
        attempt_cancel(&d->attempt);
        assert_true(d->uplink.view.active == 0);
    }
    assert_false(run_until_within(d->loop, &d->done, 0.05));
    assert_int_equal(d->ends, 0);
}

static void test_may_be_started_again(void **state)
{
    struct desk *d = *state;
    start(d, "127.0.0.1", &d->closed, &d->uplink);
    run_until(d->loop, &d->done);
    attempt_cancel(&d->attempt);
    d->done = false;
    start(d, "127.0.0.1", &d->listening, &d->uplink);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_NONE);
    assert_int_equal(d->ends, 2);
}

/* --- local destinations --------------------------------------------------------------------------------- */

static void test_a_local_name_needs_no_uplink(void **state)
{
    struct desk *d = *state;
    list_loopback(&d->scene.local);
    start(d, "localhost", &d->listening, &d->uplink);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_NONE);
    assert_int_equal(d->locals, 1);
    assert_true(!d->held && d->attempt.direct && d->uplink.view.active == 0);
}

static void test_directly_from_the_beginning(void **state)
{
    struct desk *d = *state;
    list_loopback(&d->scene.bypass);
    start(d, "127.0.0.1", &d->listening, NULL);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_NONE);
    assert_true(d->attempt.direct && d->locals == 0 && d->uplink.view.active == 0);
}

static void test_directly_only_to_what_is_listed(void **state)
{
    struct desk *d = *state;
    start(d, "127.0.0.1", &d->listening, NULL);
    assert_true(d->done); /* without sending anything */
    assert_int_equal(d->fault, FAULT_DENIED);
}

static void test_no_other_machine_reaches_our_loopback(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    struct desk *d = *state;
    list_loopback(&d->scene.local);
    d->client = ip("192.0.2.1");
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        d->done = false;
        start(d, hosts[i], &d->listening, i == 0 ? NULL : &d->uplink);
        run_until(d->loop, &d->done);
        assert_int_equal(d->fault, FAULT_DENIED);
        attempt_cancel(&d->attempt);
    }
    assert_int_equal(d->locals, 0);
}

/* --- captured questions for names ----------------------------------------------------------------------- */

static void ask_for_a_name(struct desk *d, const char *server)
{
    assert_int_equal(target_set(&d->target, slice_str(server), 53), PARSE_OK);
    d->done = false;
    attempt_start(&d->attempt,
                  &(struct attempt_request){.shared = &d->shared,
                                            .target = &d->target,
                                            .client = &d->client,
                                            .uplink = &d->uplink,
                                            .timeout_s = 5,
                                            .left_s = 5,
                                            .question = true},
                  &events);
    run_until(d->loop, &d->done);
    attempt_cancel(&d->attempt);
}

static void aim(struct desk *d, const char *servers)
{
    struct dns_servers dns = {.n = 0};

    if (*servers)
        assert_int_equal(dns_servers_parse(&dns, servers), 0);
    resolver_aim(d->uplink.names.resolver, &EGRESS_DIRECT, &dns);
}

static void test_a_question_goes_to_the_uplinks_server(void **state)
{
    struct desk *d = *state;
    char text[ADDR_TEXT_MAX];
    aim(d, addr_format(&d->listening, text));
    ask_for_a_name(d, "192.0.2.77");
    assert_int_equal(d->fault, FAULT_NONE);
    assert_true(addr_same_end(&d->attempt.server, &d->listening));
    aim(d, "");
    ask_for_a_name(d, "192.0.2.77");
    assert_int_equal(d->fault, FAULT_DNS);
    assert_non_null(strstr(d->why, "has no name server"));
    assert_int_equal(addr_family(&d->attempt.server), AF_UNSPEC);
}

/* The parent proxy is a captured machine, too: what it asks for comes back, and is asked of it again. Then
 * all but the first are meant for the uplink's server. */
static void test_questions_that_a_parent_proxy_sends_back_are_bounded(void **state)
{
    struct desk *d = *state;
    struct parent_spec spec = {.scheme = "socks5", .host = "127.0.0.1", .port = addr_port(&d->closed)};
    struct target same;
    struct parent talks[LOOPS_SAME_MAX] = {{.running = false}};
    assert_int_equal(target_set(&same, slice_str("198.51.100.53"), 53), PARSE_OK);
    loops_init(&d->shared.loops, &d->scene.own);
    for (size_t i = 0; i < LOOPS_SAME_MAX; i++) {
        talks[i].request = (struct parent_request){.spec = &spec, .target = &same, .uplink = "p"};
        loops_enter(&d->shared.loops, &talks[i]);
    }
    aim(d, "198.51.100.53");
    d->uplink.parent = &spec;
    ask_for_a_name(d, "10.0.0.1");
    assert_int_equal(d->fault, FAULT_DENIED);
    assert_non_null(strstr(d->why, "is it a loop?"));
    aim(d, "198.51.100.54"); /* another destination, which the parent proxy is asked for */
    ask_for_a_name(d, "10.0.0.1");
    assert_int_equal(d->fault, FAULT_PARENT);
    d->uplink.parent = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connects_and_leaves_the_lease_to_its_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failure_still_holds_its_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_in_a_short_attempt_does_not_blame_the_servers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_without_its_uplink_it_ends_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_calls_nothing_and_releases_the_lease, setup, teardown),
        cmocka_unit_test_setup_teardown(test_may_be_started_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_local_name_needs_no_uplink, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directly_from_the_beginning, setup, teardown),
        cmocka_unit_test_setup_teardown(test_directly_only_to_what_is_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_other_machine_reaches_our_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_question_goes_to_the_uplinks_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_questions_that_a_parent_proxy_sends_back_are_bounded, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
