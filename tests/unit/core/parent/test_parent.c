/* Reaching a destination through a parent proxy on loopback: each way to end, and the loops that it may be
 * part of. parent_talk has its own test, so each protocol occurs once here. */
#include "parent/parent.h"

#include "support/loopback.h"

#include <sys/socket.h>

enum { ANSWERS_MAX = 3, TEXT_MAX = 512 };

struct answer {
    const char *data;
    size_t len; /* 0: close the connection */
};
#define ANSWER(text)                                                                                         \
    {                                                                                                        \
        text, sizeof(text) - 1                                                                               \
    }

struct desk {
    struct ev_loop *loop;
    struct resolver_commons commons;
    struct resolver *resolver;
    struct own_addresses own;
    struct loops loops;
    struct parent_spec spec;
    struct target target;
    struct egress egress;
    struct parent parent;

    /* the parent proxy */
    struct addr at;
    ev_io listener, client; /* client.fd -1: none has come */
    const struct answer *answers;
    size_t n_answers, n_asked;
    char asked[TEXT_MAX]; /* its first question */
    char uplink[16];      /* that loops names for the client, when it comes */
    bool has_asked;

    enum fault fault;
    int fd, ends;
    bool done;
};

static void on_question(struct ev_loop *loop, ev_io *io, int events)
{
    struct desk *d = io->data;
    char text[TEXT_MAX];
    ssize_t n = recv(io->fd, text, sizeof text - 1, 0);

    (void)events;
    if (n <= 0)
        return ev_io_stop(loop, io);
    text[n] = '\0';
    if (d->n_asked == 0)
        memcpy(d->asked, text, (size_t)n + 1);
    d->has_asked = true;
    if (d->n_asked >= d->n_answers)
        return;
    const struct answer *a = &d->answers[d->n_asked++];
    if (a->len > 0)
        assert_int_equal(send(io->fd, a->data, a->len, MSG_NOSIGNAL), a->len);
    else
        assert_int_equal(shutdown(io->fd, SHUT_WR), 0);
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
    struct desk *d = container_of(io, struct desk, listener);
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr peer;
    int fd = accept(io->fd, (struct sockaddr *)&sa, &len);

    (void)events;
    assert_true(fd >= 0 && d->client.fd < 0);
    assert_int_equal(addr_from_sockaddr(&peer, (struct sockaddr *)&sa, len), 0);
    const char *uplink = loops_uplink_of(&d->loops, &peer);
    (void)snprintf(d->uplink, sizeof d->uplink, "%s", uplink ? uplink : "");
    ev_io_init(&d->client, on_question, fd, EV_READ);
    d->client.data = d;
    ev_io_start(loop, &d->client);
}

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    const struct dns_servers none = {.n = 0};

    assert_non_null(d);
    log_setup(LOG_ERROR, LOG_TEXT); /* the warnings of loops.c are expected */
    d->loop = ev_loop_new(0);
    resolver_commons_init(&d->commons, NULL);
    assert_int_equal(resolver_new(&d->resolver, d->loop, &d->commons, PATIENCE_S), 0);
    resolver_aim(d->resolver, &EGRESS_DIRECT, &none);
    loops_init(&d->loops, &d->own);
    ev_io_init(&d->listener, on_client, listen_at_loopback(AF_INET, 8, &d->at), EV_READ);
    ev_io_start(d->loop, &d->listener);
    d->client.fd = d->fd = -1;
    d->spec = (struct parent_spec){.host = "127.0.0.1", .port = addr_port(&d->at)};
    d->egress = EGRESS_DIRECT;
    assert_int_equal(target_set(&d->target, slice_str("example.org"), 443), PARSE_OK);
    *state = d;
    return 0;
}

static void drop_connections(struct desk *d)
{
    if (d->client.fd >= 0) {
        ev_io_stop(d->loop, &d->client);
        (void)close(d->client.fd);
    }
    if (d->fd >= 0)
        (void)close(d->fd);
    d->client.fd = d->fd = -1;
}

static int teardown(void **state)
{
    struct desk *d = *state;

    parent_cancel(&d->parent);
    drop_connections(d);
    ev_io_stop(d->loop, &d->listener);
    (void)close(d->listener.fd);
    resolver_free(d->resolver);
    resolver_commons_done(&d->commons);
    assert_idle(d->loop);
    ev_loop_destroy(d->loop);
    free(d);
    return 0;
}

static void on_done(struct parent *u, enum fault fault, int fd)
{
    struct desk *d = u->owner;

    d->fault = fault;
    d->fd = fd;
    d->ends++;
    d->done = true;
}

static void start(struct desk *d, const char *scheme, const struct answer *answers, double timeout_s)
{
    (void)snprintf(d->spec.scheme, sizeof d->spec.scheme, "%s", scheme);
    d->answers = answers;
    d->n_asked = d->n_answers = 0;
    while (answers && d->n_answers < ANSWERS_MAX && answers[d->n_answers].data)
        d->n_answers++;
    d->done = d->has_asked = false;
    d->ends = 0;
    d->asked[0] = '\0';
    d->parent.owner = d;
    parent_start(&d->parent, d->loop,
                 &(struct parent_request){.spec = &d->spec,
                                          .target = &d->target,
                                          .egress = &d->egress,
                                          .resolver = d->resolver,
                                          .loops = &d->loops,
                                          .uplink = "fibre",
                                          .timeout_s = timeout_s},
                 on_done);
    assert_int_equal(d->ends, 0);
    assert_int_equal(d->loops.n, 1);
}

