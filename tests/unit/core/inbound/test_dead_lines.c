/* Lines that are down: since when, which of their connections are cut, and when the next look comes. The
 * tunnels are real, and lead straight to the destination; the test then puts each on a line. Outages begin
 * as long ago as the test says, so nothing waits for them. */
#include "http/exchange_desk.h"

#include "inbound/dead_lines.h"
#include "uplink/parent_spec.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_lease.h"

/* Far above what this test takes, so that no outage becomes too long by itself. */
static const double CUT_AFTER_S = 1000;
static const double LONG_AGO_S = 2000, RECENTLY_S = 600;
static const double AGAIN_S = 5; /* as in dead_lines.c */

static struct parent_spec parent = {.scheme = "http"};

static int setup(void **state)
{
    int r = desk_setup(state);
    struct desk *d = *state;

    d->proxy.settings.cut_after_s = CUT_AFTER_S;
    return r;
}

static int teardown(void **state)
{
    struct desk *d = *state;

    for (size_t i = 0; i < d->f->set.n; i++)
        d->f->set.items[i]->parent = NULL; /* it is not the uplink's own */
    return desk_teardown(state);
}

static struct dead_lines *lines_of(struct desk *d)
{
    return &d->proxy.dead_lines;
}

static struct uplink *line(struct desk *d, size_t i)
{
    return d->f->set.items[i];
}

/* A new connection might try it by now. */
#define DUE_S 1.
static const struct health FAILED = {.silences = HEALTH_SILENCES,
                                     .failed_checks = HEALTH_FAILED_CHECKS,
                                     .retry_at = DUE_S},
                           SUSPECT = {.silences = HEALTH_SILENCES, .retry_at = DUE_S};

/* The timer of the next look runs, and for so long at most. Time passes, so it may be a bit less. */
static void assert_looks_within(struct desk *d, double s)
{
    const ev_timer *t = &lines_of(d)->timer;
    double left = ev_is_active(t) ? ev_timer_remaining(d->loop, (ev_timer *)t) : 0;

    if (left <= 0 || left > s || left < s - PATIENCE_S)
        FIXTURE_FAIL(d->f, "the next look comes in %g s, not in %g s", left, s);
}

/* --- outages -------------------------------------------------------------------------------------------- */

enum since { NOT_DOWN, SINCE_NOW, SINCE_BEFORE };

static enum since since_of(const struct dead_line *l, double begin)
{
    if (l->since_s <= 0)
        return NOT_DOWN;
    return l->since_s >= begin ? SINCE_NOW : SINCE_BEFORE;
}

static void an_outage_lasts_until_the_line_works_or_a_byte_comes(void **state)
{
    struct desk *d = *state;
    const struct {
        const char *what;
        bool four_failed, six_failed, suspect, no_link, before, received;
        enum since four, six;
    } cases[] = {
        {"it works", .four = NOT_DOWN, .six = NOT_DOWN},
        {"it is a suspect", .suspect = true, .four = NOT_DOWN, .six = NOT_DOWN},
        {"failed checks", .four_failed = true, .four = SINCE_NOW, .six = NOT_DOWN},
        {"failed checks of IPv6", .six_failed = true, .four = NOT_DOWN, .six = SINCE_NOW},
        {"the link is gone", .no_link = true, .four = SINCE_NOW, .six = SINCE_NOW},
        {"failed for a while", .four_failed = true, .before = true, .four = SINCE_BEFORE, .six = NOT_DOWN},
        {"gone for a while", .no_link = true, .before = true, .four = SINCE_BEFORE, .six = SINCE_BEFORE},
        {"a byte came", .no_link = true, .before = true, .received = true, .four = SINCE_NOW,
         .six = SINCE_BEFORE},
        {"it works again", .before = true, .four = NOT_DOWN, .six = NOT_DOWN},
    };
    const struct uplink fresh = *line(d, 0);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double begin = clock_now_s();
        struct dead_line *l = lines_of(d)->lines[0];
        struct uplink *u = line(d, 0);
        *u = fresh;
        l[0] = l[1] = (struct dead_line){.since_s = cases[i].before ? begin - RECENTLY_S : 0, .received = 7};
        u->four.received = cases[i].received ? 8 : 7;
        u->six.received = 7;
        u->view.ipv4 = !cases[i].no_link;
        if (cases[i].four_failed)
            u->four.health = FAILED;
        if (cases[i].suspect)
            u->four.health = u->six.health = SUSPECT;
        if (cases[i].six_failed)
            u->six.health = FAILED;
        u->four.health.received = u->six.health.received = 8; /* no health recovers by bytes */
        dead_lines_look(lines_of(d));
        if (since_of(&l[0], begin) != cases[i].four || since_of(&l[1], begin) != cases[i].six)
            FIXTURE_FAIL(d->f, "%s: down since %g and %g at %g", cases[i].what, l[0].since_s, l[1].since_s,
                         begin);
        if (cases[i].received)
            assert_true(l[0].received == 8);
        assert_false(ev_is_active(&lines_of(d)->timer)); /* no line has a connection */
    }
}

