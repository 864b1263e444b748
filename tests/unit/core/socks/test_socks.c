/* BIND of SOCKS4 and SOCKS5: the two replies, who may ask, and how the wait ends. The peer is on loopback,
 * where the proxy listens without an uplink. */
#include "inbound/desk.h"

struct ask {
    struct slice request;       /* BIND for a peer at 127.0.0.1 */
    struct slice first, failed; /* how a reply begins */
    size_t reply_len, at_ip, at_port;
};

#define TEXT(s)                                                                                              \
    {                                                                                                        \
        (s), sizeof(s) - 1                                                                                   \
    }

static const struct ask four = {
    .request = TEXT("\x04\x02\x00\x15\x7f\x00\x00\x01me\0"),
    .first = TEXT("\x00\x5a"),
    .failed = TEXT("\x00\x5b\0\0\0\0\0\0"),
    .reply_len = 8,
    .at_ip = 4,
    .at_port = 2,
};
static const struct ask five = {
    .request = TEXT("\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x00"),
    .first = TEXT("\x05\x00\x00\x01"),
    .reply_len = 10,
    .at_ip = 4,
    .at_port = 8,
};

static int setup(void **state)
{
    int r = desk_setup(state);
    struct desk *d = *state;

    d->proxy.settings.bind_from = &d->scene.bypass; /* which is loopback */
    d->proxy.outbounds.settings.bind_timeout_s = PATIENCE_S;
    return r;
}

static void hear(struct desk *d, int fd, char *in, size_t len)
{
    for (size_t n = 0; n < len; n++) {
        d->want = slice_str("a reply");
        desk_await(d, fd);
        assert_int_equal(recv(fd, in + n, 1, 0), 1);
    }
}

/* A reply of success. @return its address */
static struct addr hear_reply(struct desk *d, int fd, const struct ask *a)
{
    char in[16];
    struct addr ret;

    hear(d, fd, in, a->reply_len);
    assert_memory_equal(in, a->first.data, a->first.len);
    const uint8_t *port = (const uint8_t *)in + a->at_port;
    assert_int_equal(
        addr_from_ip(&ret, (const uint8_t *)in + a->at_ip, 4, (uint16_t)(port[0] << 8 | port[1])), 0);
    return ret;
}

/* @return the client, who has read the first reply; *ret_at is its address */
static int ask(struct desk *d, const struct ask *a, struct addr *ret_at)
{
    int client = desk_client(d);
    char in[2];

    desk_say(client, a->request);
    if (a == &five)
        hear(d, client, in, 2);
    *ret_at = hear_reply(d, client, a);
    assert_int_equal(d->session->state, SESSION_AWAITING);
    return client;
}

static int connect_to(struct desk *d, const struct addr *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, &at->sa, addr_len(at)), 0);
    return desk_keep(d, fd);
}

static bool takes_peers(const struct addr *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = connect(fd, &at->sa, addr_len(at)) == 0;

    (void)close(fd);
    return taken;
}

static void assert_logged(const struct desk *d, const char *text)
{
    if (fixture_log_count(d->f, text) != 1)
        FIXTURE_FAIL(d->f, "'%s' is not in the log", text);
}

static void a_peer_becomes_a_tunnel(void **state)
{
    static const struct ask *const asks[] = {&four, &five};
    struct desk *d = *state;

    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        struct addr at, loop = loopback(AF_INET, 0);
        int client = ask(d, asks[i], &at);
        assert_true(addr_same_ip(&at, &loop) && addr_port(&at) != 0);
        desk_say_str(client, "early ");
        int peer = connect_to(d, &at);
        struct addr own = bound_addr(peer), told = hear_reply(d, client, asks[i]);
        assert_true(addr_same_ip(&told, &own) && addr_port(&told) == addr_port(&own));
        assert_false(takes_peers(&at)); /* one only */
        desk_say_str(client, "up");
        desk_hear(d, peer, "early up");
        desk_say_str(peer, "down");
        desk_hear(d, client, "down");
        desk_close(d, client);
        desk_hear_end(d, peer, 0);
        desk_close(d, peer);
        desk_await_closed(d);
    }
}

