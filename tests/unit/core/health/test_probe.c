/* A probe against real servers on loopback. */
#include "health/probe.h"

#include "support/loopback.h"

#include <stdio.h>

struct desk {
    struct probe probe; /* first: the desk is found by its address */
    struct ev_loop *loop;
    struct resolver_commons commons;
    struct resolver *resolver;
    struct addr listening;
    int fd;
    int ends;
    enum fault fault;
    int status;
    char body[64];
    bool done, has_own;
};

static void on_done(struct probe *p, const struct probe_result *r)
{
    struct desk *d = (struct desk *)p;
    d->ends++;
    d->fault = r->fault;
    d->status = r->status;
    d->has_own = addr_family(&r->own) != AF_UNSPEC && addr_is_loopback(&r->own);
    (void)snprintf(d->body, sizeof d->body, "%.*s", (int)r->body.len, r->body.data ? r->body.data : "");
    d->done = true;
}

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    const struct dns_servers none = {.n = 0};
    assert_non_null(d);
    d->loop = ev_loop_new(0);
    resolver_commons_init(&d->commons, NULL);
    assert_int_equal(resolver_new(&d->resolver, d->loop, &d->commons, 1), 0);
    resolver_aim(d->resolver, &EGRESS_DIRECT, &none);
    d->fd = listen_at_loopback(AF_INET, 8, &d->listening);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    probe_cancel(&d->probe);
    resolver_free(d->resolver);
    resolver_commons_done(&d->commons);
    (void)close(d->fd);
    assert_idle(d->loop);
    ev_loop_destroy(d->loop);
    free(d);
    return 0;
}

static void begin(struct desk *d, const char *path, double timeout_s)
{
    struct probe_target target;
    char text[ADDR_TEXT_MAX], url[256];
    (void)snprintf(url, sizeof url, "%s%s%s", *path ? "http://" : "", addr_format(&d->listening, text), path);
    assert_int_equal(probe_target_parse(&target, slice_str(url)), PARSE_OK);
    d->done = false;
    d->ends = 0;
    probe_start(
        &d->probe, d->loop,
        &(struct probe_request){
            .target = &target, .egress = &EGRESS_DIRECT, .resolver = d->resolver, .timeout_s = timeout_s},
        on_done);
    assert_int_equal(d->ends, 0);
}

static void finish(struct desk *d, enum fault fault, int status)
{
    run_until(d->loop, &d->done);
    assert_int_equal(d->ends, 1);
    assert_string_equal(fault_name(d->fault), fault_name(fault));
    assert_int_equal(d->status, status);
}

/* Accept the one connection, and read its request. @return its socket */
static int serve(struct desk *d, char *request, size_t size)
{
    bool never = false;
    (void)run_until_within(d->loop, &never, 0.05);
    int fd = accept(d->fd, NULL, NULL);
    assert_true(fd >= 0);
    ssize_t n = recv(fd, request, size - 1, 0);
    assert_true(n > 0);
    request[n] = '\0';
    return fd;
}

static void a_connection_is_enough_for_tcp(void **state)
{
    struct desk *d = *state;
    begin(d, "", 5);
    finish(d, FAULT_NONE, 0);
    assert_true(d->has_own);
}

static void http_is_asked_and_its_status_told(void **state)
{
    struct desk *d = *state;
    char request[1024];
    static const struct {
        const char *answer;
        int status;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
        {"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", 302, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n192.0.2.7", 200, "192.0.2.7"},
        {"220 smtp ready\r\n", 0, ""},
        {"", 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(d, "/generate_204?x", 5);
        int fd = serve(d, request, sizeof request);
        assert_non_null(strstr(request, "GET /generate_204?x HTTP/1.1\r\nHost: 127.0.0.1:"));
        size_t len = strlen(cases[i].answer);
        for (size_t k = 0; k < len && !d->done; k++) { /* byte by byte */
            (void)send(fd, cases[i].answer + k, 1, MSG_NOSIGNAL);
            (void)ev_run(d->loop, EVRUN_NOWAIT);
        }
        (void)close(fd);
        finish(d, FAULT_NONE, cases[i].status);
        assert_string_equal(d->body, cases[i].body);
    }
}

static void an_answer_without_an_end_is_cut(void **state)
{
    struct desk *d = *state;
    char request[1024], junk[4096];
    memset(junk, 'x', sizeof junk);
    begin(d, "/", 5);
    int fd = serve(d, request, sizeof request);
    (void)send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL);
    for (int i = 0; i < 3; i++)
        (void)send(fd, junk, sizeof junk, MSG_NOSIGNAL);
    finish(d, FAULT_NONE, 200);
    (void)close(fd);
}

static void silence_ends_with_the_timeout(void **state)
{
    struct desk *d = *state;
    begin(d, "/", 0.2);
    finish(d, FAULT_TIMEOUT, 0);
}

static void a_closed_port_is_reported(void **state)
{
    struct desk *d = *state;
    (void)close(d->fd); /* the port is closed now */
    begin(d, "", 5);
    finish(d, FAULT_REFUSED, 0);
    d->fd = listen_at_loopback(AF_INET, 8, &d->listening);
}

static void targets_are_read_and_written(void **state)
{
    static const char *const good[][2] = {
        {"192.0.2.1:443", "192.0.2.1:443"},
        {"[2001:db8::1]:53", "[2001:db8::1]:53"},
        {"example.org:443", "example.org:443"},
        {"http://example.org", "http://example.org:80/"},
        {"HTTP://example.org:8080/a?b=c", "http://example.org:8080/a?b=c"},
        {"http://[2001:db8::1]/x", "http://[2001:db8::1]:80/x"},
    };
    static const char *const bad[] = {
        "",           "example.org",   "example.org:0", "http://",      "http:///x", "http://a/ b",
        "https://a/", "http://u:p@a/", "http://a/\x7f", "http://a/x#y", "a:b"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct probe_target t;
        char text[PROBE_TARGET_TEXT_MAX];
        assert_int_equal(probe_target_parse(&t, slice_str(good[i][0])), PARSE_OK);
        assert_string_equal(probe_target_format(&t, text), good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct probe_target t;
        if (probe_target_parse(&t, slice_str(bad[i])) != PARSE_BAD)
            fail_msg("%s is taken for a target", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_connection_is_enough_for_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(http_is_asked_and_its_status_told, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_without_an_end_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_ends_with_the_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_port_is_reported, setup, teardown),
        cmocka_unit_test(targets_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
