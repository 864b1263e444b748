#include "control/capture_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "capture/capture_apply.h"
#include "capture/capture_near.h"
#include "control/capture_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const double RETRY_S = 60;
/* Routes are read among all others, which takes 1 ms for a thousand of them, and 1 s for a million. So this
 * part of the time at most, except where networks have changed. */
static const double READING_SHARE = 0.01;

static void begin_update(struct capture_keeper *k);

/* --- the log -------------------------------------------------------------------------------------------- */

/* Each reason once, as the attempt is repeated. */
static void tell_outdated(struct capture_keeper *k, const char *why)
{
    char command[1024] = "steerway capture on";
    const size_t len = strlen(command);
    struct log_line l;

    if (strcmp(k->told, why) == 0)
        return;
    (void)snprintf(k->told, sizeof k->told, "%s", why);
    (void)capture_request_options(&k->request, command + len, sizeof command - len);
    log_begin(&l, EVENT_CAPTURE_OUTDATED);
    log_str(&l, "why", why);
    log_str(&l, "repair", command);
    log_end(&l);
}

/* --- one change after another --------------------------------------------------------------------------- */

static void forget(struct capture_keeper *k)
{
    capture_shape_done(&k->shape);
    capture_ranges_done(&k->networks);
    k->on = k->fixed = false;
    k->failed_s = 0;
    k->told[0] = '\0';
}

/* @param fits  the table is as this proxy and machine want it */
static void note_result(struct capture_keeper *k, bool fits)
{
    k->failed_s = fits ? 0 : clock_now_s();
    if (fits)
        k->told[0] = '\0';
}

/* nft may have made the change all the same, or may make it yet. So the next look writes the table again,
 * whatever it wants.
 * @param rules  of which that change has written new ones */
static void doubt(struct capture_keeper *k, bool rules)
{
    capture_ranges_done(&k->shape.near);
    k->failed_s = clock_now_s();
    if (!rules)
        return;
    free(k->shape.rules);
    k->shape.rules = NULL;
}

/* The table is as this errand wants it. */
static void take_over(struct capture_keeper *k, struct capture_errand *e)
{
    bool update = e->change == CAPTURE_CHANGE_UPDATE;
    bool fits = !update || e->fits;

    if (!update)
        forget(k);
    k->on = e->change != CAPTURE_CHANGE_OFF;
    k->request = e->request;
    capture_shape_done(&k->shape);
    k->shape = e->shape;
    e->shape = (struct capture_shape){.rules = NULL};
    note_result(k, fits);
    if (update)
        log_plain(EVENT_CAPTURE_UPDATED);
}

static int refuse(char *err, int error)
{
    (void)snprintf(err, CAPTURE_ERROR_MAX, "%s",
                   error == -EBUSY ? "another change of the capture is under way; try again"
                                   : strerror(-error));
    return error;
}

static void on_changed(void *arg, const char *error);
static void on_late_answer(struct capture_holder *h);

/* @param script  NULL to let go */
static int run(struct capture_keeper *k, const struct capture_errand *e, const struct buf *script, char *err)
{
    struct capture_holder *h = &k->holder;
    bool update = e->change == CAPTURE_CHANGE_UPDATE;

    k->now = *e;
    h->answered_late = on_late_answer;
    int r = !script    ? capture_holder_release(h, on_changed, k)
            : !update  ? capture_holder_install(h, &e->request, script, on_changed, k)
            : e->whole ? capture_holder_replace(h, &e->request, script, on_changed, k)
                       : capture_holder_update(h, &e->request, script, on_changed, k);
    if (r == 0)
        return 0;
    k->now = (struct capture_errand){.change = CAPTURE_CHANGE_NONE};
    return refuse(err, r);
}

static int begin_on(struct capture_keeper *k, struct capture_errand *e, char *err)
{
    struct capture_place at;
    struct buf script;

    buf_init(&script, CAPTURE_SCRIPT_MAX);
    int r = capture_place_find(&at, k->proxy, &e->request);
    if (r == 0)
        r = capture_plan_table(&e->request, &at.ground, &script);
    if (r == 0)
        r = capture_shape_of(&e->request, &at.ground, &e->shape);
    if (r < 0)
        (void)snprintf(err, CAPTURE_ERROR_MAX, "cannot write the rules: %s", strerror(-r));
    else if (at.obstacle)
        (void)snprintf(err, CAPTURE_ERROR_MAX, "%s", at.obstacle);
    if (r == 0)
        r = at.obstacle ? -ENOTSUP : run(k, e, &script, err);
    if (r < 0)
        capture_shape_done(&e->shape);
    capture_place_done(&at);
    buf_done(&script);
    return r;
}

