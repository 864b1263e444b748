#include "net/dial_desk.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sys/syscall.h>

/* Scripted results of the next calls of connect, which replaces libc's: an errno, or one of those below.
 * After the script, connect works normally. */
enum { REALLY = 0, INTERRUPTED = -1, AT_ONCE = -2, TO_ITSELF = -3 };
static struct {
    int steps[DIAL_ADDRS_MAX];
    size_t n, at;
    int calls;
} connect_script;

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    int step = connect_script.at < connect_script.n ? connect_script.steps[connect_script.at++] : REALLY;
    connect_script.calls++;
    if (step > 0) {
        errno = step;
        return -1;
    }
    /* The port of the destination, which the kernel may choose where it is free. */
    if (step == TO_ITSELF &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 || bind(fd, to, len) < 0))
        return -1;
    int flags = fcntl(fd, F_GETFL);
    if (step == AT_ONCE)
        (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    int r = (int)syscall(SYS_connect, fd, to, len);
    if (step == AT_ONCE)
        (void)fcntl(fd, F_SETFL, flags);
    if (step == INTERRUPTED && r < 0 && errno == EINPROGRESS)
        errno = EINTR;
    return r;
}

static const double LONG_S = 15;

static bool again; /* dial to good from within the callback */

static void on_done_or_again(struct dial *d, enum fault fault, int fd)
{
    struct desk *k = (struct desk *)d;
    on_done(d, fault, fd);
    if (!again)
        return;
    again = k->done = false;
    if (fd >= 0)
        (void)close(fd);
    dial_start(d, k->loop, &k->good, 1, &EGRESS_DIRECT, LONG_S, on_done_or_again);
}

static int desk_open(void **state)
{
    struct desk *k = desk_new(state);
    connect_script.n = 0;
    k->good_fd = listen_at_loopback(AF_INET, 64, &k->good);
    desk_refuse(k);
    silent_at_loopback(&k->silent);
    ev_run(k->loop, EVRUN_NOWAIT); /* what libev opens at its first turn is open now */
    connect_script.calls = 0;
    return 0;
}

static void desk_script(const int *steps, size_t n)
{
    memcpy(connect_script.steps, steps, n * sizeof *steps);
    connect_script.n = n;
    connect_script.at = 0;
}

static void desk_start_by(struct desk *k, const struct addr *addrs, size_t n, const struct egress *egress,
                          double timeout_s)
{
    k->done = false;
    k->calls = 0;
    k->fd = -1;
    k->fds = count_fds();
    k->started = clock_now_s();
    dial_start(&k->dial, k->loop, addrs, n, egress, timeout_s, on_done);
    assert_int_equal(k->calls, 0); /* never from within */
    assert_true(k->dial.running);
}

/* Dial, and check that only the returned socket is left. */
static void desk_dial_by(struct desk *k, const struct addr *addrs, size_t n, const struct egress *egress,
                         double timeout_s)
{
    desk_start_by(k, addrs, n, egress, timeout_s);
    run_until(k->loop, &k->done);
    assert_int_equal(k->calls, 1);
    assert_false(k->dial.running);
    assert_idle(k->loop);
    assert_int_equal(k->fd >= 0, k->fault == FAULT_NONE);
    assert_int_equal(count_fds(), k->fds + (k->fd >= 0));
}

static void desk_dial(struct desk *k, const struct addr *addrs, size_t n, double timeout_s)
{
    desk_dial_by(k, addrs, n, &EGRESS_DIRECT, timeout_s);
}

static int option(int fd, int level, int name)
{
    int value = 0;
    assert_int_equal(getsockopt(fd, level, name, &value, &(socklen_t){sizeof value}), 0);
    return value;
}

static void assert_connected_to(int fd, const struct addr *to)
{
    struct addr a;
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    assert_int_equal(getpeername(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&sa, len), 0);
    assert_true(addr_same_ip(&a, to));
    assert_int_equal(addr_port(&a), addr_port(to));
}