static void finish(struct desk *d, const char *what, enum fault fault, bool reached)
{
    run_until(d->loop, &d->done);
    if (d->fault != fault || d->parent.reached != reached || (d->fd >= 0) != (fault == FAULT_NONE))
        fail_msg("%s: %s, reached %d, fd %d", what, fault_name(d->fault), d->parent.reached, d->fd);
    assert_int_equal(d->ends, 1);
    assert_int_equal(d->loops.n, 0);
    assert_false(d->parent.running);
}

/* --- the dialogue --------------------------------------------------------------------------------------- */

/* Bytes of the destination that come with the last answer stay in the socket. */
static void each_protocol_leads_to_the_destination(void **state)
{
    static const struct {
        const char *scheme, *asked;
        struct answer answers[ANSWERS_MAX];
    } cases[] = {
        {"http", "CONNECT example.org:443 HTTP/1.1\r\n", {ANSWER("HTTP/1.1 200 OK\r\n\r\nrest")}},
        {"socks5", "\5\1", {ANSWER("\5\0"), ANSWER("\5\0\0\1\0\0\0\0\0\0rest")}},
        {"socks4a", "\4\1\1\xbb", {ANSWER("\0\x5a\0\0\0\0\0\0rest")}},
    };
    struct desk *d = *state;
    char rest[8];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        start(d, cases[i].scheme, cases[i].answers, PATIENCE_S);
        finish(d, cases[i].scheme, FAULT_NONE, true);
        assert_memory_equal(d->asked, cases[i].asked, strlen(cases[i].asked));
        assert_int_equal(recv(d->fd, rest, sizeof rest, 0), 4);
        assert_memory_equal(rest, "rest", 4);
        assert_string_equal(d->uplink, "fibre"); /* so the proxy would know a loop */
        assert_true(d->parent.took_s > 0);
        drop_connections(d);
    }
}

static void what_the_parent_proxy_answers_is_told(void **state)
{
    static const struct {
        const char *what;
        struct answer answers[ANSWERS_MAX];
        enum fault fault;
    } cases[] = {
        {"it closes", {{"", 0}}, FAULT_PARENT},
        {"it closes within the answer", {ANSWER("HTTP/1.1 2"), {"", 0}}, FAULT_PARENT},
        {"no proxy", {ANSWER("220 smtp\r\n")}, FAULT_PARENT},
        {"a timeout of the destination", {ANSWER("HTTP/1.1 504 No\r\n\r\n")}, FAULT_EXPIRED},
    };
    struct desk *d = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        start(d, "http", cases[i].answers, PATIENCE_S);
        if (cases[i].answers[1].data) { /* there is no second question, so the end follows by hand */
            run_until(d->loop, &d->has_asked);
            assert_int_equal(shutdown(d->client.fd, SHUT_WR), 0);
        }
        finish(d, cases[i].what, cases[i].fault, true);
        drop_connections(d);
    }
}

static void silence_ends_with_the_timeout(void **state)
{
    struct desk *d = *state;

    start(d, "http", NULL, PATIENCE_S);
    run_until(d->loop, &d->has_asked);
    assert_true(ev_is_active(&d->parent.deadline));
    assert_true(ev_timer_remaining(d->loop, &d->parent.deadline) <= PATIENCE_S);
    ev_timer_stop(d->loop, &d->parent.deadline); /* as if the time had passed */
    ev_timer_set(&d->parent.deadline, 0.001, 0.);
    ev_timer_start(d->loop, &d->parent.deadline);
    finish(d, "silence", FAULT_TIMEOUT, true);
}

/* --- not reached ---------------------------------------------------------------------------------------- */

static void a_parent_proxy_that_cannot_be_reached(void **state)
{
    struct desk *d = *state;
    struct addr closed;
    int closed_fd = socket_at_loopback(AF_INET, SOCK_STREAM, &closed); /* bound, but not listening */

    d->spec.port = addr_port(&closed);
    start(d, "http", NULL, PATIENCE_S);
    finish(d, "closed", FAULT_REFUSED, false);
    d->spec.port = addr_port(&d->at);
    d->egress.any4 = false;
    start(d, "http", NULL, PATIENCE_S);
    finish(d, "other family", FAULT_NAME, false);
    resolver_aim(d->resolver, &d->egress, &(struct dns_servers){.n = 0}); /* as an uplink's resolver is */
    start(d, "http", NULL, PATIENCE_S);
    finish(d, "other family by its resolver", FAULT_NAME, false);
    (void)close(closed_fd);
    assert_int_equal(d->client.fd, -1);
}

/* Each request would come back as a new one. */
static void the_proxy_does_not_dial_itself(void **state)
{
    struct desk *d = *state;

    loops_listen(&d->loops, &d->at, false);
    start(d, "http", NULL, PATIENCE_S);
    finish(d, "itself", FAULT_PARENT, false);
    assert_int_equal(d->client.fd, -1);
    loops_unlisten(&d->loops, &d->at);
}

static void a_cancelled_request_closes_and_tells_nothing(void **state)
{
    struct desk *d = *state;
    char byte;

    start(d, "http", NULL, PATIENCE_S);
    run_until(d->loop, &d->has_asked);
    ev_io_stop(d->loop, &d->client);
    parent_cancel(&d->parent);
    parent_cancel(&d->parent); /* harmless */
    assert_int_equal(d->ends, 0);
    assert_int_equal(d->loops.n, 0);
    assert_int_equal(poll(&(struct pollfd){.fd = d->client.fd, .events = POLLIN}, 1, (int)PATIENCE_S * 1000),
                     1);
    assert_int_equal(recv(d->client.fd, &byte, 1, 0), 0);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(each_protocol_leads_to_the_destination), ONE(what_the_parent_proxy_answers_is_told),
        ONE(silence_ends_with_the_timeout),          ONE(a_parent_proxy_that_cannot_be_reached),
        ONE(the_proxy_does_not_dial_itself),         ONE(a_cancelled_request_closes_and_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
