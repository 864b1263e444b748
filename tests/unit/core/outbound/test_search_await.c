/* A search whose destination is a peer that is to connect: which uplink it listens at, and what a failure
 * says about that uplink. The uplinks have addresses of loopback. */
#include "outbound/search_state.h"
#include "uplink/uplink.h"

#include "outbound/candidates.h"
#include "outbound/scene.h"
#include "policy/fixture.h"
#include "support/tcp.h"

struct desk {
    struct fixture *f; /* the uplinks fibre, lte and wifi; a policy; the log */
    struct ev_loop *loop;
    struct outbounds shared;
    struct scene scene;
    struct addr client, at;
    struct outbound *outbound;
    enum fault fault;
    int fd;
    bool listens, done, leaves;
};

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 0), 0);
    return a;
}

/* Give an uplink a source address. */
static void has_source(struct desk *d, size_t i, const char *source)
{
    struct uplink *u = d->f->set.items[i];

    u->egress = (struct egress){.any4 = true, .source4 = ip(source)};
    u->names.resolver = d->shared.resolver;
}

static const char POLICY[] =
    "return { name = 'p', new = function(ctx)\n"
    "local function told(hook) return function(conn, u, more) ctx.log.info('%s %s %s', hook, u.name,\n"
    "type(more) == 'string' and more or '-') end end\n"
    "return { opened = told 'opened', failed = told 'failed', closed = told 'closed',\n"
    "pick = function(conn, us)\nif not conn.bind then return us[1] end\n"
    "ctx.log.info('asked for %s of %d', conn.host, #us)\n"
    "return us end } end }\n";

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    void *fixture;

    assert_non_null(d);
    assert_int_equal(fixture_setup(&fixture), 0);
    d->f = fixture;
    scene_init(&d->scene, &d->shared, 4 * PATIENCE_S);
    d->loop = d->shared.loop;
    d->shared.uplinks = &d->f->set;
    d->shared.settings.bind_timeout_s = PATIENCE_S;
    d->shared.settings.hedge_s = 0.001;
    loops_init(&d->shared.loops, &d->scene.own);
    d->client = ip("127.0.0.1");
    d->fd = -1;
    for (size_t i = 0; i < d->f->set.n; i++) {
        char source[16];
        (void)snprintf(source, sizeof source, "127.0.0.%zu", i + 11);
        has_source(d, i, source);
    }
    FIXTURE_LOAD(d->f, POLICY);
    d->shared.policy = d->f->policy;
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    void *fixture = d->f;

    outbound_finish(d->outbound, "closed");
    for (size_t i = 0; i < d->f->set.n; i++)
        assert_true(d->f->set.items[i]->view.active == 0);
    if (d->fd >= 0)
        (void)close(d->fd);
    scene_done(&d->scene, &d->shared);
    assert_int_equal(fixture_teardown(&fixture), 0);
    free(d);
    return 0;
}

static void assert_told(const struct desk *d, const char *what, size_t times)
{
    size_t n = fixture_log_count(d->f, what);
    if (n != times)
        FIXTURE_FAIL(d->f, "'%s' was told %zu times, not %zu", what, n, times);
}

static void on_listening(struct outbound *o, const struct addr *at)
{
    struct desk *d = o->owner;

    assert_false(d->listens);
    d->listens = true;
    d->at = *at;
    if (d->leaves) {
        outbound_finish(o, NULL);
        d->outbound = NULL;
    }
}

static void on_end(struct outbound *o, enum fault fault, int fd)
{
    struct desk *d = o->owner;

    d->fault = fault;
    d->fd = fd;
    d->done = true;
}

static void start(struct desk *d, const char *peer, enum policy_proto proto)
{
    struct target t;

    assert_int_equal(target_set(&t, slice_str(peer), 21), PARSE_OK);
    assert_int_equal(outbound_new(&d->outbound, &d->shared,
                                  &(struct outbound_request){.target = &t,
                                                             .proto = proto,
                                                             .client = &d->client,
                                                             .listener = "127.0.0.1:1080",
                                                             .listening = on_listening},
                                  on_end, d),
                     0);
}

static void assert_listens_at(struct desk *d, const char *source)
{
    struct addr expected = ip(source), at;
    int link;

    run_until(d->loop, &d->listens);
    assert_true(addr_same_ip(&d->at, &expected) && addr_port(&d->at) != 0);
    assert_true(outbound_listens_at(d->outbound, &at, &link) && addr_port(&at) == addr_port(&d->at));
}

