/* The search: the order of uplinks, the policy's questions and hooks, and the end. The policies are real,
 * and so are the uplinks' parent proxies, on loopback: each accepts, is missing, or stays silent. No bytes
 * reach the destination. */
#include "outbound/search_state.h"
#include "uplink/uplink.h"

#include "outbound/candidates.h"
#include "outbound/door.h"
#include "outbound/scene.h"
#include "policy/fixture.h"
#include "support/loopback.h"

static const char DESTINATION[] = "203.0.113.7"; /* reserved by RFC 5737 */
enum { ALL = 10 };

struct desk {
    struct fixture *f; /* three uplinks, the second of them metered; a policy; the log */
    struct ev_loop *loop;
    struct outbounds shared;
    struct scene scene;
    struct parent_spec parents[ALL];
    struct door open, later;
    struct addr closed, mute;
    int closed_fd, mute_fd;
    struct addr client;
    struct outbound *outbound;
    enum fault fault;
    int fd;
    bool done;
};

/* --- the desk ------------------------------------------------------------------------------------------- */

/* An uplink whose parent proxy is at an address. */
static void leads_to(struct desk *d, size_t i, const struct addr *at)
{
    struct parent_spec *p = &d->parents[i];

    *p = (struct parent_spec){.scheme = "http", .host = "127.0.0.1", .port = addr_port(at)};
    d->f->set.items[i]->kind = UPLINK_PARENT;
    d->f->set.items[i]->parent = p;
    d->f->set.items[i]->egress = EGRESS_DIRECT;
    d->f->set.items[i]->names.resolver = d->shared.resolver;
}

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
    loops_init(&d->shared.loops, &d->scene.own);
    assert_int_equal(addr_parse_ip(&d->client, slice_str("192.0.2.7"), 0), 0);
    door_start(&d->open, d->loop, false);
    door_start(&d->later, d->loop, true);
    d->closed_fd = socket_at_loopback(AF_INET, SOCK_STREAM, &d->closed);  /* bound, but not listening */
    d->mute_fd = listen_at_loopback(AF_INET, DOOR_CLIENTS_MAX, &d->mute); /* only the kernel answers */
    d->fd = -1;
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    void *fixture = d->f;

    outbound_finish(d->outbound, NULL);
    for (size_t i = 0; i < d->f->set.n; i++)
        assert_true(d->f->set.items[i]->view.active == 0); /* each lease was released once */
    if (d->fd >= 0)
        (void)close(d->fd);
    door_stop(&d->open);
    door_stop(&d->later);
    (void)close(d->closed_fd);
    (void)close(d->mute_fd);
    scene_done(&d->scene, &d->shared);
    assert_int_equal(fixture_teardown(&fixture), 0);
    free(d);
    return 0;
}

/* A policy that logs its calls, so that their order shows. */
#define TELLS                                                                                                \
    "local function names(us) local n = {} for i, u in ipairs(us) do n[i] = u.name end\n"                    \
    "return table.concat(n, ',') end\n"                                                                      \
    "local function told(hook) return function(conn, u, more) ctx.log.info('%s %s %d %s', hook, u.name,\n"   \
    "conn.attempt, type(more) == 'string' and more or '-') end end\n"
#define SEEN                                                                                                 \
    "ctx.log.info('pick %d of %s after %s%s', conn.attempt, names(us), tostring(conn.last_error),\n"         \
    "conn.race and ' race' or '')\n"
#define POLICY(answer)                                                                                       \
    "return { name = 'p', new = function(ctx)\n" TELLS "return { opened = told 'opened',\n"                  \
    "failed = told 'failed', lost_race = told 'lost',\n"                                                     \
    "pick = function(conn, us)\nif conn.host ~= '203.0.113.7' then return us[1] end\n" SEEN answer "\n"      \
    "end } end }\n"

static void load(struct desk *d, const char *text)
{
    FIXTURE_LOAD(d->f, text);
    d->shared.policy = d->f->policy;
}

/* The policy's line in the log. */
static void assert_told(const struct desk *d, const char *what, size_t times)
{
    size_t n = fixture_log_count(d->f, what);
    if (n != times)
        FIXTURE_FAIL(d->f, "'%s' was told %zu times, not %zu", what, n, times);
}

static void on_end(struct outbound *o, enum fault fault, int fd)
{
    struct desk *d = o->owner;

    assert_false(d->done);
    assert_null(o->search);
    d->fault = fault;
    d->fd = fd;
    d->done = true;
}

static void start(struct desk *d)
{
    struct target t;

    assert_int_equal(target_set(&t, slice_str(DESTINATION), 80), PARSE_OK);
    assert_int_equal(outbound_new(&d->outbound, &d->shared,
                                  &(struct outbound_request){.target = &t,
                                                             .proto = POLICY_SOCKS5,
                                                             .client = &d->client,
                                                             .listener = "127.0.0.1:1080"},
                                  on_end, d),
                     0);
    assert_false(d->done);
}