static void the_look_comes_when_the_first_outage_is_too_long(void **state)
{
    struct desk *d = *state;
    const struct {
        double down_for_s[2]; /* fibre and lte; 0: it works */
        bool carries;
        double look_in_s; /* 0: none */
    } cases[] = {
        {{0, 0}, true, 0},
        {{RECENTLY_S, 0}, false, 0},
        {{RECENTLY_S, 0}, true, CUT_AFTER_S - RECENTLY_S},
        {{RECENTLY_S, 300}, true, CUT_AFTER_S - RECENTLY_S},
        {{300, RECENTLY_S}, true, CUT_AFTER_S - RECENTLY_S},
        {{LONG_AGO_S, 0}, true, 0}, /* nothing on it could be cut */
        {{LONG_AGO_S, RECENTLY_S}, true, CUT_AFTER_S - RECENTLY_S},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double now = clock_now_s();
        for (size_t k = 0; k < 2; k++) {
            bool down = cases[i].down_for_s[k] > 0;
            line(d, k)->four.health = down ? FAILED : (struct health){.silences = 0};
            lines_of(d)->lines[k][0].since_s = down ? now - cases[i].down_for_s[k] : 0;
        }
        line(d, 2)->view.active = cases[i].carries;
        dead_lines_look(lines_of(d));
        if (cases[i].look_in_s > 0)
            assert_looks_within(d, cases[i].look_in_s);
        else if (ev_is_active(&lines_of(d)->timer))
            FIXTURE_FAIL(d->f, "case %zu waits for nothing", i);
    }
    dead_lines_done(lines_of(d));
    d->proxy.settings.cut_after_s = 0; /* never: nothing is noted */
    line(d, 2)->view.active = 1;
    line(d, 0)->four.health = FAILED;
    lines_of(d)->lines[0][0].since_s = 0;
    dead_lines_look(lines_of(d));
    assert_true(lines_of(d)->lines[0][0].since_s == 0 && !ev_is_active(&lines_of(d)->timer));
}

/* --- connections ---------------------------------------------------------------------------------------- */

/* @return the client's end */
static int tunnel(struct desk *d, int *ret_dest)
{
    int client = desk_client(d);

    desk_ask(d, client, "CONNECT $ HTTP/1.1\r\nHost: $\r\n\r\n");
    *ret_dest = desk_accept(d);
    (void)desk_hear_head(d, client, "HTTP/1.1 200 ");
    desk_turn_until(d, desk_is_in_state, SESSION_TUNNEL, "the tunnel is not made");
    return client;
}

/* As if it had been connected by this uplink. */
static void put_on(struct desk *d, size_t i, int family)
{
    uplink_acquire(&d->session->outbound->lease, line(d, i));
    d->session->outbound->lease.family = family;
}

static void fail_since(struct desk *d, size_t i, int family, double for_s)
{
    *uplink_health(line(d, i), family) = FAILED;
    lines_of(d)->lines[i][family == AF_INET6].since_s = clock_now_s() - for_s;
}

/* Put a line into one state:
 *   .  it answers                          D  its checks failed long ago
 *   d  its checks failed not long ago      6  only those of IPv6 failed, long ago
 *   N  its link went long ago              s  it is a suspect, which a new connection might try
 *   v  it has only IPv6                    o  it is draining
 *   p  a parent proxy, by any line         f  a parent proxy, by the line fibre
 *   F  the same, but its checks failed long ago */
static void set_line(struct desk *d, size_t i, char what)
{
    struct uplink *u = line(d, i);

    lines_of(d)->lines[i][0] = lines_of(d)->lines[i][1] = (struct dead_line){.since_s = 0};
    if (what == 'D' || what == 'F' || what == 'd')
        fail_since(d, i, AF_INET, what == 'd' ? RECENTLY_S : LONG_AGO_S);
    if (what == '6')
        fail_since(d, i, AF_INET6, LONG_AGO_S);
    if (what == 'N') {
        u->view.up = u->view.ipv4 = false;
        fail_since(d, i, AF_INET, LONG_AGO_S);
        u->four.health = (struct health){.silences = 0};
    }
    if (what == 's')
        u->four.health = SUSPECT;
    if (what == 'v') {
        u->view.ipv4 = false;
        u->view.ipv6 = true;
    }
    if (what == 'o')
        u->view.up = false;
    if (what == 'p' || what == 'f' || what == 'F') {
        u->parent = &parent;
        (void)snprintf(u->interface, sizeof u->interface, "%s", what == 'p' ? "" : "fibre");
    }
}

