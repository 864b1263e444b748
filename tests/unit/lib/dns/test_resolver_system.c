/* Names that only the system knows. The test replaces libc's getaddrinfo. */
#include "dns/resolver_room.h"

#include "support/ip.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>

/* Calls of getaddrinfo, guarded by the lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls, running, most;
    char names[64][32]; /* in the order of the calls */
    bool holds;         /* calls wait until released, except for this many */
    int let_go;
    bool signals_blocked;
} system_side = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret)
{
    sigset_t mask;
    (void)service;
    (void)hints;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    pthread_mutex_lock(&system_side.lock);
    system_side.signals_blocked = sigismember(&mask, SIGALRM) && sigismember(&mask, SIGTERM);
    assert_true(system_side.calls < (int)ARRAY_LEN(system_side.names));
    (void)snprintf(system_side.names[system_side.calls++], sizeof system_side.names[0], "%s", name);
    if (++system_side.running > system_side.most)
        system_side.most = system_side.running;
    pthread_cond_broadcast(&system_side.changed);
    while (system_side.holds && system_side.let_go == 0)
        pthread_cond_wait(&system_side.changed, &system_side.lock);
    system_side.let_go -= system_side.holds;
    system_side.running--;
    pthread_cond_broadcast(&system_side.changed);
    pthread_mutex_unlock(&system_side.lock);
    if (!strcasestr(name, "known"))
        return EAI_NONAME;
    struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_in));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000263)};
    if (!a)
        return EAI_MEMORY;
    a->ai_addr = (struct sockaddr *)(void *)(a + 1);
    a->ai_addrlen = sizeof in;
    memcpy(a->ai_addr, &in, sizeof in);
    *ret = a;
    return 0;
}

void freeaddrinfo(struct addrinfo *a)
{
    free(a);
}

static void hold(bool holds)
{
    pthread_mutex_lock(&system_side.lock);
    system_side.holds = holds;
    system_side.let_go = 0;
    pthread_cond_broadcast(&system_side.changed);
    pthread_mutex_unlock(&system_side.lock);
}

/* Until a counter of getaddrinfo reaches n. */
static void await(const int *number, int n)
{
    struct timespec until;
    int r = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)PATIENCE_S;
    pthread_mutex_lock(&system_side.lock);
    while (*number != n && r == 0)
        r = pthread_cond_timedwait(&system_side.changed, &system_side.lock, &until);
    int found = *number;
    pthread_mutex_unlock(&system_side.lock);
    assert_int_equal(found, n);
}

static void await_running(int n)
{
    await(&system_side.running, n);
}

/* Release the next waiting call. @return its name */
static const char *let_one_go(void)
{
    int n = system_side.calls;
    pthread_mutex_lock(&system_side.lock);
    system_side.let_go++;
    pthread_cond_broadcast(&system_side.changed);
    pthread_mutex_unlock(&system_side.lock);
    await(&system_side.calls, n + 1);
    return system_side.names[n];
}

/* For a client of the proxy. */
static void ask_for(struct room *m, struct room *ret, const char *name, const struct addr *client)
{
    *ret = (struct room){.resolver = m->resolver, .loop = m->loop, .servers = m->servers};
    resolver_aim(m->resolver, &EGRESS_DIRECT, &m->servers);
    resolver_start_for(m->resolver, &ret->query, client, name, 80, on_done, NULL);
}

static struct dns_system *sys;

static int open_with_system(void **state)
{
    system_side.calls = system_side.most = 0;
    int r = room_open(state);
    struct room *m = *state;
    assert_int_equal(dns_system_new(&sys, m->loop), 0);
    resolver_use_system(m->resolver, sys);
    m->fds = count_fds() - 2; /* what wakes the loop stays; the server's do not */
    return r;
}

static int close_with_system(void **state)
{
    struct room *m = *state;
    resolver_free(m->resolver);
    m->resolver = NULL;
    dns_system_free(sys);
    hold(false);
    await_running(0); /* abandoned calls must not count in the next test */
    return room_close(state);
}

