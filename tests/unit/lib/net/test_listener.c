#include "net/listener.h"

#include "base/clock.h"
#include "net/keepalive.h"
#include "support/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static const struct listener_kind REFUSES = {.absent = LISTENER_REFUSES}, WAITS = {.absent = LISTENER_WAITS};

/* Errors for the next calls of accept4, which replaces libc's. */
static struct {
    const int *errors;
    size_t n;
    int calls;
} accept_script;

int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
    accept_script.calls++;
    if (accept_script.n > 0) {
        accept_script.n--;
        errno = *accept_script.errors++;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

struct seat {
    struct listener listener; /* first: found by its address */
    struct ev_loop *loop;
    struct addr peer;
    int fd, accepted, starved, last_err;
    int close_after; /* close the listener in the callback, after this many clients */
    bool enough;
    int want;
    double starved_at[16];
};

static void on_accepted(struct listener *l, int fd, const struct addr *peer)
{
    struct seat *s = (struct seat *)l;
    s->peer = *peer;
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = fd;
    s->enough = ++s->accepted >= s->want;
    if (s->accepted == s->close_after)
        listener_close(l);
}

static void on_starved(struct listener *l, int err)
{
    struct seat *s = (struct seat *)l;
    assert_true((size_t)s->starved < ARRAY_LEN(s->starved_at));
    s->last_err = err;
    s->starved_at[s->starved++] = clock_now_s();
    s->enough = s->starved >= s->want;
}

static void seat_open(struct seat *s, struct ev_loop *loop, int family)
{
    struct addr at = loopback(family, 0);
    *s = (struct seat){.loop = loop, .fd = -1, .want = 1};
    assert_int_equal(listener_open(&s->listener, loop, &at, &REFUSES, on_accepted, on_starved), 0);
}

static void seat_done(struct seat *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    listener_close(&s->listener);
    listener_close(&s->listener);
    assert_idle(s->loop);
}

static int knock(const struct seat *s)
{
    const struct addr *to = &s->listener.addr;
    int fd = socket(addr_family(to), SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &to->sa, addr_len(to)), 0);
    return fd;
}

static int option(int fd, int level, int name)
{
    int value = 0;
    assert_int_equal(getsockopt(fd, level, name, &value, &(socklen_t){sizeof value}), 0);
    return value;
}

static void accept_one_of(struct ev_loop *loop, int family)
{
    struct seat s;
    int before = count_fds(), nodelay = 0, v6only = 0;
    seat_open(&s, loop, family);
    assert_true(addr_port(&s.listener.addr) != 0);
    assert_true(fcntl(s.listener.io.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(s.listener.io.fd, F_GETFD) & FD_CLOEXEC);
    if (family == AF_INET6) {
        assert_int_equal(getsockopt(s.listener.io.fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &(socklen_t){4}),
                         0);
        assert_int_equal(v6only, 1);
    }
    int client = knock(&s);
    run_until(loop, &s.enough);
    assert_true(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &(socklen_t){sizeof nodelay}), 0);
    assert_true(nodelay);
    assert_true(option(s.fd, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option(s.fd, IPPROTO_TCP, TCP_KEEPIDLE), KEEPALIVE_IDLE_S);
    struct addr at = bound_addr(client);
    assert_true(addr_same_ip(&s.peer, &at));
    assert_int_equal(addr_port(&s.peer), addr_port(&at));
    (void)close(client);
    seat_done(&s);
    assert_int_equal(count_fds(), before);
}

static void test_accepts_ready_made_sockets(void **state)
{
    accept_one_of(*state, AF_INET);
    if (have_ipv6())
        accept_one_of(*state, AF_INET6);
}

static void test_listens_on_a_socket_that_is_bound(void **state)
{
    struct seat s = {.loop = *state, .fd = -1, .want = 1};
    int before = count_fds(), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct addr at = loopback(AF_INET, 0);
    /* As egress_socket does: the port is chosen by listen. */
    assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int)), 0);
    assert_int_equal(bind(fd, &at.sa, addr_len(&at)), 0);
    assert_int_equal(listener_open_on(&s.listener, s.loop, fd, on_accepted, on_starved), 0);
    assert_true(addr_same_ip(&s.listener.addr, &at) && addr_port(&s.listener.addr) != 0);
    int client = knock(&s);
    run_until(s.loop, &s.enough);
    assert_true(option(s.fd, IPPROTO_TCP, TCP_NODELAY) && option(s.fd, SOL_SOCKET, SO_KEEPALIVE));
    assert_true(option(s.fd, SOL_SOCKET, SO_OOBINLINE));
    (void)close(client);
    seat_done(&s);
    assert_int_equal(listener_open_on(&s.listener, s.loop, socket(AF_INET, SOCK_DGRAM, 0), on_accepted, NULL),
                     -ENOPROTOOPT);
    assert_int_equal(count_fds(), before);
}