static void the_next_uplink_is_tried_while_none_listens(void **state)
{
    struct desk *d = *state;
    has_source(d, 0, "203.0.113.1"); /* which this machine does not have */
    d->f->set.items[1]->view.connect_time = 0.25;
    start(d, "0.0.0.0", POLICY_SOCKS5);
    assert_listens_at(d, "127.0.0.12");
    assert_told(d, "asked for 0.0.0.0 of 3", 1);
    assert_told(d, "failed fibre bind", 1);
    assert_ptr_equal(outbound_uplink(d->outbound), d->f->set.items[1]);
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(peer, &d->at.sa, addr_len(&d->at)), 0);
    run_until(d->loop, &d->done);
    struct addr from = bound_addr(peer);
    assert_true(d->fault == FAULT_NONE && d->outbound->connected);
    assert_true(addr_same_ip(&d->outbound->peer, &from) && addr_port(&d->outbound->peer) == addr_port(&from));
    const struct uplink *u = d->outbound->lease.uplink;
    assert_ptr_equal(u, d->f->set.items[1]);
    assert_true(d->outbound->lease.family == AF_INET);
    assert_true(u->view.total == 1 && u->view.failures == 0 && u->view.connect_time == 0.25);
    assert_told(d, "opened lte", 1);
    (void)close(peer);
    outbound_finish(d->outbound, "closed");
    d->outbound = NULL;
    assert_told(d, "closed lte", 1);
    assert_told(d, "peer=127.0.0.1:", 1);
}

/* The client knows the address of one uplink, and the peer may know it too. */
static void a_wait_that_is_lost_goes_on_nowhere_else(void **state)
{
    struct desk *d = *state;
    start(d, "127.0.0.1", POLICY_SOCKS5);
    assert_listens_at(d, "127.0.0.11");
    assert_true(search_lose_uplink(d->outbound->search, d->f->set.items[0]));
    assert_true(d->done);
    assert_int_equal(d->fault, FAULT_UNREACHABLE);
    assert_told(d, "failed ", 1);
}

static void that_nobody_came_says_nothing_about_the_uplink(void **state)
{
    struct desk *d = *state;
    const struct uplink *u = d->f->set.items[0];
    d->shared.settings.bind_timeout_s = 0.02; /* and a race would have started before */
    start(d, "127.0.0.9", POLICY_SOCKS4);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_TIMEOUT);
    assert_true(u->view.failures == 0 && u->view.fail_rate == 0 && u->four.health.silences == 0);
    assert_told(d, "failed ", 0);
    assert_int_equal(d->outbound->attempts, 1);
}

/* The limits of a search for a destination. The other uplinks are spared, so a dial would be given up. */
static void the_wait_is_longer_than_a_dial(void **state)
{
    struct desk *d = *state;
    d->shared.settings.dial_timeout_s = 0.04;
    d->f->set.items[1]->view.tier = d->f->set.items[2]->view.tier = 2;
    start(d, "127.0.0.9", POLICY_SOCKS5);
    run_until(d->loop, &d->listens);
    assert_false(run_until_within(d->loop, &d->done, 0.1));
    assert_int_equal(d->outbound->attempts, 1);
}

static void a_parent_proxy_is_not_asked(void **state)
{
    static struct parent_spec spec;
    struct desk *d = *state;
    for (size_t i = 0; i < d->f->set.n; i++)
        d->f->set.items[i]->parent = &spec;
    start(d, "0.0.0.0", POLICY_SOCKS5);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_NO_UPLINK);
    assert_string_equal(d->outbound->reason, CANDIDATES_NONE_ACCEPTS);
    for (size_t i = 0; i < d->f->set.n; i++)
        d->f->set.items[i]->parent = NULL;
}

static void it_may_end_as_soon_as_it_listens(void **state)
{
    struct desk *d = *state;
    d->leaves = true;
    start(d, "127.0.0.9", POLICY_SOCKS5);
    run_until(d->loop, &d->listens);
    assert_null(d->outbound);
    assert_false(d->done);
}

/* A rule with a port is about a service, and the port of the request is none of the peer. */
static void rules_for_addresses_hold_for_peers(void **state)
{
    struct desk *d = *state;
    assert_int_equal(deny_add_place(&d->scene.deny, slice_str("127.0.0.0/8:21")), 0);
    start(d, "127.0.0.9", POLICY_SOCKS5);
    run_until(d->loop, &d->listens);
    outbound_finish(d->outbound, NULL);
    assert_int_equal(deny_add_place(&d->scene.deny, slice_str("127.0.0.8/29")), 0);
    start(d, "127.0.0.9", POLICY_SOCKS5);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_DENIED);
    outbound_finish(d->outbound, NULL);
    d->done = false;
    assert_int_equal(deny_add_place(&d->scene.deny, slice_str("*")), 0);
    start(d, "0.0.0.0", POLICY_SOCKS5);
    run_until(d->loop, &d->done);
    assert_int_equal(d->fault, FAULT_DENIED);
    deny_done(&d->scene.deny);
}

int main(void)
{
#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        ONE(the_next_uplink_is_tried_while_none_listens),
        ONE(a_wait_that_is_lost_goes_on_nowhere_else),
        ONE(that_nobody_came_says_nothing_about_the_uplink),
        ONE(the_wait_is_longer_than_a_dial),
        ONE(a_parent_proxy_is_not_asked),
        ONE(it_may_end_as_soon_as_it_listens),
        ONE(rules_for_addresses_hold_for_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
