/* Each load is announced once to each listener, in order of registration, whoever asked for it. */
#include "policy/fixture.h"

#include "follow/policy_loading.h"

static const char POLICY[] =
    "return { name = 'p', new = function() return { pick = function(_, u) return u[1] end } end }";
static const char WITH_LIST[] = "return { name = 'p', new = function(ctx) ctx.domains { file = 'l.txt' }\n"
                                "return { pick = function(_, u) return u[1] end } end }";

enum { HEARD_MAX = 16 };

static char heard[HEARD_MAX + 1]; /* a letter for each call: the called listener's */

static void note(char who)
{
    size_t n = strlen(heard);
    assert_true(n < HEARD_MAX);
    heard[n] = who;
}

static const char EVENTS[] = {[LOADING_READS] = 'r', [LOADING_LOADED] = 'l', [LOADING_REFUSED] = 'f'};

struct ear {
    struct loading_listener listener;
    char name;
    bool leaves;
};

static void hear(struct loading_listener *l, enum loading_event event)
{
    const struct ear *ear = (const struct ear *)l; /* its first member */
    note(ear->name);
    note(EVENTS[event]);
    if (ear->leaves)
        policy_loading_leave(l);
}

static void on_done(void *arg, const struct loading_verdict *v)
{
    (void)arg;
    note(v->loaded ? '+' : '-');
}

static void on_over(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* Until no load is running. */
static void run(struct policy_loading *l)
{
    for (int i = 0; i < 1000 && policy_loading_busy(l); i++) {
        ev_timer look;
        ev_timer_init(&look, on_over, 0.02, 0.);
        ev_timer_start(l->loop, &look);
        (void)ev_run(l->loop, 0);
    }
    assert_false(policy_loading_busy(l));
}

struct room {
    struct policy_loading loading;
    struct ear a, b;
};

static void room_open(struct room *r, struct fixture *f)
{
    memset(heard, 0, sizeof heard);
    *r = (struct room){.a = {.listener.hear = hear, .name = 'a'}, .b = {.listener.hear = hear, .name = 'b'}};
    FIXTURE_LOAD(f, POLICY);
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(loop);
    policy_loading_open(&r->loading, loop, f->policy);
    policy_loading_listen(&r->loading, &r->a.listener);
    policy_loading_listen(&r->loading, &r->b.listener);
}

static void room_close(struct room *r)
{
    struct ev_loop *loop = r->loading.loop;
    policy_loading_close(&r->loading);
    policy_loading_leave(&r->a.listener); /* harmless */
    ev_loop_destroy(loop);
}

/* @return what was heard */
static const char *load(struct room *r, struct fixture *f, const char *text)
{
    memset(heard, 0, sizeof heard);
    fixture_write(f, "p.lua", text, strlen(text));
    policy_loading_ask(&r->loading, NULL, "control", on_done, NULL);
    run(&r->loading);
    return heard;
}

static void every_load_is_announced_once_to_each(void **state)
{
    struct fixture *f = *state;
    struct room r;
    room_open(&r, f);
    assert_string_equal(heard, ""); /* an earlier load is not announced */
    assert_string_equal(load(&r, f, POLICY), "albl+");
    assert_string_equal(load(&r, f, "return 7"), "afbf-");
    fixture_write(f, "l.txt", "a.test\n", 7);
    assert_string_equal(load(&r, f, WITH_LIST), "arbralbl+");
    memset(heard, 0, sizeof heard);
    policy_loading_ask(&r.loading, NULL, "file", NULL, NULL); /* without a callback */
    run(&r.loading);
    assert_string_equal(heard, "albl");
    room_close(&r);
}

static void a_listener_may_leave_during_its_callback(void **state)
{
    struct fixture *f = *state;
    struct room r;
    room_open(&r, f);
    r.a.leaves = true;
    assert_string_equal(load(&r, f, POLICY), "albl+");
    assert_string_equal(load(&r, f, POLICY), "bl+");
    policy_loading_leave(&r.b.listener);
    assert_string_equal(load(&r, f, POLICY), "+");
    room_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_load_is_announced_once_to_each, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_listener_may_leave_during_its_callback, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
