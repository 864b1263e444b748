/* A proxy without listeners, on the loop of the test: its sessions begin on one end of a TCP connection,
 * whose other end is the client that the test plays. The test also plays the destination, on loopback, where
 * the proxy connects without an uplink. Nothing here waits longer than PATIENCE_S. */
#ifndef STEERWAY_TEST_INBOUND_DESK_H
#define STEERWAY_TEST_INBOUND_DESK_H

#include "outbound/scene.h"
#include "policy/fixture.h"
#include "support/tcp.h"

#include "base/clock.h"
#include "http/exchange_state.h"
#include "http/http.h"
#include "socks/socks.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { DESK_ENDS_MAX = 64, DESK_TEXT_MAX = 4096 };

struct desk {
    struct fixture *f; /* a policy, and the log, which is printed on failure */
    struct ev_loop *loop;
    struct outbounds shared;
    struct scene scene;
    struct access access;
    struct proxy proxy;
    struct proxy_use use;       /* of the clients that come next; zeroes: a proxy */
    struct proxy_listener door; /* where clients come in; not open */

    int listener; /* the destination's */
    struct addr at;
    char to[32]; /* its "127.0.0.1:port" */

    int ends[DESK_ENDS_MAX]; /* the test's ends, to be closed; -1 for closed */
    size_t n_ends;
    struct session *session; /* of the latest client; freed a turn after its end */
    struct slice want;       /* the text of the current wait, printed if it fails */
    bool readable;
};

/* --- set up and tear down ------------------------------------------------------------------------------- */

static inline int desk_keep(struct desk *d, int fd)
{
    const int on = 1;

    assert_true(fd >= 0 && d->n_ends < DESK_ENDS_MAX);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on),
                     0); /* no delay between small writes */
    nonblocking(fd);
    d->ends[d->n_ends++] = fd;
    return fd;
}

static inline void desk_forget(struct desk *d, int fd)
{
    for (size_t i = 0; i < d->n_ends; i++)
        if (d->ends[i] == fd)
            d->ends[i] = -1;
}

static inline void desk_close(struct desk *d, int fd)
{
    desk_forget(d, fd);
    (void)close(fd);
}

/* Close so that the peer sees a reset. */
static inline void desk_reset(struct desk *d, int fd)
{
    desk_forget(d, fd);
    close_with_reset(fd);
}

static inline int desk_setup_with(void **state, const struct proxy_settings *settings)
{
    struct desk *d = calloc(1, sizeof *d);
    struct cidr loopback_range;
    void *fixture;

    assert_non_null(d);
    assert_int_equal(fixture_setup(&fixture), 0);
    d->f = fixture;
    FIXTURE_LOAD(d->f, PICK("", "return uplinks[1]"));
    scene_init(&d->scene, &d->shared, 4 * PATIENCE_S);
    d->loop = d->shared.loop;
    d->shared.uplinks = &d->f->set;
    d->shared.policy = d->f->policy;
    assert_int_equal(cidr_parse(&loopback_range, slice_str("127.0.0.0/8")), 0);
    assert_int_equal(cidr_set_add(&d->scene.bypass, &loopback_range), 0);
    static const struct front *const fronts[] = {&FRONT_SOCKS4, &FRONT_SOCKS5, &FRONT_HTTP, NULL};
    struct proxy_settings mine = *settings;
    mine.fronts = fronts;
    mine.access = &d->access;
    proxy_init(&d->proxy, &d->shared, &mine);
    d->listener = listen_at_loopback(AF_INET, DESK_ENDS_MAX, &d->at);
    nonblocking(d->listener);
    small_segments(d->listener);
    (void)snprintf(d->to, sizeof d->to, "127.0.0.1:%u", (unsigned)addr_port(&d->at));
    *state = d;
    return 0;
}

static inline int desk_setup(void **state)
{
    /* Longer than any test waits; tests of deadlines set their own. */
    return desk_setup_with(state, &(struct proxy_settings){.handshake_timeout_s = 4 * PATIENCE_S,
                                                           .idle_timeout_s = 4 * PATIENCE_S,
                                                           .strangers_max = DESK_ENDS_MAX});
}

static inline int desk_teardown(void **state)
{
    struct desk *d = *state;
    void *fixture = d->f;

    proxy_stop(&d->proxy);
    proxy_done(&d->proxy);
    for (size_t i = 0; i < d->n_ends; i++)
        if (d->ends[i] >= 0)
            (void)close(d->ends[i]);
    (void)close(d->listener);
    access_done(&d->access);
    scene_done(&d->scene, &d->shared);
    assert_int_equal(fixture_teardown(&fixture), 0);
    free(d);
    return 0;
}

/* --- the loop turns ------------------------------------------------------------------------------------- */

static inline void desk_on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    ((struct desk *)io->data)->readable = true;
    ev_io_stop(loop, io);
}

/* Turn the loop until something can be read or accepted: bytes, an end, a connection. */
static inline void desk_await(struct desk *d, int fd)
{
    ev_io io;

    d->readable = false;
    ev_io_init(&io, desk_on_readable, fd, EV_READ);
    io.data = d;
    ev_io_start(d->loop, &io);
    bool came = run_until_within(d->loop, &d->readable, PATIENCE_S);
    ev_io_stop(d->loop, &io);
    if (!came)
        FIXTURE_FAIL(d->f, "nothing came where '%.*s' was awaited", (int)d->want.len, d->want.data);
}

typedef bool desk_is_fn(const struct desk *d, size_t what);

static inline void desk_on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

/* Turn the loop until the condition holds. Some conditions change in the kernel without an event, so a
 * tick checks again. */
