/* When a check is made, and what its result changes. Targets are servers on loopback. No test waits for a
 * check that is due later: checks_hurry shows whether the next one is near, since it then does nothing. */
#include "health/checks.h"

#include "base/clock.h"
#include "base/log_capture.h"
#include "support/loopback.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

#include <sys/socket.h>

enum { CLIENTS_MAX = 256, LOG_MAX = 65536 };

/* It reads a request, and gives the same answer to each. */
struct server {
    ev_io io, clients[CLIENTS_MAX];
    size_t n;
    const char *answer;
    char text[ADDR_TEXT_MAX]; /* "127.0.0.1:port" */
};

struct desk {
    struct ev_loop *loop;
    struct resolver_commons commons;
    struct resolver *resolver;
    struct server one, two;
    char closed[ADDR_TEXT_MAX]; /* nobody listens there */
    int closed_fd;
    struct uplink uplinks[2]; /* fibre, and lte, which is checked in each test */
    struct uplink_set set;
    struct checks *checks;
    bool ended;
    char log[LOG_MAX]; /* of the test so far */
};

#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 0\r\n\r\n"

/* --- servers -------------------------------------------------------------------------------------------- */

static void on_request(struct ev_loop *loop, ev_io *io, int events)
{
    const struct server *s = io->data;
    char text[1024];
    ssize_t n = recv(io->fd, text, sizeof text, 0);

    (void)events;
    if (n > 0 && s->answer) /* a request is one small packet */
        (void)!send(io->fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
    ev_io_stop(loop, io);
    (void)shutdown(io->fd, SHUT_WR);
}

static void on_client(struct ev_loop *loop, ev_io *io, int events)
{
    struct server *s = container_of(io, struct server, io);
    int fd = accept(io->fd, NULL, NULL);

    (void)events;
    assert_true(fd >= 0 && s->n < CLIENTS_MAX);
    ev_io *client = &s->clients[s->n++];
    ev_io_init(client, on_request, fd, EV_READ);
    client->data = s;
    ev_io_start(loop, client);
}

static void server_start(struct server *s, struct ev_loop *loop)
{
    struct addr at;

    ev_io_init(&s->io, on_client, listen_at_loopback(AF_INET, 8, &at), EV_READ);
    ev_io_start(loop, &s->io);
    (void)addr_format(&at, s->text);
}

static void server_stop(struct server *s, struct ev_loop *loop)
{
    for (size_t i = 0; i < s->n; i++) {
        ev_io_stop(loop, &s->clients[i]);
        (void)close(s->clients[i].fd);
    }
    ev_io_stop(loop, &s->io);
    (void)close(s->io.fd);
}

/* --- the desk ------------------------------------------------------------------------------------------- */

static void set_uplinks(struct desk *d)
{
    static const char *const names[] = {"fibre", "lte"};

    d->set = (struct uplink_set){.n = 0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct uplink *u = &d->uplinks[i];
        *u = (struct uplink){.view = {.id = (int32_t)i + 1, .up = true, .ipv4 = true},
                             .egress = {.any4 = true},
                             .names = {.resolver = d->resolver}};
        (void)snprintf(u->name, sizeof u->name, "%s", names[i]);
        uplink_set_put(&d->set, u);
    }
}

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    const struct dns_servers none = {.n = 0};
    struct addr closed;

    assert_non_null(d);
    d->loop = ev_loop_new(0);
    resolver_commons_init(&d->commons, NULL);
    assert_int_equal(resolver_new(&d->resolver, d->loop, &d->commons, PATIENCE_S), 0);
    resolver_aim(d->resolver, &EGRESS_DIRECT, &none);
    server_start(&d->one, d->loop);
    server_start(&d->two, d->loop);
    d->closed_fd = socket_at_loopback(AF_INET, SOCK_STREAM, &closed); /* bound, but not listening */
    (void)addr_format(&closed, d->closed);
    set_uplinks(d);
    assert_int_equal(capture_begin(state), 0);
    log_setup(LOG_DEBUG, LOG_TEXT);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;

    (void)capture_end(state);
    checks_free(d->checks);
    resolver_free(d->resolver);
    resolver_commons_done(&d->commons);
    server_stop(&d->one, d->loop);
    server_stop(&d->two, d->loop);
    (void)close(d->closed_fd);
    assert_idle(d->loop);
    ev_loop_destroy(d->loop);
    free(d);
    return 0;
}