/* @return 0, or negative errno with one line in err; then done is not called */
static int begin(struct capture_keeper *k, struct capture_errand *e, char *err)
{
    return e->change == CAPTURE_CHANGE_OFF ? run(k, e, NULL, err) : begin_on(k, e, err);
}

static void begin_waiting(struct capture_keeper *k)
{
    struct capture_errand e = k->waiting;
    char err[CAPTURE_ERROR_MAX];

    k->waiting = (struct capture_errand){.change = CAPTURE_CHANGE_NONE};
    if (begin(k, &e, err) < 0)
        e.done(e.arg, err);
}

static void on_changed(void *arg, const char *error)
{
    struct capture_keeper *k = arg;
    struct capture_errand e = k->now;

    k->now = (struct capture_errand){.change = CAPTURE_CHANGE_NONE};
    if (!error)
        take_over(k, &e);
    capture_shape_done(&e.shape);
    if (error && k->holder.unsure)
        doubt(k, e.whole || e.change == CAPTURE_CHANGE_ON);
    if (error && e.change == CAPTURE_CHANGE_UPDATE) {
        k->fixed = k->fixed || e.whole;
        k->failed_s = clock_now_s();
        tell_outdated(k, error);
    }
    if (e.done)
        e.done(e.arg, error);
    if (k->waiting.change != CAPTURE_CHANGE_NONE)
        begin_waiting(k);
    else if (k->again || (error && e.whole && e.change == CAPTURE_CHANGE_UPDATE))
        begin_update(k);
}

static void on_late_answer(struct capture_holder *h)
{
    struct capture_keeper *k = container_of(h, struct capture_keeper, holder);

    if (k->now.change != CAPTURE_CHANGE_NONE)
        k->again = true;
    else
        begin_update(k);
}

static int begin_or_wait(struct capture_keeper *k, struct capture_errand *e, char *err)
{
    if (k->lent)
        return refuse(err, -EBUSY);
    if (k->now.change == CAPTURE_CHANGE_NONE)
        return begin(k, e, err);
    if (k->now.change != CAPTURE_CHANGE_UPDATE || k->waiting.change != CAPTURE_CHANGE_NONE)
        return refuse(err, -EBUSY);
    k->waiting = *e;
    return 0;
}

int capture_keeper_on(struct capture_keeper *k, const struct capture_request *request,
                      capture_holder_done_fn *done, void *arg, char *err)
{
    struct capture_errand e = {.change = CAPTURE_CHANGE_ON, .request = *request, .done = done, .arg = arg};
    return begin_or_wait(k, &e, err);
}

int capture_keeper_off(struct capture_keeper *k, capture_holder_done_fn *done, void *arg, char *err)
{
    struct capture_errand e = {.change = CAPTURE_CHANGE_OFF, .done = done, .arg = arg};
    return begin_or_wait(k, &e, err);
}

/* --- up to date ----------------------------------------------------------------------------------------- */

/* The kernel removes a table that goes with its holder, which may have ended. */
static bool is_lost(const struct capture_keeper *k)
{
    return !k->request.stops && !k->holder.owns;
}

/* Whether the rules can be replaced. Those that a proxy with an obstacle would write let traffic pass, and
 * those of IPv6 need routing rules, which steerway capture adds. */
static bool may_replace(struct capture_keeper *k, const struct capture_place *at,
                        const struct capture_shape *wanted)
{
    if (at->obstacle)
        tell_outdated(k, at->obstacle);
    else if (wanted->six != k->shape.six)
        tell_outdated(k, wanted->six ? "the proxy has a listener for captured IPv6 now"
                                     : "the proxy has no listener for captured IPv6 any more");
    return !at->obstacle && wanted->six == k->shape.six && !k->fixed;
}

/* @param e  its shape is the wanted one; freed when nothing is to be done
 * @return 0 when the table is up to date, or will be */
static int update_by(struct capture_keeper *k, const struct capture_place *at, struct capture_errand *e,
                     char *err)
{
    bool others = at->obstacle || capture_shape_compare(&k->shape, &e->shape) == CAPTURE_OTHER_RULES;
    struct buf script;

    e->whole = others && may_replace(k, at, &e->shape);
    e->fits = e->whole || !others;
    if (!e->whole && capture_ranges_same(&k->shape.near, &e->shape.near)) {
        capture_shape_done(&e->shape);
        note_result(k, e->fits);
        return 0;
    }
    if (!e->whole) { /* the rules stay as they are */
        free(e->shape.rules);
        e->shape.rules = k->shape.rules ? strdup(k->shape.rules) : NULL;
        e->shape.six = k->shape.six;
    }
    buf_init(&script, CAPTURE_SCRIPT_MAX);
    int r = e->whole ? capture_plan_table(&e->request, &at->ground, &script)
                     : capture_plan_sets(&at->ground, &script);
    r = r < 0 ? refuse(err, r) : run(k, e, &script, err);
    buf_done(&script);
    return r;
}

