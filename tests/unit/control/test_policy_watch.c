/* A save is never missed, whenever it falls between loading and watching. The ways in which editors save are
 * tested on the whole program. */
#include "policy/fixture.h"

#include "control/policy_watch.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char POLICY[] =
    "return { name = 'p', new = function() return { pick = function(_, u) return u[1] end } end }";

/* So many watches are refused, as by the kernel's limit for a user. */
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

static void what_is_saved_before_a_renewal_is_loaded_after_it(void **state)
{
    struct fixture *f = *state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct policy_loading loading;
    struct policy_watch w;
    assert_non_null(loop);
    assert_int_equal(fixture_load(f, POLICY), 0);
    policy_loading_open(&loading, loop, f->policy);
    assert_int_equal(policy_watch_start(&w, loop, f->policy, &loading), 0);
    assert_int_equal(policy_generation(f->policy), 1);
    for (uint64_t n = 2; n <= 4; n++) {
        fixture_write(f, "p.lua", POLICY, strlen(POLICY)); /* nobody has read of it yet */
        policy_watch_renew(&w);
        for (int i = 0; i < 300 && policy_generation(f->policy) < n; i++)
            run_for(loop, 0.1);
        assert_int_equal(policy_generation(f->policy), n);
    }
    policy_watch_renew(&w);
    run_for(loop, 0.3);
    assert_int_equal(policy_generation(f->policy), 4); /* a renewal alone loads nothing */
    policy_watch_stop(&w);
    policy_watch_stop(&w); /* harmless */
    policy_loading_close(&loading);
    ev_loop_destroy(loop);
}

/* What was saved while nothing could be watched is loaded as soon as something can be again. */
static void what_cannot_be_watched_is_looked_at_again(void **state)
{
    struct fixture *f = *state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct policy_loading loading;
    struct policy_watch w;
    assert_non_null(loop);
    assert_int_equal(fixture_load(f, POLICY), 0);
    policy_loading_open(&loading, loop, f->policy);
    refused = INT_MAX;
    assert_int_equal(policy_watch_start(&w, loop, f->policy, &loading), 0);
    fixture_write(f, "p.lua", POLICY, strlen(POLICY));
    run_for(loop, 0.3);
    assert_int_equal(policy_generation(f->policy), 1);
    refused = 0;
    for (int i = 0; i < 300 && policy_generation(f->policy) < 2; i++)
        run_for(loop, 0.1);
    assert_int_equal(policy_generation(f->policy), 2);
    policy_watch_stop(&w);
    policy_loading_close(&loading);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_saved_before_a_renewal_is_loaded_after_it, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_watched_is_looked_at_again, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