static void on_ended(void *arg)
{
    ((struct desk *)arg)->ended = true;
}

static void start(struct desk *d, const char *targets, double interval_s)
{
    const struct checks_options o = {.loop = d->loop,
                                     .uplinks = &d->set,
                                     .targets = targets,
                                     .interval_s = interval_s,
                                     .ended = on_ended,
                                     .arg = d};

    checks_free(d->checks);
    d->checks = NULL;
    d->log[0] = '\0';
    (void)captured();
    assert_int_equal(checks_new(&d->checks, &o), 0);
}

/* How many lines about checks begin with this. */
static size_t count(struct desk *d, const char *what)
{
    char text[128];
    size_t n = 0, len = strlen(d->log);

    (void)snprintf(d->log + len, sizeof d->log - len, "%s", captured());
    (void)snprintf(text, sizeof text, " checked %s", what);
    for (const char *at = strstr(d->log, text); at; at = strstr(at + 1, text))
        n++;
    return n;
}

static void await_checks(struct desk *d, const char *what, size_t n)
{
    double give_up_s = clock_now_s() + PATIENCE_S;

    while (count(d, what) < n && clock_now_s() < give_up_s) {
        d->ended = false;
        (void)run_until_within(d->loop, &d->ended, PATIENCE_S);
    }
    if (count(d, what) < n)
        fail_msg("%zu checks of %s, not %zu:\n%s", count(d, what), what, n, d->log);
}

/* Whatever is due now has begun and ended: the witness is checked twice from now on. */
static void let_due_checks_end(struct desk *d)
{
    size_t before = count(d, "uplink=lte ");

    for (size_t i = 1; i <= 2; i++) {
        checks_hurry(d->checks, &d->uplinks[1], AF_UNSPEC);
        await_checks(d, "uplink=lte ", before + i);
    }
}

/* Whether a check of fibre is made now, which is due much later otherwise. */
static bool can_hurry(struct desk *d)
{
    size_t before = count(d, "uplink=fibre ");

    checks_hurry(d->checks, &d->uplinks[0], AF_UNSPEC);
    let_due_checks_end(d);
    return count(d, "uplink=fibre ") > before;
}

static void wrong_targets_stop_the_start(void **state)
{
    static char bad[] = "?";
    struct desk *d = *state;
    struct checks_options o = {.loop = d->loop, .uplinks = &d->set, .targets = bad, .interval_s = 1};
    struct checks *c = NULL;

    assert_int_equal(checks_new(&c, &o), -EINVAL);
    o.targets = d->one.text;
    d->uplinks[1].check = bad; /* after fibre's checks were made */
    assert_int_equal(checks_new(&c, &o), -EINVAL);
    assert_null(c);
    checks_free(NULL);
    checks_hurry(NULL, &d->uplinks[0], AF_UNSPEC);
    assert_int_equal(checks_add(NULL, &d->uplinks[0]), 0);
}

/* --- when ----------------------------------------------------------------------------------------------- */