static void finish(struct desk *d)
{
    if (!run_until_within(d->loop, &d->done, PATIENCE_S))
        FIXTURE_FAIL(d->f, "the search has not ended after %d attempts", d->outbound->attempts);
}

typedef bool reached_fn(const struct desk *d, const void *what);

static void turn_until(struct desk *d, reached_fn *reached, const void *what)
{
    ev_timer patience;

    ev_now_update(d->loop);
    ev_timer_init(&patience, on_patience_over, PATIENCE_S, 0);
    ev_timer_start(d->loop, &patience);
    while (!reached(d, what) && ev_is_active(&patience))
        ev_run(d->loop, EVRUN_ONCE);
    ev_timer_stop(d->loop, &patience);
    if (!reached(d, what) || d->done)
        FIXTURE_FAIL(d->f, "%d attempts; %s", d->outbound->attempts, d->done ? "at its end" : "not there");
}

static bool has_attempts(const struct desk *d, const void *what)
{
    return d->outbound->attempts >= *(const int *)what;
}

static bool has_told(const struct desk *d, const void *what)
{
    return fixture_log_count(d->f, what) > 0;
}

/* Until this many attempts were started. */
static void turn_until_attempt(struct desk *d, int attempts)
{
    turn_until(d, has_attempts, &attempts);
}

static void turn_until_told(struct desk *d, const char *what)
{
    turn_until(d, has_told, what);
}

static void assert_serves(const struct desk *d, const char *name, int attempt)
{
    const struct outbound *o = d->outbound;

    if (d->fault != FAULT_NONE || !o->lease.uplink || strcmp(o->lease.uplink->name, name) != 0)
        FIXTURE_FAIL(d->f, "%s: by %s", fault_name(d->fault), o->tried ? o->tried->name : "none");
    assert_true(d->fd >= 0 && o->connected && !o->direct);
    assert_int_equal(o->attempt, attempt);
}

static void assert_fails(const struct desk *d, enum fault fault)
{
    if (d->fault != fault)
        FIXTURE_FAIL(d->f, "%s, not %s", fault_name(d->fault), fault_name(fault));
    assert_true(d->fd == -1 && !d->outbound->connected && !d->outbound->lease.uplink);
}

/* --- sequence ------------------------------------------------------------------------------------------- */

static void after_a_failure_the_next_of_the_list_is_tried(void **state)
{
    struct desk *d = *state;
    leads_to(d, 0, &d->closed);
    leads_to(d, 1, &d->open.at);
    leads_to(d, 2, &d->open.at);
    load(d, POLICY("return { us[1], us[3] }, 'by list'"));
    start(d);
    finish(d);
    assert_serves(d, "wifi", 2);
    assert_string_equal(d->outbound->reason, "by list");
    assert_told(d, "pick 1 of fibre,lte,wifi after nil", 1);
    assert_told(d, "pick ", 1); /* the list is not used up */
    assert_told(d, "failed fibre 1", 1);
    assert_told(d, "opened wifi 2", 1);
    assert_told(d, "lost ", 0);
}

static void at_the_lists_end_the_policy_is_asked_anew(void **state)
{
    struct desk *d = *state;
    leads_to(d, 0, &d->closed);
    leads_to(d, 1, &d->open.at);
    leads_to(d, 2, &d->open.at);
    load(d, POLICY("return us[1]"));
    start(d);
    finish(d);
    assert_serves(d, "lte", 2);
    assert_told(d, "pick 2 of lte,wifi after unreachable", 1);
}

static void a_refusal_ends_the_search(void **state)
{
    struct desk *d = *state;
    for (size_t i = 0; i < d->f->set.n; i++)
        leads_to(d, i, &d->open.at);
    load(d, POLICY("return false, 'not there'"));
    start(d);
    finish(d);
    assert_fails(d, FAULT_DENIED);
    assert_true(d->outbound->refused);
    assert_string_equal(d->outbound->reason, "not there");
    assert_int_equal(d->outbound->attempts, 0);
    assert_true(d->open.n == 0);
}

static void a_refusal_after_a_failure_ends_the_search(void **state)
{
    struct desk *d = *state;
    leads_to(d, 0, &d->closed);
    leads_to(d, 1, &d->open.at);
    leads_to(d, 2, &d->open.at);
    load(d, POLICY("if conn.attempt > 1 then return false, 'once is enough' end return us[1]"));
    start(d);
    finish(d);
    assert_fails(d, FAULT_DENIED);
    assert_string_equal(d->outbound->reason, "once is enough");
    assert_told(d, "failed fibre 1", 1);
    assert_true(d->open.n == 0);
}