static inline void desk_turn_until(struct desk *d, desk_is_fn *is, size_t what, const char *text)
{
    double give_up_s = clock_now_s() + PATIENCE_S;
    ev_timer tick;

    ev_timer_init(&tick, desk_on_tick, 0.005, 0.005);
    ev_timer_start(d->loop, &tick);
    while (!is(d, what) && clock_now_s() < give_up_s)
        ev_run(d->loop, EVRUN_ONCE);
    ev_timer_stop(d->loop, &tick);
    if (!is(d, what))
        FIXTURE_FAIL(d->f, "waited in vain: %s", text);
}

static inline bool desk_has_no_sessions(const struct desk *d, size_t unused)
{
    (void)unused;
    return d->proxy.n_sessions == 0;
}

static inline void desk_await_closed(struct desk *d)
{
    desk_turn_until(d, desk_has_no_sessions, 0, "the session is open");
}

static inline bool desk_is_in_state(const struct desk *d, size_t state)
{
    return d->session->state == (enum session_state)state;
}

/* The session has read all that the client has sent. */
static inline bool desk_has_read(const struct desk *d, size_t client)
{
    int on_its_way = 1, unread = 1;

    assert_int_equal(ioctl((int)client, SIOCOUTQ, &on_its_way), 0);
    assert_int_equal(ioctl(d->session->fd, SIOCINQ, &unread), 0);
    return on_its_way == 0 && unread == 0;
}

/* --- the client and the destination --------------------------------------------------------------------- */

/* Connect a new client. @return its end */
static inline int desk_client(struct desk *d)
{
    struct addr own;
    int mine, fd;

    const int room = 200 * 1024; /* desk_say says all at once */
    tcp_pair(0, &mine, &fd);
    assert_int_equal(setsockopt(mine, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    own = bound_addr(mine);
    d->door = (struct proxy_listener){
        .proxy = &d->proxy, .use = d->use, .clients = d->door.clients, .text = "127.0.0.1:1080"};
    session_new(&d->door, fd, &own);
    d->session = container_of(d->proxy.sessions.prev, struct session, node);
    return desk_keep(d, mine);
}

/* Accept the proxy's next connection to the destination. @return the destination's end */
static inline int desk_accept(struct desk *d)
{
    d->want = slice_str("a connection");
    desk_await(d, d->listener);
    return desk_keep(d, accept(d->listener, NULL, NULL));
}

/* The proxy has made no further connection. */
static inline void desk_no_connection(const struct desk *d)
{
    assert_true(accept(d->listener, NULL, NULL) < 0 && errno == EAGAIN);
}

/* Send a text that the kernel takes at once. */
static inline void desk_say(int fd, struct slice text)
{
    assert_int_equal(send(fd, text.data, text.len, MSG_NOSIGNAL), text.len);
}

static inline void desk_say_str(int fd, const char *text)
{
    desk_say(fd, slice_str(text));
}

/* Send a request in which "$" becomes the destination's address. */
static inline void desk_ask(struct desk *d, int client, const char *text)
{
    char out[DESK_TEXT_MAX];
    size_t n = 0;

    for (; *text; text++) {
        size_t len = *text == '$' ? strlen(d->to) : 1;
        assert_true(n + len <= sizeof out);
        memcpy(out + n, *text == '$' ? d->to : text, len);
        n += len;
    }
    desk_say(client, slice_of(out, n));
}

/* Exactly this text comes. Later bytes stay in the socket. */
static inline void desk_hear(struct desk *d, int fd, const char *text)
{
    char in[DESK_TEXT_MAX];
    size_t len = strlen(text), n = 0;

    assert_true(len < sizeof in);
    d->want = slice_str(text);
    while (n < len) {
        desk_await(d, fd);
        ssize_t got = recv(fd, in + n, len - n, 0);
        if (got <= 0)
            FIXTURE_FAIL(d->f, "%s after '%.*s', not '%s'", got == 0 ? "the end" : strerror(errno), (int)n,
                         in, text);
        n += (size_t)got;
    }
    in[n] = '\0';
    if (strcmp(in, text) != 0)
        FIXTURE_FAIL(d->f, "'%s', not '%s'", in, text);
}

/* A head that begins with these lines comes. @return the head, valid until the next call */
static inline const char *desk_hear_head(struct desk *d, int fd, const char *begin)
{
    static char head[DESK_TEXT_MAX];
    size_t n = 0;

    d->want = slice_str(begin);
    do {
        desk_await(d, fd);
        ssize_t got = recv(fd, head + n, 1, 0);
        if (got <= 0)
            FIXTURE_FAIL(d->f, "%s after '%.*s', not '%s'", got == 0 ? "the end" : strerror(errno), (int)n,
                         head, begin);
        n++;
        head[n] = '\0';
    } while (n < sizeof head - 1 && !(n >= 4 && strcmp(head + n - 4, "\r\n\r\n") == 0));
    if (strncmp(head, begin, strlen(begin)) != 0)
        FIXTURE_FAIL(d->f, "'%s' does not begin with '%s'", head, begin);
    return head;
}

/* Only an end comes. @param err  0 for FIN, else the errno of the break */
static inline void desk_hear_end(struct desk *d, int fd, int err)
{
    char byte;

    d->want = slice_str("the end");
    desk_await(d, fd);
    ssize_t n = recv(fd, &byte, 1, 0);
    if (n > 0)
        FIXTURE_FAIL(d->f, "'%c' after the end", byte);
    if (err == 0 ? n < 0 : n == 0 || errno != err)
        FIXTURE_FAIL(d->f, "%s, not %s", n == 0 ? "FIN" : strerror(errno), err ? strerror(err) : "FIN");
}

/* Nothing can be read. */
static inline void desk_hear_nothing(const struct desk *d, int fd)
{
    char byte;

    (void)d;
    assert_true(recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN);
}

#endif