static void which_checks_are_made_at_first(void **state)
{
    static char none[] = "none";
    struct desk *d = *state;
    const struct {
        const char *what;
        bool down, no_four, untargeted;
        int silences;
        double received, received_then; /* bytes; the latter at the latest silence */
        size_t checks;
    } cases[] = {
        {"idle", .checks = 1},
        {"down", .down = true, .checks = 0},
        {"without addresses", .no_four = true, .checks = 0},
        {"without targets", .untargeted = true, .checks = 0},
        {"bytes came", .received = 5, .checks = 0}, /* they show that it works */
        {"a silence, but bytes came", .silences = 1, .received = 5, .checks = 0},
        {"a suspect", .silences = HEALTH_SILENCES, .received = 5, .received_then = 5, .checks = 1},
        {"a suspect, but bytes came", .silences = HEALTH_SILENCES, .received = 5, .checks = 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uplink *u = &d->uplinks[0];
        set_uplinks(d);
        u->view.up = !cases[i].down;
        u->egress.any4 = !cases[i].no_four;
        u->check = cases[i].untargeted ? none : NULL;
        u->four.health.silences = cases[i].silences;
        u->four.health.received = cases[i].received_then;
        u->four.received = cases[i].received;
        start(d, d->one.text, 1000);
        await_checks(d, "uplink=lte ", 1);
        let_due_checks_end(d);
        if (count(d, "uplink=fibre ") != cases[i].checks)
            fail_msg("%s: %zu checks", cases[i].what, count(d, "uplink=fibre "));
    }
}

/* The first check of IPv6 has no target with such an address, which says nothing. */
static void each_family_is_checked_by_itself(void **state)
{
    struct desk *d = *state;

    d->uplinks[0].egress.any6 = d->uplinks[0].view.ipv6 = true;
    d->uplinks[0].six.health.silences = 1;
    start(d, d->one.text, 1000);
    await_checks(d, "uplink=fibre family=ipv4 ", 1);
    await_checks(d, "uplink=fibre family=ipv6 ", 1);
    assert_true(d->uplinks[0].four.health.answers == 1);
    assert_true(!d->uplinks[0].six.health.known && d->uplinks[0].six.health.silences == 1);
}

static struct health *health_of(struct desk *d, int family)
{
    return uplink_health(&d->uplinks[0], family);
}

/* A line that behaves strangely for long is checked again and again, but not where this tells nothing. */
static void a_target_of_the_other_family_is_not_asked_again_in_a_hurry(void **state)
{
    struct desk *d = *state;
    char targets[2 * ADDR_TEXT_MAX];

    (void)snprintf(targets, sizeof targets, "%s,%s", d->one.text, d->two.text);
    d->uplinks[0].egress.any6 = d->uplinks[0].view.ipv6 = true;
    start(d, targets, 1000);
    await_checks(d, "uplink=fibre family=ipv4 ", 1);
    await_checks(d, "uplink=fibre family=ipv6 ", 1);
    assert_true(health_of(d, AF_INET)->checked && health_of(d, AF_INET6)->checked);
    for (size_t i = 2; i <= 5; i++) {
        checks_hurry(d->checks, &d->uplinks[0], AF_UNSPEC);
        await_checks(d, "uplink=fibre family=ipv4 ", i);
        let_due_checks_end(d);
    }
    assert_int_equal(count(d, "uplink=fibre family=ipv6 "), 2); /* each target once */
    assert_true(health_of(d, AF_INET)->checked && !health_of(d, AF_INET6)->checked);
}

static void a_hurry_is_for_one_family(void **state)
{
    struct desk *d = *state;

    d->uplinks[0].egress.any6 = d->uplinks[0].view.ipv6 = true;
    start(d, "127.0.0.1:1,[::1]:1", 1000);
    await_checks(d, "uplink=fibre family=ipv4 ", 1);
    await_checks(d, "uplink=fibre family=ipv6 ", 1);
    checks_hurry(d->checks, &d->uplinks[0], AF_INET6);
    await_checks(d, "uplink=fibre family=ipv6 ", 2);
    let_due_checks_end(d);
    assert_int_equal(count(d, "uplink=fibre family=ipv4 "), 1);
}

/* It serves both families, and its lines name none. */
static void a_parent_proxy_has_one_check(void **state)
{
    struct desk *d = *state;
    const char *port = strchr(d->one.text, ':') + 1;
    struct parent_spec parent = {
        .scheme = "http", .host = "127.0.0.1", .port = (uint16_t)strtoul(port, NULL, 10)};

    d->one.answer = STATUS("200 OK");
    d->uplinks[0].parent = &parent;
    d->uplinks[0].egress.any6 = true;
    d->uplinks[1].check = d->two.text;
    start(d, "192.0.2.9:443", 1000);
    await_checks(d, "uplink=fibre target=192.0.2.9:443 fault=ok", 1);
    let_due_checks_end(d);
    assert_int_equal(count(d, "uplink=fibre "), 1);
    assert_true(d->uplinks[0].four.health.answers == 1 && !d->uplinks[0].six.health.known);
}

static void an_idle_uplink_is_checked_in_each_interval(void **state)
{
    struct desk *d = *state;

    start(d, d->one.text, 0.005);
    for (size_t i = 1; i <= 3; i++)
        await_checks(d, "uplink=fibre family=ipv4 ", i);
}

static void an_added_uplink_is_checked_too(void **state)
{
    struct desk *d = *state;

    d->set.n = 0;
    start(d, d->one.text, 1000);
    d->set.n = 2;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(checks_add(d->checks, &d->uplinks[i]), 0);
    await_checks(d, "uplink=fibre ", 1);
}

/* --- results -------------------------------------------------------------------------------------------- */

enum what { TCP, HTTP, CLOSED, NO_SOURCE };

/* Each starts with a silence, and a failed check. */
static void what_a_result_changes(void **state)
{
    struct desk *d = *state;
    const struct {
        enum what what;
        const char *answer;
        bool was_captive;
        int silences, failed_checks;
        bool captive, soon, next; /* soon: the next check is near; next: it goes to the next target */
    } cases[] = {
        {TCP, NULL, false, 0, 0, false, false, false},
        {HTTP, STATUS("204 No Content"), false, 0, 0, false, false, false},
        {HTTP, STATUS("204 No Content"), true, 0, 0, false, false, false},
        {HTTP, STATUS("200 OK"), false, 0, 0, true, true, true},
        {HTTP, STATUS("302 Found"), false, 0, 0, true, true, true},
        {HTTP, "220 smtp\r\n", false, 1, 1, false, true, true}, /* says nothing */
        {CLOSED, NULL, false, 0, 0, false, false, true},        /* is an answer */
        {CLOSED, NULL, true, 0, 0, false, false, true},
        {NO_SOURCE, NULL, false, 2, 2, false, true, true},
    };
    char targets[256], other[128];

    (void)snprintf(other, sizeof other, "uplink=fibre family=ipv4 target=%s ", d->two.text);
    for (size_t i = 0, tries = 0; i < ARRAY_LEN(cases); i++) {
        struct uplink *u = &d->uplinks[0];
        const struct health *h = &u->four.health;
        double begin = clock_now_s();
        set_uplinks(d);
        u->four.health = (struct health){.silences = 1, .failed_checks = 1, .captive = cases[i].was_captive};
        if (cases[i].what == NO_SOURCE)
            assert_int_equal(addr_parse_ip(&u->egress.source4, slice_str("203.0.113.1"), 0), 0);
        (void)snprintf(targets, sizeof targets, "%s%s%s,%s", cases[i].what == HTTP ? "http://" : "",
                       cases[i].what == CLOSED ? d->closed : d->one.text, cases[i].what == HTTP ? "/" : "",
                       d->two.text);
        d->one.answer = cases[i].answer;
        u->check = targets;
        start(d, d->two.text, 1000);
        await_checks(d, "uplink=fibre ", 1);
        assert_int_equal(count(d, other), 0);
        if (h->silences != cases[i].silences || h->failed_checks != cases[i].failed_checks ||
            h->captive != cases[i].captive)
            fail_msg("case %zu: %d silences, %d failed, captive %d\n%s", i, h->silences, h->failed_checks,
                     h->captive, d->log);
        bool hurried = can_hurry(d);
        if (clock_now_s() - begin > HEALTH_RETRY_S / 2 && tries++ < TRIES) {
            i--; /* a suspended process: the next check may have come by itself */
            continue;
        }
        if (hurried == cases[i].soon)
            fail_msg("case %zu: the next check is%s near\n%s", i, cases[i].soon ? " not" : "", d->log);
        if (!cases[i].soon)
            assert_int_equal(count(d, other), cases[i].next);
    }
}

/* The timer, not a call, brings this check: a suspect is checked every two seconds. */
static void an_uplink_that_fails_is_checked_again_soon(void **state)
{
    struct desk *d = *state;
    struct uplink *u = &d->uplinks[0];

    assert_int_equal(addr_parse_ip(&u->egress.source4, slice_str("203.0.113.1"), 0), 0);
    u->four.health.silences = u->four.health.failed_checks = HEALTH_FAILED_CHECKS - 2;
    start(d, d->one.text, 1000);
    await_checks(d, "uplink=fibre ", 1);
    assert_int_equal(uplink_health_state(u, AF_INET), HEALTH_UP);
    await_checks(d, "uplink=fibre ", 2);
    assert_int_equal(uplink_health_state(u, AF_INET), HEALTH_DOWN);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(wrong_targets_stop_the_start),
        ONE(which_checks_are_made_at_first),
        ONE(each_family_is_checked_by_itself),
        ONE(a_target_of_the_other_family_is_not_asked_again_in_a_hurry),
        ONE(a_hurry_is_for_one_family),
        ONE(a_parent_proxy_has_one_check),
        ONE(an_idle_uplink_is_checked_in_each_interval),
        ONE(an_added_uplink_is_checked_too),
        ONE(what_a_result_changes),
        ONE(an_uplink_that_fails_is_checked_again_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
