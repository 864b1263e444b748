/* The wait for a peer: where it listens, whom it admits, and its end. All of it on loopback, whose many
 * addresses are several peers. */
#include "outbound/await.h"

#include "support/lines.h"
#include "support/tcp.h"

struct desk {
    struct await await; /* first: the desk is found by its address */
    struct ev_loop *loop;
    bool admits_none, done;
    int refused, ends, fd;
    enum fault fault;
};

static bool admits(struct await *w, const struct addr *peer)
{
    struct desk *d = (struct desk *)w;
    bool good = !d->admits_none && await_expects(w, peer);

    d->refused += !good;
    return good;
}

static void on_done(struct await *w, enum fault fault, int fd)
{
    struct desk *d = (struct desk *)w;

    d->ends++;
    d->fault = fault;
    d->fd = fd;
    d->done = true;
}

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);

    assert_non_null(d);
    d->loop = ev_loop_new(0);
    d->fd = -1;
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;

    await_cancel(&d->await);
    if (d->fd >= 0)
        (void)close(d->fd);
    assert_idle(d->loop);
    ev_loop_destroy(d->loop);
    free(d);
    return 0;
}

static enum fault start(struct desk *d, const struct egress *e, const char *const *peers, double timeout_s)
{
    struct addr addrs[4];
    size_t n = 0;

    for (; peers[n]; n++)
        addrs[n] = ip(peers[n]);
    d->await = (struct await){.owner = d, .admits = admits, .done = on_done};
    return await_start(&d->await, d->loop, e, addrs, n, timeout_s);
}

#define PEERS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void listens_at(const struct desk *d, const char *own)
{
    struct addr expected = ip(own);

    if (!addr_same_ip(&d->await.listener.addr, &expected))
        fail_msg("not at %s", own);
    assert_true(addr_port(&d->await.listener.addr) != 0);
}

/* @return the peer's socket; *ret_from is its address */
static int connect_from(const struct desk *d, const char *from, struct addr *ret_from)
{
    const struct addr *at = &d->await.listener.addr;
    struct addr a = ip(from);
    int fd = socket(addr_family(at), SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
    assert_int_equal(connect(fd, &at->sa, addr_len(at)), 0);
    *ret_from = bound_addr(fd);
    return fd;
}

static void assert_reset(struct desk *d, int fd, int refused)
{
    char byte;

    for (int i = 0; d->refused < refused && i < 1000; i++)
        assert_false(run_until_within(d->loop, &d->done, 0.01));
    assert_true(recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET);
    (void)close(fd);
}

static void only_the_named_peers_are_admitted(void **state)
{
    static const char *const others[] = {"127.0.0.3", "127.0.0.1"};
    struct desk *d = *state;
    struct addr from;
    assert_int_equal(start(d, &EGRESS_DIRECT, PEERS("127.0.0.2", "127.0.0.4"), PATIENCE_S), FAULT_NONE);
    listens_at(d, "127.0.0.1");
    for (int i = 0; i < (int)ARRAY_LEN(others); i++)
        assert_reset(d, connect_from(d, others[i], &from), i + 1);
    int peer = connect_from(d, "127.0.0.4", &from);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_NONE);
    assert_true(addr_same_ip(&d->await.peer, &from) && addr_port(&d->await.peer) == addr_port(&from));
    assert_false(d->await.listener.open);
    (void)close(peer);
    assert_int_equal(d->ends, 1);
}

static void anybody_may_come_where_nobody_is_named(void **state)
{
    const struct egress e = {.any4 = true, .source4 = ip("127.0.0.7")};
    struct desk *d = *state;
    struct addr from;
    assert_int_equal(start(d, &e, PEERS("0.0.0.0"), PATIENCE_S), FAULT_NONE);
    listens_at(d, "127.0.0.7"); /* and not at every address */
    d->admits_none = true;
    assert_reset(d, connect_from(d, "127.0.0.3", &from), 1);
    d->admits_none = false;
    int peer = connect_from(d, "127.0.0.3", &from);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_NONE);
    (void)close(peer);
}