static void others_are_refused(void **state)
{
    struct desk *d = *state;
    char in[16];
    d->proxy.settings.bind_from = &d->scene.local; /* which is empty */
    int client = desk_client(d);
    desk_say(client, four.request);
    hear(d, client, in, four.failed.len);
    assert_memory_equal(in, four.failed.data, four.failed.len);
    desk_hear_end(d, client, 0);
    client = desk_client(d);
    desk_say(client, five.request);
    hear(d, client, in, 12);
    assert_memory_equal(in, "\5\0\5\2\0\1\0\0\0\0\0\0", 12);
    desk_hear_end(d, client, 0);
}

static void the_wait_has_a_deadline(void **state)
{
    struct desk *d = *state;
    struct addr at;
    char in[10];
    d->proxy.outbounds.settings.bind_timeout_s = 0.01;
    int client = ask(d, &five, &at);
    hear(d, client, in, sizeof in);
    assert_memory_equal(in, "\5\6\0\1\0\0\0\0\0\0", sizeof in);
    desk_hear_end(d, client, 0);
    assert_false(takes_peers(&at));
    assert_logged(d, "outcome=timeout");
}

typedef void leave_fn(struct desk *d, int client);

static void half_close(struct desk *d, int client)
{
    (void)d;
    assert_int_equal(shutdown(client, SHUT_WR), 0);
}

static void a_client_that_leaves_ends_it_at_once(void **state)
{
    static leave_fn *const ways[] = {half_close, desk_close, desk_reset};
    struct desk *d = *state;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct addr at;
        int client = ask(d, &four, &at);
        ways[i](d, client);
        desk_await_closed(d);
        assert_false(takes_peers(&at));
    }
}

/* Its FIN has come while the proxy looked for a way, such as the address of a name. */
static void a_client_that_has_left_before_waits_for_nobody(void **state)
{
    struct desk *d = *state;
    struct target peer;
    int client = desk_client(d);
    half_close(d, client);
    assert_int_equal(target_set(&peer, slice_str("127.0.0.1"), 21), PARSE_OK);
    d->session->front = &FRONT_SOCKS4;
    session_await(d->session, &peer, POLICY_SOCKS4);
    d->session->client_ended = true;
    session_watch(d->session);
    desk_await_closed(d);
    desk_hear_end(d, client, 0);
    assert_logged(d, "outcome=aborted");
}

typedef void end_fn(struct desk *d);

static void drain_all(struct desk *d)
{
    proxy_drain(&d->proxy);
}

static void cut(struct desk *d)
{
    assert_int_equal(proxy_cut(&d->proxy, NULL, NULL), 1);
}

static void the_client_is_told_of_an_end(void **state)
{
    static end_fn *const ends[] = {cut, drain_all};
    struct desk *d = *state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct addr at;
        char in[8];
        int client = ask(d, &four, &at);
        ends[i](d);
        hear(d, client, in, sizeof in);
        assert_memory_equal(in, four.failed.data, sizeof in);
        desk_hear_end(d, client, 0);
        desk_close(d, client);
        desk_await_closed(d);
        assert_false(takes_peers(&at));
    }
}

static void a_proxy_that_stops_listens_for_no_peer(void **state)
{
    struct desk *d = *state;
    char in[8];
    int client = desk_client(d);
    desk_say(client, four.request);
    d->proxy.draining = true;
    hear(d, client, in, sizeof in);
    assert_memory_equal(in, four.failed.data, sizeof in);
}

/* The address where it listens shows whether it is lost with an address of the machine. */
static void its_source_is_where_it_listens(void **state)
{
    struct desk *d = *state;
    struct addr at, source;
    int link;
    (void)ask(d, &five, &at);
    assert_true(session_source(d->session, &source, &link));
    assert_true(addr_same_ip(&source, &at) && addr_port(&source) == addr_port(&at) && link == 0);
}

int main(void)
{
#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, desk_teardown)
    const struct CMUnitTest tests[] = {
        ONE(a_peer_becomes_a_tunnel),
        ONE(others_are_refused),
        ONE(the_wait_has_a_deadline),
        ONE(a_client_that_leaves_ends_it_at_once),
        ONE(a_client_that_has_left_before_waits_for_nobody),
        ONE(the_client_is_told_of_an_end),
        ONE(a_proxy_that_stops_listens_for_no_peer),
        ONE(its_source_is_where_it_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