static void begin_update(struct capture_keeper *k)
{
    struct capture_errand e = {.change = CAPTURE_CHANGE_UPDATE, .request = k->request};
    struct capture_place at;
    char err[CAPTURE_ERROR_MAX];

    k->again = k->settled = false;
    if (!k->on || is_lost(k))
        return forget(k);
    if (k->holder.late) /* on_late_answer comes back to it */
        return;
    const double begun_s = clock_now_s();
    int r = capture_place_find(&at, k->proxy, &k->request);
    const double ended_s = clock_now_s();
    k->read_after_s = ended_s + (ended_s - begun_s) / READING_SHARE;
    if (r == 0)
        r = capture_shape_of(&k->request, &at.ground, &e.shape);
    r = r < 0 ? refuse(err, r) : update_by(k, &at, &e, err);
    if (r < 0) {
        capture_shape_done(&e.shape);
        k->failed_s = clock_now_s();
        tell_outdated(k, err);
    }
    capture_place_done(&at);
}

/* @return whether captured traffic has to go elsewhere than at the latest look */
static bool note_listeners(struct capture_keeper *k)
{
    struct capture_ground now = {.own_mark = 0};
    bool udp;

    capture_place_listeners(k->proxy, &now, &udp);
    bool same = addr_same_end(&now.to4, &k->to4) && addr_same_end(&now.to6, &k->to6) && udp == k->udp;
    k->to4 = now.to4;
    k->to6 = now.to6;
    k->udp = udp;
    return !same;
}

/* @return whether they are others than at the latest attempt */
static bool note_networks(struct capture_keeper *k, const struct machine *m)
{
    struct cidr_set near = {.n = 0};
    struct capture_ranges now = {.n = 0};
    int r = capture_near_find(m, &near);

    if (r == 0)
        r = capture_plan_near(&(struct capture_ground){.near = near.items, .n_near = near.n}, &now);
    bool changed = r == 0 && !capture_ranges_same(&now, &k->networks);
    if (changed) {
        capture_ranges_done(&k->networks);
        k->networks = now;
        now = (struct capture_ranges){.n = 0};
    }
    capture_ranges_done(&now);
    cidr_set_done(&near);
    return changed;
}

void capture_keeper_look(struct capture_keeper *k, const struct machine *m, bool settled)
{
    if (k->lent || (!k->on && k->now.change != CAPTURE_CHANGE_ON))
        return;
    const double now_s = clock_now_s();
    k->settled = k->settled || settled;
    bool networks = note_networks(k, m), listeners = note_listeners(k);
    bool again = networks || listeners || (k->failed_s != 0 && now_s - k->failed_s > RETRY_S);
    if (again) /* what kept the rules from being replaced may be gone */
        k->fixed = false;
    if (!again && !(k->settled && now_s > k->read_after_s))
        return;
    if (k->now.change != CAPTURE_CHANGE_NONE)
        k->again = true;
    else
        begin_update(k);
}

/* --- an earlier run's ----------------------------------------------------------------------------------- */

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;

    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void capture_keeper_adopt(struct capture_keeper *k, const char *control)
{
    struct capture_record *r = calloc(1, sizeof *r);

    if (r && capture_record_read(r) == 0 && r->known && r->request.stops &&
        is_same_file(r->control, control) && capture_steps_are_there(&r->steps)) {
        k->on = true;
        k->request = r->request;
        for (size_t i = 0; i < r->steps.n; i++)
            k->shape.six = k->shape.six || r->steps.items[i].family == AF_INET6;
    }
    free(r);
}

bool capture_keeper_is_busy(const struct capture_keeper *k)
{
    return k->now.change != CAPTURE_CHANGE_NONE || k->waiting.change != CAPTURE_CHANGE_NONE || k->holder.late;
}

void capture_keeper_take_over(struct capture_keeper *k, const struct capture_request *request, bool six,
                              int in_fd, int said_fd, pid_t pid)
{
    capture_holder_take_over(&k->holder, request, in_fd, said_fd, pid);
    k->on = true;
    k->request = *request;
    k->shape.six = six;
}

void capture_keeper_close(struct capture_keeper *k)
{
    capture_holder_close(&k->holder);
    capture_shape_done(&k->now.shape);
    capture_shape_done(&k->waiting.shape);
    k->now = k->waiting = (struct capture_errand){.change = CAPTURE_CHANGE_NONE};
    forget(k);
}