static void test_open_failures_leave_nothing_open(void **state)
{
    struct seat s, other = {.fd = -1};
    seat_open(&s, *state, AF_INET);
    int before = count_fds();
    assert_int_equal(
        listener_open(&other.listener, *state, &s.listener.addr, &REFUSES, on_accepted, on_starved),
        -EADDRINUSE);
    struct addr at;
    assert_int_equal(addr_parse_ip(&at, slice_str("203.0.113.1"), 0), 0);
    assert_int_equal(listener_open(&other.listener, *state, &at, &REFUSES, on_accepted, on_starved),
                     -EADDRNOTAVAIL);
    at = (struct addr){.in6 = {.sin6_family = AF_UNSPEC}};
    assert_int_equal(listener_open(&other.listener, *state, &at, &REFUSES, on_accepted, on_starved),
                     -EAFNOSUPPORT);
    assert_int_equal(count_fds(), before);
    listener_close(&other.listener); /* was never open */
    seat_done(&s);
}

/* Clients are accepted once the machine has the address, and as long as it has it. */
static void test_an_address_that_is_waited_for(void **state)
{
    struct seat s = {.loop = *state, .fd = -1, .want = 1};
    struct addr four = ip("10.0.1.2"), six = ip("2001:db8:1::2");
    netns_enter();
    netns_ip("link set lo up\n");
    bool have6 = netns_have_ipv6();
    for (int i = 0; i < 1 + have6; i++) {
        const struct addr *at = i == 0 ? &four : &six;
        assert_int_equal(listener_open(&s.listener, *state, at, &REFUSES, on_accepted, on_starved),
                         -EADDRNOTAVAIL);
        assert_int_equal(listener_open(&s.listener, *state, at, &WAITS, on_accepted, on_starved), 0);
        assert_true(s.listener.absent);
        assert_true(addr_port(&s.listener.addr) != 0);
        netns_ip(i == 0 ? "addr add 10.0.1.2/32 dev lo\n" : "addr add 2001:db8:1::2/128 dev lo\n");
        int client = knock(&s);
        s.enough = false;
        s.accepted = 0;
        run_until(*state, &s.enough);
        (void)close(client);
        seat_done(&s);
    }
    /* An address that exists, or is taken, is not waited for. */
    assert_int_equal(listener_open(&s.listener, *state, &four, &WAITS, on_accepted, on_starved), 0);
    assert_false(s.listener.absent);
    struct listener other;
    assert_int_equal(listener_open(&other, *state, &s.listener.addr, &WAITS, on_accepted, on_starved),
                     -EADDRINUSE);
    seat_done(&s);
}

