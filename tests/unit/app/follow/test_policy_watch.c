/* A save between loading and watching is not missed. The ways in which editors save are tested with the
 * whole program. */
#include "policy/fixture.h"

#include "follow/policy_watch.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char POLICY[] =
    "return { name = 'p', new = function() return { pick = function(_, u) return u[1] end } end }";

/* This many watches are refused, as by the kernel's limit for a user. */
static int refused;

int inotify_add_watch(int fd, const char *path, uint32_t what)
{
    if (refused > 0) {
        refused--;
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_inotify_add_watch, fd, path, what);
}

static void on_over(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

static void run_for(struct ev_loop *loop, double s)
{
    ev_timer over;

    ev_timer_init(&over, on_over, s, 0.);
    ev_timer_start(loop, &over);
    (void)ev_run(loop, 0);
}

struct room {
    struct ev_loop *loop;
    struct policy_loading loading;
    struct policy_watch watch;
};

static void open_room(struct room *r, struct fixture *f)
{
    r->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(r->loop);
    assert_int_equal(fixture_load(f, POLICY), 0);
    policy_loading_open(&r->loading, r->loop, f->policy);
    assert_int_equal(policy_watch_start(&r->watch, r->loop, f->policy, &r->loading), 0);
    assert_int_equal(policy_generation(f->policy), 1);
}

static void close_room(struct room *r)
{
    policy_watch_stop(&r->watch);
    policy_watch_stop(&r->watch); /* harmless */
    policy_loading_close(&r->loading);
    ev_loop_destroy(r->loop);
}

static void save(struct fixture *f)
{
    fixture_write(f, "p.lua", POLICY, strlen(POLICY));
}

static void await_generation(struct room *r, struct fixture *f, uint64_t n)
{
    for (int i = 0; i < 300 && policy_generation(f->policy) < n; i++)
        run_for(r->loop, 0.1);
    assert_int_equal(policy_generation(f->policy), n);
}

static void a_save_before_a_renewal_is_loaded_after_it(void **state)
{
    struct fixture *f = *state;
    struct room r;
    open_room(&r, f);
    for (uint64_t n = 2; n <= 4; n++) {
        save(f); /* the event of the save has not been read yet */
        policy_watch_renew(&r.watch);
        await_generation(&r, f, n);
    }
    policy_watch_renew(&r.watch);
    run_for(r.loop, 0.3);
    assert_int_equal(policy_generation(f->policy), 4); /* a new watch alone loads nothing */
    close_room(&r);
}

/* A save while no watch was possible is loaded as soon as a watch is possible again. */
static void a_missing_watch_is_tried_again(void **state)
{
    struct fixture *f = *state;
    struct room r;
    refused = INT_MAX;
    open_room(&r, f);
    save(f);
    run_for(r.loop, 0.3);
    assert_int_equal(policy_generation(f->policy), 1);
    refused = 0;
    await_generation(&r, f, 2);
    close_room(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_save_before_a_renewal_is_loaded_after_it, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(a_missing_watch_is_tried_again, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