static void without_a_candidate_the_policy_is_not_asked(void **state)
{
    struct desk *d = *state;
    for (size_t i = 0; i < d->f->set.n; i++)
        d->f->set.items[i]->view.up = false;
    load(d, POLICY("return us[1]"));
    start(d);
    finish(d);
    assert_fails(d, FAULT_NO_UPLINK);
    assert_string_equal(d->outbound->reason, CANDIDATES_NONE); /* the text of `why` */
    assert_told(d, "pick ", 0);
}

static void eight_attempts_at_most(void **state)
{
    struct desk *d = *state;
    while (d->f->set.n < ALL) {
        char name[8];
        (void)snprintf(name, sizeof name, "wan%zu", d->f->set.n);
        (void)fixture_add_uplink(d->f, name, 1);
    }
    for (size_t i = 0; i < ALL; i++)
        leads_to(d, i, i < 8 ? &d->closed : &d->open.at);
    load(d, POLICY("return us"));
    start(d);
    finish(d);
    assert_fails(d, FAULT_PARENT);
    assert_int_equal(d->outbound->attempts, 8);
    assert_told(d, "failed ", 8);
    assert_true(d->open.n == 0);
}

static void the_policy_that_was_loaded_meanwhile_is_asked(void **state)
{
    struct desk *d = *state;
    static const char next[] = POLICY("return us[#us], 'by the new one'");
    leads_to(d, 0, &d->mute);
    leads_to(d, 1, &d->open.at);
    leads_to(d, 2, &d->open.at);
    load(d, POLICY("return us, 'by the old one'"));
    start(d);
    turn_until_attempt(d, 1);
    fixture_write(d->f, "p.lua", next, sizeof next - 1);
    assert_int_equal(policy_reload(d->f->policy, d->f->err), 0);
    assert_true(search_lose_uplink(d->outbound->search, d->f->set.items[0]));
    finish(d);
    assert_serves(d, "wifi", 2); /* and not lte, which follows in the old policy's list */
    assert_string_equal(d->outbound->reason, "by the new one");
    assert_told(d, "pick 2 of lte,wifi after unreachable", 1);
    assert_true(d->outbound->generation == policy_generation(d->f->policy));
}

/* Half of the time is kept for other uplinks only if one of them could follow. */
static void time_is_kept_only_for_uplinks_that_may_follow(void **state)
{
    struct desk *d = *state;
    struct uplink *const *items = d->f->set.items;
    for (size_t i = 0; i < d->f->set.n; i++)
        leads_to(d, i, &d->mute);
    load(d, POLICY("return us[1]"));
    start(d);
    turn_until_attempt(d, 1);
    const struct search *s = d->outbound->search;
    assert_int_equal(search_others(s, items[0]), SEARCH_OTHERS_ALIKE);
    items[2]->view.ipv4 = false; /* without the destination's family */
    assert_int_equal(search_others(s, items[0]), SEARCH_OTHERS_DEAR);
    items[2]->view.ipv4 = true;
    (void)health_check_captive(&items[2]->four.health); /* a captive uplink gets no second attempt */
    assert_int_equal(search_others(s, items[0]), SEARCH_OTHERS_DEAR);
    uplink_set_draining(items[1], true);
    assert_int_equal(search_others(s, items[0]), SEARCH_OTHERS_NONE);
}

/* No other uplink may be tried for a host of the portal, so the captive one gets all of the time. */
static void no_time_is_kept_from_the_uplink_behind_the_portal(void **state)
{
    struct desk *d = *state;
    struct uplink *const *items = d->f->set.items;
    for (size_t i = 0; i < d->f->set.n; i++)
        leads_to(d, i, &d->mute);
    (void)health_check_captive(&items[0]->four.health);
    items[0]->portal = strdup(DESTINATION);
    load(d, POLICY("return us[1]"));
    start(d);
    turn_until_attempt(d, 1);
    assert_ptr_equal(d->outbound->tried, items[0]);
    assert_int_equal(search_others(d->outbound->search, items[0]), SEARCH_OTHERS_NONE);
    free(items[0]->portal);
    items[0]->portal = NULL;
    assert_int_equal(search_others(d->outbound->search, items[0]), SEARCH_OTHERS_ALIKE);
}

static void the_last_attempt_gets_all_of_the_time(void **state)
{
    struct desk *d = *state;
    for (size_t i = 0; i < d->f->set.n; i++)
        leads_to(d, i, &d->mute);
    load(d, POLICY("return us[1]"));
    start(d);
    turn_until_attempt(d, 1);
    d->outbound->attempts = 7;
    assert_int_equal(search_others(d->outbound->search, d->f->set.items[0]), SEARCH_OTHERS_ALIKE);
    d->outbound->attempts = 8;
    assert_int_equal(search_others(d->outbound->search, d->f->set.items[0]), SEARCH_OTHERS_NONE);
}