static void it_listens_at_the_source_of_the_egress(void **state)
{
    const struct egress bound = {.any4 = true, .source4 = ip("127.0.0.7")};
    const struct egress floats = {.any4 = true, .source4 = ip("127.0.0.7"), .floats4 = EGRESS_FLOATS};
    struct desk *d = *state;
    assert_int_equal(start(d, &bound, PEERS("127.0.0.2"), PATIENCE_S), FAULT_NONE);
    listens_at(d, "127.0.0.7");
    await_cancel(&d->await);
    assert_int_equal(start(d, &floats, PEERS("127.0.0.2"), PATIENCE_S), FAULT_NONE);
    listens_at(d, "127.0.0.1"); /* the kernel's choice for this peer */
    await_cancel(&d->await);
    if (have_ipv6()) {
        assert_int_equal(start(d, &EGRESS_DIRECT, PEERS("::1", "127.0.0.2"), PATIENCE_S), FAULT_NONE);
        listens_at(d, "::1");
        assert_int_equal(d->await.n_peers, 1);
    }
    assert_int_equal(d->ends, 0);
}

static void a_neighbour_is_awaited_on_its_link_alone(void **state)
{
    struct desk *d = *state;
    char device[IFNAMSIZ] = "";
    lines_enter("");
    assert_int_equal(start(d, &EGRESS_ON_LINK, PEERS("10.0.2.7"), PATIENCE_S), FAULT_NONE);
    listens_at(d, "10.0.2.2");
    assert_int_equal(
        getsockopt(d->await.listener.io.fd, SOL_SOCKET, SO_BINDTODEVICE, device, &(socklen_t){sizeof device}),
        0);
    assert_string_equal(device, "lte");
    await_cancel(&d->await);
    assert_int_equal(start(d, &EGRESS_ON_LINK, PEERS("203.0.113.1"), PATIENCE_S), FAULT_UNREACHABLE);
}

static void an_egress_that_cannot_listen_is_a_fault(void **state)
{
    const struct egress absent = {.any4 = true, .source4 = ip("203.0.113.1")}, none = {.any4 = true},
                        device = {.device = "nosuchdevice000", .any4 = true, .source4 = ip("127.0.0.1")};
    struct desk *d = *state;
    int before = count_fds();
    assert_int_equal(start(d, &absent, PEERS("127.0.0.2"), PATIENCE_S), FAULT_BIND);
    assert_int_equal(start(d, &absent, PEERS("0.0.0.0"), PATIENCE_S), FAULT_BIND);
    assert_int_equal(start(d, &none, PEERS("0.0.0.0"), PATIENCE_S), FAULT_BIND);
    assert_int_equal(start(d, &device, PEERS("127.0.0.2"), PATIENCE_S), FAULT_BIND);
    assert_int_equal(start(d, &device, PEERS("0.0.0.0"), PATIENCE_S), FAULT_BIND);
    assert_int_equal(start(d, &none, PEERS("::1"), PATIENCE_S), FAULT_UNREACHABLE);
    assert_int_equal(start(d, &EGRESS_ON_LINK, PEERS("203.0.113.1"), PATIENCE_S), FAULT_UNREACHABLE);
    await_cancel(&d->await);
    assert_int_equal(count_fds(), before);
    assert_int_equal(d->ends, 0);
}

static void the_deadline_ends_it(void **state)
{
    struct desk *d = *state;
    assert_int_equal(start(d, &EGRESS_DIRECT, PEERS("127.0.0.2"), 0.01), FAULT_NONE);
    run_until(d->loop, &d->done);
    assert_true(d->fault == FAULT_TIMEOUT && d->fd == -1 && !d->await.listener.open);
    assert_int_equal(d->ends, 1);
}

static bool has_come(const struct desk *d)
{
    return d->await.fd >= 0;
}

/* Between accept and its report, too. */
static void cancel_resets_a_peer_that_was_not_reported(void **state)
{
    struct desk *d = *state;
    struct addr from;
    char byte;
    assert_int_equal(start(d, &EGRESS_DIRECT, PEERS("127.0.0.2"), PATIENCE_S), FAULT_NONE);
    int peer = connect_from(d, "127.0.0.2", &from);
    d->await.listener.accepted(&d->await.listener, accept(d->await.listener.io.fd, NULL, NULL), &from);
    assert_true(has_come(d));
    assert_false(d->await.listener.open); /* a second peer would displace the first */
    await_cancel(&d->await);
    assert_true(recv(peer, &byte, 1, 0) < 0 && errno == ECONNRESET);
    (void)close(peer);
    assert_false(run_until_within(d->loop, &d->done, 0.05));
}

int main(void)
{
#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        ONE(only_the_named_peers_are_admitted),
        ONE(anybody_may_come_where_nobody_is_named),
        ONE(it_listens_at_the_source_of_the_egress),
        ONE(an_egress_that_cannot_listen_is_a_fault),
        ONE(the_deadline_ends_it),
        ONE(cancel_resets_a_peer_that_was_not_reported),
        ONE(a_neighbour_is_awaited_on_its_link_alone), /* last: it leaves the namespace */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