/* Loopback does not come later: with IPv6 switched off, that is an error. */
static void test_loopback_is_not_waited_for(void **state)
{
    struct listener l;
    struct addr six = loopback(AF_INET6, 0);
    netns_enter();
    netns_ip("link set lo up\n");
    if (!netns_have_ipv6())
        return;
    netns_write("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "1");
    assert_int_equal(listener_open(&l, *state, &six, &WAITS, on_accepted, on_starved), -EADDRNOTAVAIL);
}

static void test_port_is_free_again_at_once(void **state)
{
    struct seat s, again = {.fd = -1};
    seat_open(&s, *state, AF_INET);
    int client = knock(&s);
    run_until(*state, &s.enough);
    struct addr at = s.listener.addr;
    seat_done(&s); /* this side closes first, so the connection stays in FIN-WAIT or TIME-WAIT */
    assert_int_equal(listener_open(&again.listener, *state, &at, &REFUSES, on_accepted, on_starved), 0);
    listener_close(&again.listener);
    (void)close(client);
}

static void test_one_turn_takes_a_bounded_number(void **state)
{
    enum { CLIENTS = 150 };
    struct seat s;
    int clients[CLIENTS];
    seat_open(&s, *state, AF_INET);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = knock(&s);
    int most = 0;
    s.want = CLIENTS;
    for (int turn = 0; turn < CLIENTS && !s.enough; turn++) {
        int before = s.accepted;
        ev_run(*state, EVRUN_NOWAIT);
        most = s.accepted - before > most ? s.accepted - before : most;
    }
    assert_true(s.enough);
    assert_int_equal(most, 64);
    for (int i = 0; i < CLIENTS; i++)
        (void)close(clients[i]);
    seat_done(&s);
}

static void test_who_comes_alone_costs_one_call(void **state)
{
    struct seat s;
    int clients[8];
    seat_open(&s, *state, AF_INET);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        ev_run(*state, EVRUN_NOWAIT); /* no client is waiting */
        clients[i] = knock(&s);
        s.enough = false;
        accept_script.calls = 0;
        run_until(*state, &s.enough);
        assert_int_equal(accept_script.calls, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        (void)close(clients[i]);
    seat_done(&s);
}

static void test_may_be_closed_from_within(void **state)
{
    struct seat s;
    seat_open(&s, *state, AF_INET);
    s.close_after = 1;
    int one = knock(&s), two = knock(&s);
    run_until(*state, &s.enough);
    assert_int_equal(s.accepted, 1);
    assert_idle(*state);
    (void)close(one);
    (void)close(two);
    seat_done(&s);
}

static void test_no_descriptors_left(void **state)
{
    struct seat s;
    struct rlimit was, tight;
    seat_open(&s, *state, AF_INET);
    int client = knock(&s);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    int next = dup(client); /* the lowest free descriptor, and so the next */
    assert_true(next >= 0);
    (void)close(next);
    tight = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);

    s.want = 3;
    unsigned turns = ev_iteration(*state);
    run_until(*state, &s.enough);
    turns = ev_iteration(*state) - turns;
    int setback = setrlimit(RLIMIT_NOFILE, &was);
    assert_int_equal(setback, 0);
    assert_int_equal(s.last_err, EMFILE);
    assert_int_equal(s.accepted, 0);
    assert_true(turns < 30); /* it rested in between */
    for (int i = 1; i < s.starved; i++)
        assert_true(s.starved_at[i] - s.starved_at[i - 1] > 0.09);

    /* A waiting client is served as soon as there is room. */
    s.want = 1;
    s.enough = false;
    run_until(*state, &s.enough);
    assert_int_equal(s.accepted, 1);
    assert_int_equal(s.starved, 3);
    (void)close(client);
    seat_done(&s);
}

static void test_closed_while_it_rests(void **state)
{
    static const int errors[] = {ENFILE};
    struct seat s;
    seat_open(&s, *state, AF_INET);
    int client = knock(&s);
    accept_script.errors = errors;
    accept_script.n = 1;
    run_until(*state, &s.enough);
    assert_int_equal(s.starved, 1);
    seat_done(&s);
    (void)close(client);
}

/* A lost client costs only itself. After an error of this machine, known or not, the listener rests. */
static void test_errors_of_accept(void **state)
{
    static const int lost[] = {ECONNABORTED, EINTR, EPROTO, EHOSTUNREACH, ENETDOWN, EPERM, ECONNABORTED};
    static const int shortage[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, EIO};
    struct seat s;
    seat_open(&s, *state, AF_INET);
    int client = knock(&s);
    accept_script.errors = lost;
    accept_script.n = ARRAY_LEN(lost);
    ev_run(*state, EVRUN_ONCE);
    assert_int_equal(s.accepted, 1); /* in the same turn */
    assert_int_equal(s.starved, 0);
    (void)close(client);

    for (size_t i = 0; i < ARRAY_LEN(shortage); i++) {
        s.enough = false;
        s.starved = 0;
        client = knock(&s);
        accept_script.errors = &shortage[i];
        accept_script.n = 1;
        run_until(*state, &s.enough);
        assert_int_equal(s.starved, 1);
        assert_int_equal(s.last_err, shortage[i]);
        s.enough = false;
        run_until(*state, &s.enough);
        assert_int_equal(s.accepted, 2 + (int)i);
        (void)close(client);
    }
    seat_done(&s);
}

static int loop_new(void **state)
{
    *state = ev_loop_new(0);
    return *state ? 0 : -1;
}

static int loop_free(void **state)
{
    ev_loop_destroy(*state);
    return 0;
}

int main(void)
{
#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, loop_new, loop_free)
    const struct CMUnitTest tests[] = {
        WITH_LOOP(test_accepts_ready_made_sockets),
        WITH_LOOP(test_listens_on_a_socket_that_is_bound),
        WITH_LOOP(test_open_failures_leave_nothing_open),
        WITH_LOOP(test_an_address_that_is_waited_for),
        WITH_LOOP(test_loopback_is_not_waited_for),
        WITH_LOOP(test_port_is_free_again_at_once),
        WITH_LOOP(test_one_turn_takes_a_bounded_number),
        WITH_LOOP(test_who_comes_alone_costs_one_call),
        WITH_LOOP(test_may_be_closed_from_within),
        WITH_LOOP(test_no_descriptors_left),
        WITH_LOOP(test_closed_while_it_rests),
        WITH_LOOP(test_errors_of_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
