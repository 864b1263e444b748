/* A room for one query to a resolver that knows only the test's server. */
#ifndef STEERWAY_TESTS_NET_RESOLVER_ROOM_H
#define STEERWAY_TESTS_NET_RESOLVER_ROOM_H

#include "dns/resolver.h"

#include "base/clock.h"
#include "dns/dns_server.h"

static const struct egress ONLY4 = {.any4 = true};

struct room {
    struct resolver_query query; /* first: the room is found by its address */
    struct ev_loop *loop;
    struct dns_server server;
    struct resolver_commons commons;
    struct resolver *resolver;
    struct dns_servers servers;
    int fds; /* open before the resolver was */
    double started, took_s;
    enum fault fault;
    char addrs[1024]; /* as text, a blank between two */
    size_t n;
    int calls;
    bool done;
    const char *again; /* resolved from within the callback */
    bool free_resolver;
};

static inline void on_done(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n)
{
    struct room *m = (struct room *)q;
    char text[ADDR_TEXT_MAX];

    m->fault = fault;
    m->n = n;
    m->calls++;
    m->took_s = clock_now_s() - m->started;
    m->addrs[0] = '\0';
    assert_int_equal(n > 0, fault == FAULT_NONE);
    assert_true(n <= DIAL_ADDRS_MAX);
    if (m->again) {
        resolver_start(m->resolver, q, m->again, 80, on_done);
        m->again = NULL;
        return;
    }
    if (m->free_resolver) {
        resolver_free(m->resolver);
        m->resolver = NULL;
    }
    for (size_t i = 0; i < n; i++) { /* they live until here, whatever happens */
        (void)strcat(m->addrs, i ? " " : "");
        (void)strcat(m->addrs, addr_format(&addrs[i], text));
    }
    m->done = true;
}

static inline void room_servers(struct room *m, const char *servers, double timeout_s)
{
    resolver_free(m->resolver);
    assert_int_equal(resolver_new(&m->resolver, m->loop, &m->commons, timeout_s), 0);
    m->servers = (struct dns_servers){.n = 0};
    assert_int_equal(dns_servers_parse(&m->servers, servers), 0);
}

static inline void room_resolver(struct room *m, double timeout_s)
{
    room_servers(m, m->server.text, timeout_s);
}

static inline int room_open(void **state)
{
    struct room *m = calloc(1, sizeof *m);
    assert_non_null(m);
    *state = m;
    m->loop = ev_loop_new(0);
    bool never = false;
    (void)run_until_within(m->loop, &never, 0.001); /* what libev opens at its first turn is open now */
    m->fds = count_fds();
    dns_server_open(&m->server, m->loop);
    resolver_commons_init(&m->commons, "/dev/null");
    room_resolver(m, 10);
    return 0;
}

static inline int room_close(void **state)
{
    struct room *m = *state;
    resolver_cancel(&m->query);
    resolver_free(m->resolver);
    resolver_commons_done(&m->commons);
    dns_server_close(&m->server);
    assert_idle(m->loop);
    assert_int_equal(count_fds(), m->fds);
    ev_loop_destroy(m->loop);
    free(m);
    return 0;
}

static inline void ask(struct room *m, const char *name, const struct egress *egress)
{
    m->done = false;
    m->calls = 0;
    m->started = clock_now_s();
    resolver_aim(m->resolver, egress, &m->servers);
    resolver_start(m->resolver, &m->query, name, 80, on_done);
    assert_int_equal(m->calls, 0); /* never within the call */
}

static inline void resolve(struct room *m, const char *name, const struct egress *egress)
{
    ask(m, name, egress);
    run_until(m->loop, &m->done);
    assert_int_equal(m->calls, 1);
}

static inline void assert_gives(struct room *m, const char *name, const struct egress *egress,
                                const char *addrs)
{
    resolve(m, name, egress);
    assert_string_equal(m->addrs, addrs);
    assert_int_equal(m->fault, FAULT_NONE);
}

static inline void assert_fault(struct room *m, const char *name, const struct egress *egress,
                                enum fault fault)
{
    resolve(m, name, egress);
    assert_string_equal(fault_name(m->fault), fault_name(fault));
}

static inline void run_for(struct room *m, double seconds)
{
    bool never = false;
    assert_false(run_until_within(m->loop, &never, seconds));
}

static inline void await_questions(struct room *m, size_t n)
{
    double until = clock_now_s() + PATIENCE_S;
    while (m->server.n_held < n && clock_now_s() < until)
        ev_run(m->loop, EVRUN_ONCE);
    assert_int_equal(m->server.n_held, n);
}

static inline void await_question(struct room *m)
{
    await_questions(m, 2);
}

#endif
