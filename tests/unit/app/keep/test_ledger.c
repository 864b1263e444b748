/* What an uplink's quota has used and which capacity was learned outlive a run, and a hard quota that is used
 * up ends connections. */
#include "keep/ledger.h"

#include "policy/fixture.h"

enum { BYTES = 1000 };

struct desk {
    struct fixture *f;
    struct ev_loop *loop;
    struct ledger ledger;
    char path[128];
    size_t cuts;
    const struct uplink *cut; /* the latest */
};

static size_t on_cut(void *owner, struct uplink *u)
{
    struct desk *d = owner;

    d->cuts++;
    d->cut = u;
    return 3;
}

static void open_it(struct desk *d)
{
    const struct ledger_ties ties = {
        .uplinks = &d->f->set, .policy = d->f->policy, .cut = on_cut, .owner = d};

    assert_int_equal(ledger_open(&d->ledger, d->loop, d->path, &ties), 0);
}

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);
    void *fixture;

    assert_non_null(d);
    assert_int_equal(fixture_setup(&fixture), 0);
    d->f = fixture;
    d->loop = ev_loop_new(EVFLAG_AUTO);
    (void)snprintf(d->path, sizeof d->path, "%s/state.json", d->f->dir);
    for (size_t i = 0; i < d->f->set.n; i++)
        list_init(&d->f->set.items[i]->meters.busy);
    FIXTURE_LOAD(d->f,
                 "return { name = 'p', new = function(ctx) return {\n"
                 "  pick = function(_, us) return us[1] end,\n"
                 "  uplink_changed = function(u, what) ctx.log.info('told ' .. u.name .. ' ' .. what) end,\n"
                 "} end }");
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    void *fixture = d->f;

    ledger_close(&d->ledger);
    assert_int_equal(fixture_teardown(&fixture), 0);
    ev_loop_destroy(d->loop);
    free(d);
    return 0;
}

/* The uplink's quota, with so many bytes used. */
static void set_quota(struct uplink *u, bool hard, double used)
{
    quota_init(&u->quota, &(struct quota_plan){.bytes = BYTES, .hard = hard}, time(NULL));
    u->quota.used = used;
    uplink_settle(u);
}

static void a_hard_quota_that_is_used_up_ends_connections(void **state)
{
    struct desk *d = *state;
    struct uplink *u = d->f->set.items[1];

    set_quota(u, true, BYTES - 1);
    open_it(d);
    ledger_look(&d->ledger);
    assert_int_equal(d->cuts, 0);
    u->quota.used = BYTES;
    uplink_settle(u);
    ledger_look(&d->ledger);
    assert_true(d->cuts == 1 && d->cut == u);
    assert_int_equal(fixture_log_count(d->f, "quota used up"), 1);
    assert_int_equal(fixture_log_count(d->f, "cut=3"), 1);
    assert_int_equal(fixture_log_count(d->f, "told lte quota"), 1);
    ledger_look(&d->ledger);
    assert_int_equal(d->cuts, 1);
    u->view.active = 1; /* it was still dialling */
    ledger_look(&d->ledger);
    assert_int_equal(d->cuts, 2);
    assert_int_equal(fixture_log_count(d->f, "quota used up"), 1);
    u->quota.used = 0;
    uplink_settle(u);
    ledger_look(&d->ledger);
    assert_int_equal(d->cuts, 2);
    assert_int_equal(fixture_log_count(d->f, "quota has room again"), 1);
    assert_int_equal(fixture_log_count(d->f, "told lte quota"), 2);
}

static void a_soft_quota_ends_none(void **state)
{
    struct desk *d = *state;
    struct uplink *u = d->f->set.items[1];

    set_quota(u, false, BYTES);
    u->view.active = 1;
    open_it(d);
    ledger_look(&d->ledger);
    assert_int_equal(d->cuts, 0);
    assert_int_equal(fixture_log_count(d->f, "quota used up"), 1);
}

static void the_next_run_continues(void **state)
{
    struct desk *d = *state;
    struct uplink *u = d->f->set.items[1], *other = d->f->set.items[0];

    set_quota(u, false, 400);
    other->meters.rx.capacity = 5000;
    open_it(d);
    u->quota.used = 600;
    ledger_close(&d->ledger);
    set_quota(u, false, 0);
    other->meters.rx.capacity = 0;
    open_it(d);
    assert_true(u->quota.used == 600 && u->view.quota_left == BYTES - 600);
    assert_true(other->meters.rx.capacity == 5000 && other->view.rx_capacity == 5000);
}

static void a_file_that_cannot_be_parsed_is_set_aside(void **state)
{
    struct desk *d = *state;
    static const char text[] = "{ \"steerway_state\": 1, \"uplinks\": ";
    char bad[256];

    fixture_write(d->f, "state.json", text, sizeof text - 1);
    open_it(d);
    (void)snprintf(bad, sizeof bad, "%s.bad", d->path);
    assert_int_equal(access(bad, F_OK), 0);
    assert_int_equal(fixture_log_count(d->f, "the old one is beside it, as .bad"), 1);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_hard_quota_that_is_used_up_ends_connections),
        ONE(a_soft_quota_ends_none),
        ONE(the_next_run_continues),
        ONE(a_file_that_cannot_be_parsed_is_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