static void test_connects(void **state)
{
    struct desk *k = *state;
    desk_dial(k, &k->good, 1, LONG_S);
    assert_int_equal(k->fault, FAULT_NONE);
    assert_connected_to(k->fd, &k->good);
    assert_true(fcntl(k->fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(k->fd, F_GETFD) & FD_CLOEXEC);
    assert_true(option(k->fd, IPPROTO_TCP, TCP_NODELAY));
}

static void test_connects_over_ipv6(void **state)
{
    struct desk *k = *state;
    struct addr six;
    if (!have_ipv6())
        return;
    (void)listen_at_loopback(AF_INET6, 8, &six);
    desk_dial(k, (struct addr[]){six, k->good}, 2, LONG_S);
    assert_connected_to(k->fd, &six);
}

static void test_interrupted_and_immediate_connects(void **state)
{
    struct desk *k = *state;
    static const int ways[] = {INTERRUPTED, AT_ONCE};
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        desk_script(&ways[i], 1);
        desk_dial(k, &k->good, 1, LONG_S);
        assert_int_equal(k->fault, FAULT_NONE);
        assert_connected_to(k->fd, &k->good);
        assert_int_equal(connect_script.calls, 1 + (int)i); /* not called again */
        (void)close(k->fd);
    }
    desk_script((int[]){REALLY, AT_ONCE}, 2);
    desk_dial(k, (struct addr[]){k->silent, k->good}, 2, LONG_S);
    assert_connected_to(k->fd, &k->good);
}

static void test_refused(void **state)
{
    struct desk *k = *state;
    desk_dial(k, &k->refusing, 1, LONG_S);
    assert_int_equal(k->fault, FAULT_REFUSED);
    assert_int_equal(connect_script.calls, 1);
}

/* A free port of loopback without a listener. */
static struct addr closed_port(int family)
{
    struct addr a;
    (void)close(socket_at_loopback(family, SOCK_STREAM, &a));
    return a;
}

static void test_who_meets_itself_is_refused(void **state)
{
    struct desk *k = *state;
    for (int i = 0; i < 1 + have_ipv6(); i++) {
        struct addr closed = closed_port(i == 0 ? AF_INET : AF_INET6);
        desk_script((int[]){TO_ITSELF}, 1);
        desk_dial(k, &closed, 1, LONG_S);
        assert_int_equal(k->fault, FAULT_REFUSED);
        /* The server can bind the port at once. */
        int server = socket(addr_family(&closed), SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(server, &closed.sa, addr_len(&closed)), 0);
        (void)close(server);
    }
    /* The next address is tried, as after every refusal. */
    struct addr closed = closed_port(AF_INET);
    desk_script((int[]){TO_ITSELF}, 1);
    desk_dial(k, (struct addr[]){closed, k->good}, 2, LONG_S);
    assert_connected_to(k->fd, &k->good);
}

static void test_failure_starts_the_next_at_once(void **state)
{
    struct desk *k = *state;
    struct addr addrs[DIAL_ADDRS_MAX];
    for (size_t i = 0; i < DIAL_ADDRS_MAX - 1; i++)
        addrs[i] = k->refusing;
    addrs[DIAL_ADDRS_MAX - 1] = k->good;
    double least_s = INFINITY;
    for (int i = 0; i < TRIES && least_s >= 15 * 0.25 / 2; i++) {
        connect_script.calls = 0;
        desk_dial(k, addrs, DIAL_ADDRS_MAX, LONG_S);
        assert_connected_to(k->fd, &k->good);
        assert_int_equal(connect_script.calls, DIAL_ADDRS_MAX);
        least_s = fmin(least_s, k->took_s);
    }
    assert_true(least_s < 15 * 0.25 / 2); /* it did not wait after each */
}

static void test_silence_is_raced_after_a_while(void **state)
{
    struct desk *k = *state;
    desk_dial(k, (struct addr[]){k->silent, k->good}, 2, LONG_S);
    assert_connected_to(k->fd, &k->good);
    assert_true(k->took_s >= 0.245);
    assert_true(k->took_s < LONG_S / 2);
    /* The handshake's time is that of the address that answered. */
    assert_true(k->dial.connect_s > 0);
    assert_true(k->dial.connect_s <= k->took_s - 0.245);
}

static void test_answer_in_time_needs_no_second_attempt(void **state)
{
    struct desk *k = *state;
    int least = DIAL_ADDRS_MAX;
    for (int i = 0; i < TRIES && least > 1; i++) {
        connect_script.calls = 0;
        desk_dial(k, (struct addr[]){k->good, k->good, k->good}, 3, LONG_S);
        least = connect_script.calls < least ? connect_script.calls : least;
    }
    assert_int_equal(least, 1);
}

static void test_each_silent_address_gets_its_stagger(void **state)
{
    struct desk *k = *state;
    desk_dial(k, (struct addr[]){k->silent, k->silent, k->silent, k->good}, 4, LONG_S);
    assert_connected_to(k->fd, &k->good);
    assert_int_equal(connect_script.calls, 4);
    assert_true(k->took_s >= 0.74);
}