enum fate { STAYS, LEFT, CUT }; /* LEFT: it would be cut, but no other uplink could take it */

struct row {
    const char *lines; /* fibre, lte, wifi */
    int family;
    size_t by;
    enum fate fate;
    const char *link;    /* the link of fibre; NULL: "fibre" */
    const char *source4; /* the source address of fibre; NULL for none */
};

static void follow_row(struct desk *d, const struct row *row)
{
    int dest, client = tunnel(d, &dest);

    put_on(d, row->by, row->family);
    for (size_t i = 0; i < FIXTURE_UPLINKS; i++)
        set_line(d, i, row->lines[i]);
    if (row->link)
        (void)snprintf(line(d, 0)->interface, sizeof line(d, 0)->interface, "%s", row->link);
    if (row->source4)
        assert_int_equal(addr_parse_ip(&line(d, 0)->egress.source4, slice_str(row->source4), 0), 0);
    dead_lines_look(lines_of(d));
    if (row->fate == CUT) {
        desk_hear_end(d, client, ECONNRESET);
        desk_hear_end(d, dest, ECONNRESET);
        assert_false(ev_is_active(&lines_of(d)->timer));
    } else {
        desk_say_str(client, "up");
        desk_hear(d, dest, "up");
        desk_reset(d, client);
        desk_hear_end(d, dest, ECONNRESET);
    }
    desk_await_closed(d);
    bool again =
        ev_is_active(&lines_of(d)->timer) && ev_timer_remaining(d->loop, &lines_of(d)->timer) <= AGAIN_S;
    if (again != (row->fate == LEFT))
        FIXTURE_FAIL(d->f, "'%s' by %zu: %s", row->lines, row->by, again ? "looks again" : "does not look");
}

static void follow_rows(struct desk *d, const struct row *rows, size_t n)
{
    struct uplink fresh[FIXTURE_UPLINKS];

    for (size_t i = 0; i < FIXTURE_UPLINKS; i++)
        fresh[i] = *line(d, i);
    for (size_t i = 0; i < n; i++) {
        follow_row(d, &rows[i]);
        for (size_t k = 0; k < FIXTURE_UPLINKS; k++) {
            assert_true(line(d, k)->view.active == 0);
            *line(d, k) = fresh[k];
        }
    }
}

static void which_connections_are_cut(void **state)
{
    static const struct row rows[] = {
        {"...", AF_INET, 0, .fate = STAYS},
        {"D..", AF_INET, 0, .fate = CUT},
        {"N..", AF_INET, 0, .fate = CUT},
        {"s..", AF_INET, 0, .fate = STAYS}, /* a suspect is not down */
        {"d..", AF_INET, 0, .fate = STAYS}, /* not for long enough */
        {"D..", AF_INET, 1, .fate = STAYS}, /* it is on another line */
        {".D.", AF_INET, 1, .fate = CUT},
        {"D..", AF_INET6, 0, .fate = STAYS}, /* each family has its own outage */
        {"6..", AF_INET, 0, .fate = STAYS},
        {"6..", AF_INET6, 0, .fate = CUT},
        /* Its client must be able to connect again by another uplink. */
        {"DDD", AF_INET, 0, .fate = LEFT},
        {"Dd.", AF_INET, 0, .fate = CUT},
        {"Ddd", AF_INET, 0, .fate = LEFT},
        {"Dss", AF_INET, 0, .fate = LEFT}, /* even when a try is due */
        {"Dvv", AF_INET, 0, .fate = LEFT}, /* the destination has IPv4 */
        {"Doo", AF_INET, 0, .fate = LEFT},
        {"Dop", AF_INET, 0, .fate = CUT},
        {"Dof", AF_INET, 0, .fate = LEFT}, /* that parent proxy is reached by the same line */
        {"dof", AF_INET, 0, .fate = STAYS},
        {"dD.", AF_INET, 0, .fate = STAYS}, /* another line's outage is too long */
    };

    follow_rows(*state, rows, ARRAY_LEN(rows));
}