static void after_the_servers(void **state)
{
    struct room *m = *state;
    assert_gives(m, "four.test", &EGRESS_DIRECT, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    assert_int_equal(system_side.calls, 0); /* they know it */
    assert_gives(m, "known.test", &EGRESS_DIRECT, "192.0.2.99:80");
    assert_int_equal(m->server.asked4 + m->server.asked6, 4);
    assert_true(system_side.signals_blocked);
    assert_gives(m, "known.test", &EGRESS_DIRECT, "192.0.2.99:80");
    assert_int_equal(system_side.calls, 1); /* cached */
    assert_fault(m, "nope.test", &EGRESS_DIRECT, FAULT_NAME);
    assert_fault(m, "broken.test", &EGRESS_DIRECT, FAULT_DNS);
    assert_int_equal(system_side.calls, 3);
}

static void before_the_servers(void **state)
{
    static const char *const names[] = {"known", "known.local", "KNOWN2.Local."};
    struct room *m = *state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_gives(m, names[i], &EGRESS_DIRECT, "192.0.2.99:80");
    assert_int_equal(m->server.asked4 + m->server.asked6, 0);
    assert_gives(m, "four", &EGRESS_DIRECT, "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80");
    int calls = system_side.calls;
    assert_fault(m, "nope", &EGRESS_DIRECT, FAULT_NAME);
    assert_int_equal(system_side.calls, calls + 1); /* once */
}

static void without_servers(void **state)
{
    struct room *m = *state;
    m->servers.n = 0;
    assert_gives(m, "known.test", &EGRESS_DIRECT, "192.0.2.99:80");
    assert_gives(m, "known", &EGRESS_DIRECT, "192.0.2.99:80");
    assert_fault(m, "nope.test", &EGRESS_DIRECT, FAULT_DNS);
    assert_fault(m, "nope", &EGRESS_DIRECT, FAULT_DNS);
}

static void an_uplinks_names_are_not_the_systems(void **state)
{
    struct room *m = *state;
    resolver_use_system(m->resolver, NULL);
    assert_fault(m, "known", &EGRESS_DIRECT, FAULT_NAME);
    assert_fault(m, "known.local", &EGRESS_DIRECT, FAULT_NAME);
    assert_int_equal(system_side.calls, 0);
}

static void threads_are_bounded_and_questions_wait(void **state)
{
    enum { N = 3 * DNS_SYSTEM_THREADS };
    static struct room rooms[N];
    struct room *m = *state;
    char name[32];
    hold(true);
    for (int i = 0; i < N; i++) {
        rooms[i] = (struct room){.resolver = m->resolver, .loop = m->loop, .servers = m->servers};
        (void)snprintf(name, sizeof name, "known%d", i);
        ask(&rooms[i], name, &EGRESS_DIRECT);
    }
    run_for(m, 0.02);
    await_running(DNS_SYSTEM_THREADS);
    resolver_cancel(&rooms[0].query);     /* it runs on without a client */
    resolver_cancel(&rooms[N - 1].query); /* it waits */
    hold(false);
    for (int i = 1; i < N - 1; i++) {
        run_until(m->loop, &rooms[i].done);
        assert_string_equal(rooms[i].addrs, "192.0.2.99:80");
    }
    assert_int_equal(system_side.most, DNS_SYSTEM_THREADS);
    assert_int_equal(system_side.calls, N - 1);
    assert_int_equal(rooms[0].calls + rooms[N - 1].calls, 0);
}

/* One client asks for many names that a module is slow for. Other clients are still served. */
static void one_client_does_not_hold_up_the_others(void **state)
{
    enum { N = 3 * DNS_SYSTEM_THREADS };
    static struct room rooms[N], another[3];
    static const char *const names[] = {"known.a.local", "known.b.local", "known.c.local"};
    struct room *m = *state;
    struct addr many = ip("192.0.2.1"), few = ip("192.0.2.2"), third = ip("192.0.2.3");
    char name[32];
    hold(true);
    for (int i = 0; i < N; i++) {
        (void)snprintf(name, sizeof name, "known%d", i);
        ask_for(m, &rooms[i], name, &many);
    }
    run_for(m, 0.02);
    await_running(DNS_SYSTEM_THREADS_ASKER);
    for (size_t i = 0; i < 2; i++) /* threads are left for them */
        ask_for(m, &another[i], names[i], &few);
    run_for(m, 0.02);
    await_running(DNS_SYSTEM_THREADS_ASKER + 2);
    ask_for(m, &another[2], names[2], &third); /* without a free thread, it is next */
    run_for(m, 0.02);
    assert_string_equal(let_one_go(), names[2]);
    hold(false);
    for (size_t i = 0; i < ARRAY_LEN(another); i++)
        run_until(m->loop, &another[i].done);
    for (int i = 0; i < N; i++)
        run_until(m->loop, &rooms[i].done);
}

/* A module may take half a minute; the end does not wait for it. */
static void the_end_while_it_runs(void **state)
{
    struct room *m = *state;
    hold(true);
    ask(m, "known", &EGRESS_DIRECT);
    run_for(m, 0.02);
    await_running(1);
    resolver_free(m->resolver);
    m->resolver = NULL;
    dns_system_free(sys);
    sys = NULL;
    hold(false);
    await_running(0);
    run_for(m, 0.02);
    assert_int_equal(m->calls, 0);
    m->query = (struct resolver_query){.resolver = NULL};
}

int main(void)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, open_with_system, close_with_system)
    const struct CMUnitTest tests[] = {
        IN_ROOM(after_the_servers),
        IN_ROOM(before_the_servers),
        IN_ROOM(without_servers),
        IN_ROOM(an_uplinks_names_are_not_the_systems),
        IN_ROOM(threads_are_bounded_and_questions_wait),
        IN_ROOM(one_client_does_not_hold_up_the_others),
        IN_ROOM(the_end_while_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