static void test_deadline(void **state)
{
    struct desk *k = *state;
    desk_dial(k, &k->silent, 1, 0.1);
    assert_int_equal(k->fault, FAULT_TIMEOUT);
    assert_true(k->took_s >= 0.095);
    /* The limit applies to the whole dial, not to each attempt. */
    desk_dial(k, (struct addr[]){k->silent, k->silent, k->silent}, 3, 2);
    assert_int_equal(k->fault, FAULT_TIMEOUT);
    assert_true(k->took_s < 6);
}

static void test_deadline_counts_from_the_start(void **state)
{
    struct desk *k = *state;
    double until = clock_now_s() + 1.1;
    while (clock_now_s() < until)
        ; /* a slow callback; the loop does not know yet how late it is */
    desk_dial(k, &k->good, 1, 1);
    assert_int_equal(k->fault, FAULT_NONE);
}

static void test_most_telling_fault_is_reported(void **state)
{
    struct desk *k = *state;
    static const struct {
        int steps[3];
        enum fault fault;
    } cases[] = {
        {{ENETUNREACH, ENETUNREACH, ENETUNREACH}, FAULT_UNREACHABLE},
        {{EHOSTUNREACH, ECONNREFUSED, ETIMEDOUT}, FAULT_REFUSED},
        {{ECONNREFUSED, EHOSTUNREACH, EADDRNOTAVAIL}, FAULT_REFUSED},
        {{ECONNRESET, ECONNREFUSED, ETIMEDOUT}, FAULT_REFUSED},
        {{ETIMEDOUT, ECONNRESET, EMFILE}, FAULT_RESET},
        {{EADDRNOTAVAIL, ETIMEDOUT, ENETUNREACH}, FAULT_TIMEOUT},
        {{EADDRNOTAVAIL, ENETUNREACH, ENOBUFS}, FAULT_UNREACHABLE},
        {{ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL}, FAULT_HOST},
        {{EADDRNOTAVAIL, ENOBUFS, ENOBUFS}, FAULT_BIND},
        {{ENOBUFS, ENOBUFS, ENOBUFS}, FAULT_RESOURCES},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        desk_script(cases[i].steps, 3);
        desk_dial(k, (struct addr[]){k->good, k->good, k->good}, 3, LONG_S);
        assert_int_equal(k->fault, cases[i].fault);
    }
    desk_dial(k, (struct addr[]){k->refusing, k->silent}, 2, 0.3);
    assert_int_equal(k->fault, FAULT_REFUSED);
    desk_script((int[]){ENETUNREACH}, 1);
    desk_dial(k, (struct addr[]){k->good, k->silent}, 2, 0.3);
    assert_int_equal(k->fault, FAULT_TIMEOUT);
}

static void test_egress_is_obeyed(void **state)
{
    struct desk *k = *state;
    struct egress e = {.any4 = true, .any6 = true, .device = "lo"};
    assert_int_equal(addr_parse_ip(&e.source4, slice_str("127.0.0.9"), 0), 0);
    desk_dial_by(k, &k->good, 1, &e, LONG_S);
    assert_int_equal(k->fault, FAULT_NONE);
    struct addr at = bound_addr(k->fd);
    assert_true(addr_same_ip(&at, &e.source4));
    (void)close(k->fd);

    connect_script.calls = 0;
    assert_int_equal(addr_parse_ip(&e.source4, slice_str("203.0.113.1"), 0), 0);
    desk_dial_by(k, (struct addr[]){k->good, k->good}, 2, &e, LONG_S);
    assert_int_equal(k->fault, FAULT_BIND);
    e = (struct egress){.any4 = true, .device = "nosuchdevice0"};
    desk_dial_by(k, &k->good, 1, &e, LONG_S);
    assert_int_equal(k->fault, FAULT_BIND);
    assert_int_equal(connect_script.calls, 0);
}

static void test_families_that_cannot_leave_are_skipped(void **state)
{
    struct desk *k = *state;
    struct addr addrs[DIAL_ADDRS_MAX + 1];
    for (size_t i = 0; i < DIAL_ADDRS_MAX; i++)
        addrs[i] = loopback(AF_INET6, 9);
    addrs[DIAL_ADDRS_MAX] = k->good;
    desk_dial_by(k, addrs, DIAL_ADDRS_MAX + 1, &(struct egress){.any4 = true}, LONG_S);
    assert_int_equal(k->fault, FAULT_NONE);
    assert_int_equal(connect_script.calls, 1);
    (void)close(k->fd);
    desk_dial_by(k, addrs, 2, &(struct egress){.any4 = true}, LONG_S);
    assert_int_equal(k->fault, FAULT_UNREACHABLE);
    desk_dial_by(k, &k->good, 1, &(struct egress){.any4 = false}, LONG_S);
    assert_int_equal(k->fault, FAULT_UNREACHABLE);
    assert_int_equal(connect_script.calls, 1);
}