static void a_connection_by_a_parent_proxy_belongs_to_the_line_that_it_leaves_by(void **state)
{
    static const struct row rows[] = {
        {"Df.", AF_INET, 1, .fate = CUT},
        {"df.", AF_INET, 1, .fate = STAYS},
        {".f.", AF_INET, 1, .fate = STAYS},
        {"Dff", AF_INET, 1, .fate = LEFT},
        {"6f.", AF_INET, 1, .fate = STAYS},
        {".Ff", AF_INET, 2, .fate = STAYS}, /* another parent proxy is dead, but the line is not */
        {"Df.", AF_INET, 1, .fate = STAYS, .link = "lo"}, /* the line that is named counts */
        {"Dpo", AF_INET, 1, .fate = LEFT, .link = "lo"},  /* by the same uplink it would leave there again */
        {"Dp.", AF_INET, 1, .fate = STAYS},
        {"Dp.", AF_INET, 1, .fate = CUT, .link = "lo"}, /* its source is an address of that link */
        {"dp.", AF_INET, 1, .fate = STAYS, .link = "lo"},
        {"Dp.", AF_INET, 1, .fate = CUT, .source4 = "127.0.0.1"},
        {"Dp.", AF_INET, 1, .fate = STAYS, .source4 = "127.0.0.2"},
    };

    follow_rows(*state, rows, ARRAY_LEN(rows));
}

/* A parent proxy has one outage for both families. */
static void a_dead_parent_proxy_is_dead_in_both_families(void **state)
{
    struct desk *d = *state;
    int dest, client = tunnel(d, &dest);

    put_on(d, 0, AF_INET6);
    set_line(d, 0, 'p');
    fail_since(d, 0, AF_INET, LONG_AGO_S);
    dead_lines_look(lines_of(d));
    desk_hear_end(d, client, ECONNRESET);
    desk_hear_end(d, dest, ECONNRESET);
    desk_await_closed(d);
}

/* Direct connections and those that are being made have no line. A connection is cut once, even if its
 * worker has not read the order yet. */
static void other_connections_stay(void **state)
{
    enum { DIRECT, DIALING, IS_CUT, OTHER, N };
    struct desk *d = *state;
    struct session *sessions[N];
    int dest[N], client[N];

    for (int i = 0; i < N; i++) {
        client[i] = tunnel(d, &dest[i]);
        sessions[i] = d->session;
        if (i != DIRECT)
            put_on(d, 0, AF_INET);
    }
    sessions[DIALING]->outbound->connected = false;
    sessions[IS_CUT]->is_cut = true;
    (void)desk_client(d); /* without a request */
    set_line(d, 0, 'D');
    dead_lines_look(lines_of(d));
    desk_hear_end(d, client[OTHER], ECONNRESET);
    for (int i = 0; i < OTHER; i++) {
        desk_say_str(client[i], "up");
        desk_hear(d, dest[i], "up");
    }
    sessions[DIALING]->outbound->connected = true;
    if (fixture_log_count(d->f, "uplink=fibre connections=1\n") != 1)
        FIXTURE_FAIL(d->f, "the log does not say what was cut");
}

static void each_line_says_how_many_were_cut(void **state)
{
    struct desk *d = *state;
    int dest[3], client[3];

    for (size_t i = 0; i < 3; i++) {
        client[i] = tunnel(d, &dest[i]);
        put_on(d, i / 2, AF_INET);
    }
    set_line(d, 0, 'D');
    set_line(d, 1, 'D');
    dead_lines_look(lines_of(d));
    for (size_t i = 0; i < 3; i++)
        desk_hear_end(d, client[i], ECONNRESET);
    desk_await_closed(d);
    dead_lines_look(lines_of(d));
    if (fixture_log_count(d->f, "uplink=fibre connections=2\n") != 1 ||
        fixture_log_count(d->f, "uplink=lte connections=1\n") != 1 ||
        fixture_log_count(d->f, "connections cut") != 2)
        FIXTURE_FAIL(d->f, "the log does not say what was cut");
}

/* --- time ----------------------------------------------------------------------------------------------- */

/* The timer itself looks again. */
static void the_outage_becomes_too_long_meanwhile(void **state)
{
    struct desk *d = *state;
    int dest, client = tunnel(d, &dest);

    put_on(d, 0, AF_INET);
    set_line(d, 0, 'd');
    dead_lines_look(lines_of(d));
    desk_hear_nothing(d, client);
    lines_of(d)->lines[0][0].since_s = clock_now_s() - CUT_AFTER_S + 0.02;
    dead_lines_look(lines_of(d));
    desk_hear_end(d, client, ECONNRESET);
    desk_hear_end(d, dest, ECONNRESET);
    desk_await_closed(d);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(an_outage_lasts_until_the_line_works_or_a_byte_comes),
        ONE(the_look_comes_when_the_first_outage_is_too_long),
        ONE(which_connections_are_cut),
        ONE(a_connection_by_a_parent_proxy_belongs_to_the_line_that_it_leaves_by),
        ONE(a_dead_parent_proxy_is_dead_in_both_families),
        ONE(other_connections_stay),
        ONE(each_line_says_how_many_were_cut),
        ONE(the_outage_becomes_too_long_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