/* --- races ---------------------------------------------------------------------------------------------- */

static void a_slow_attempt_is_raced_and_loses(void **state)
{
    struct desk *d = *state;
    leads_to(d, 0, &d->mute);
    leads_to(d, 1, &d->open.at);
    leads_to(d, 2, &d->open.at);
    load(d, POLICY("return us[1], conn.race and 'race' or 'first', { hedge = 0.02 }"));
    start(d);
    finish(d);
    assert_serves(d, "wifi", 2);
    assert_int_equal(d->outbound->race, OUTBOUND_RACE_WON);
    assert_true(d->outbound->by_race);
    assert_told(d, "pick 2 of wifi after nil race", 1); /* lte is metered */
    assert_told(d, "lost fibre 1", 1);
    assert_told(d, "opened wifi 2", 1);
    assert_told(d, "failed ", 0);
    assert_true(d->f->set.items[0]->view.races_lost == 1);
    assert_true(d->f->set.items[0]->view.active == 0);
}

static void the_first_may_win_its_race(void **state)
{
    struct desk *d = *state;
    leads_to(d, 0, &d->later.at);
    leads_to(d, 1, &d->open.at);
    leads_to(d, 2, &d->mute);
    load(d, POLICY("return us[1], 'r', { hedge = 0.02 }"));
    start(d);
    turn_until_attempt(d, 2);
    assert_int_equal(d->outbound->race, OUTBOUND_RACE_OPEN);
    door_open(&d->later);
    finish(d);
    assert_serves(d, "fibre", 1);
    assert_int_equal(d->outbound->race, OUTBOUND_RACE_LOST);
    assert_false(d->outbound->by_race);
    assert_told(d, "lost wifi 2", 1);
    assert_told(d, "opened fibre 1", 1);
}

/* When one of two fails, the search waits for the other, and starts a third beside it. */
static void a_race_continues_after_one_attempt_fails(void **state)
{
    struct desk *d = *state;
    (void)fixture_add_uplink(d->f, "dsl", 1);
    leads_to(d, 0, &d->mute);
    leads_to(d, 1, &d->open.at);
    leads_to(d, 2, &d->closed);
    leads_to(d, 3, &d->open.at);
    load(d, POLICY("return us[1], 'r', { hedge = 0.02 }"));
    start(d);
    finish(d);
    assert_serves(d, "dsl", 3);
    assert_told(d, "failed wifi 2", 1);
    assert_told(d, "pick 3 of dsl after unreachable race", 1);
    assert_told(d, "lost fibre 1", 1);
}

static void a_refused_race_leaves_the_first_alone(void **state)
{
    struct desk *d = *state;
    leads_to(d, 0, &d->later.at);
    leads_to(d, 1, &d->open.at);
    leads_to(d, 2, &d->open.at);
    load(d, POLICY("if conn.race then ctx.log.info 'no race' return false, 'no' end\n"
                   "return us[1], 'alone', { hedge = 0.02 }"));
    start(d);
    turn_until_told(d, "no race");
    door_open(&d->later);
    finish(d);
    assert_serves(d, "fibre", 1);
    assert_int_equal(d->outbound->race, OUTBOUND_NO_RACE);
    assert_false(d->outbound->refused);
    assert_string_equal(d->outbound->reason, "alone");
    assert_told(d, "lost ", 0);
}

static void a_stopped_search_releases_everything(void **state)
{
    struct desk *d = *state;
    for (size_t i = 0; i < d->f->set.n; i++)
        leads_to(d, i, &d->mute);
    load(d, POLICY("return us[1], 'r', { hedge = 0.02 }"));
    start(d);
    turn_until_attempt(d, 2);
    outbound_finish(d->outbound, NULL);
    d->outbound = NULL;
    assert_false(d->done);
    for (size_t i = 0; i < d->f->set.n; i++)
        assert_true(d->f->set.items[i]->view.active == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(after_a_failure_the_next_of_the_list_is_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(at_the_lists_end_the_policy_is_asked_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_ends_the_search, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_after_a_failure_ends_the_search, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_candidate_the_policy_is_not_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(eight_attempts_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(the_policy_that_was_loaded_meanwhile_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(time_is_kept_only_for_uplinks_that_may_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(no_time_is_kept_from_the_uplink_behind_the_portal, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_attempt_gets_all_of_the_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_attempt_is_raced_and_loses, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_may_win_its_race, setup, teardown),
        cmocka_unit_test_setup_teardown(a_race_continues_after_one_attempt_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_race_leaves_the_first_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_search_releases_everything, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