static void test_more_addresses_than_are_tried(void **state)
{
    struct desk *k = *state;
    struct addr addrs[DIAL_ADDRS_MAX + 4];
    for (size_t i = 0; i < ARRAY_LEN(addrs); i++)
        addrs[i] = k->refusing;
    desk_dial(k, addrs, ARRAY_LEN(addrs), LONG_S);
    assert_int_equal(k->fault, FAULT_REFUSED);
    assert_int_equal(connect_script.calls, DIAL_ADDRS_MAX);
}

static void test_cancel_leaves_nothing(void **state)
{
    struct desk *k = *state;
    bool never = false;
    dial_cancel(&k->dial); /* was never started */
    desk_start_by(k, (struct addr[]){k->silent, k->silent, k->silent}, 3, &EGRESS_DIRECT, LONG_S);
    dial_cancel(&k->dial); /* before its first attempt */
    assert_idle(k->loop);
    desk_start_by(k, (struct addr[]){k->silent, k->silent, k->silent}, 3, &EGRESS_DIRECT, LONG_S);
    assert_false(run_until_within(k->loop, &never, 0.4));
    assert_int_equal(count_fds(), k->fds + 2); /* two attempts running, one still to come */
    dial_cancel(&k->dial);
    dial_cancel(&k->dial);
    assert_int_equal(count_fds(), k->fds);
    assert_idle(k->loop);
    assert_int_equal(k->calls, 0);
}

static void on_time_to_dial(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct desk *k = timer->data;
    (void)loop;
    (void)events;
    desk_start_by(k, &k->good, 1, &EGRESS_DIRECT, LONG_S);
    assert_int_equal(connect_script.calls, 0);
}

static void test_begins_in_the_turn_that_asks_for_it(void **state)
{
    struct desk *k = *state;
    ev_timer timer;
    ev_timer_init(&timer, on_time_to_dial, 0, 0);
    timer.data = k;
    ev_timer_start(k->loop, &timer);
    ev_run(k->loop, EVRUN_ONCE);
    assert_int_equal(connect_script.calls, 1);
    run_until(k->loop, &k->done);
    assert_connected_to(k->fd, &k->good);
}

static void test_may_be_started_again_from_within(void **state)
{
    struct desk *k = *state;
    again = true;
    dial_start(&k->dial, k->loop, &k->refusing, 1, &EGRESS_DIRECT, LONG_S, on_done_or_again);
    run_until(k->loop, &k->done);
    assert_int_equal(k->calls, 2);
    assert_connected_to(k->fd, &k->good);
}

static bool freed;
static void on_done_free(struct dial *d, enum fault fault, int fd)
{
    assert_int_equal(fault, FAULT_REFUSED);
    assert_int_equal(fd, -1);
    free(d);
    freed = true;
}

static void test_may_be_freed_from_within(void **state)
{
    struct desk *k = *state;
    struct dial *d = calloc(1, sizeof *d);
    assert_non_null(d);
    dial_start(d, k->loop, &k->refusing, 1, &EGRESS_DIRECT, LONG_S, on_done_free);
    run_until(k->loop, &freed);
}

int main(void)
{
#define AT_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        AT_DESK(test_connects),
        AT_DESK(test_connects_over_ipv6),
        AT_DESK(test_interrupted_and_immediate_connects),
        AT_DESK(test_refused),
        AT_DESK(test_who_meets_itself_is_refused),
        AT_DESK(test_failure_starts_the_next_at_once),
        AT_DESK(test_silence_is_raced_after_a_while),
        AT_DESK(test_answer_in_time_needs_no_second_attempt),
        AT_DESK(test_each_silent_address_gets_its_stagger),
        AT_DESK(test_deadline),
        AT_DESK(test_deadline_counts_from_the_start),
        AT_DESK(test_most_telling_fault_is_reported),
        AT_DESK(test_egress_is_obeyed),
        AT_DESK(test_families_that_cannot_leave_are_skipped),
        AT_DESK(test_more_addresses_than_are_tried),
        AT_DESK(test_cancel_leaves_nothing),
        AT_DESK(test_begins_in_the_turn_that_asks_for_it),
        AT_DESK(test_may_be_started_again_from_within),
        AT_DESK(test_may_be_freed_from_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
