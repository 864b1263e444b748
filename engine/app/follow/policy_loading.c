#include "follow/policy_loading.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

void policy_loading_warn(const struct policy *p)
{
    const struct policy_unheeded *list;
    size_t n = policy_unheeded(p, &list);

    for (size_t i = 0; i < n; i++) {
        struct log_line l;
        log_begin(&l, EVENT_POLICY_SETTING_IGNORED);
        log_str(&l, "policy", policy_name(p));
        log_str(&l, "setting", list[i].setting);
        log_str(&l, "uplinks", list[i].uplinks);
        log_str(&l, "hint", list[i].hint);
        log_end(&l);
    }
}

static void log_verdict(const struct policy *p, const struct loading_verdict *v, const char *trigger)
{
    struct log_line l;

    if (v->loaded) {
        log_begin(&l, EVENT_POLICY_RELOADED);
        log_str(&l, "policy", policy_name(p));
        log_u64(&l, "generation", policy_generation(p));
        log_num(&l, "seconds", v->took_s);
    } else {
        log_begin(&l, EVENT_POLICY_NOT_RELOADED);
        log_u64(&l, "generation", policy_generation(p));
        log_str(&l, "error", v->err);
    }
    log_str(&l, "trigger", trigger);
    log_end(&l);
    if (v->loaded)
        policy_loading_warn(p);
}

static void announce(struct policy_loading *l, enum loading_event event)
{
    LIST_EACH(&l->listeners, it, tmp) {
        struct loading_listener *listener = container_of(it, struct loading_listener, node);
        listener->hear(listener, event);
    }
}

void policy_loading_listen(struct policy_loading *l, struct loading_listener *listener)
{
    list_push_back(&l->listeners, &listener->node);
}

void policy_loading_leave(struct loading_listener *listener)
{
    list_remove(&listener->node);
}

/* --- the thread ----------------------------------------------------------------------------------------- */

static void *read_lists(void *arg)
{
    struct policy_loading *l = arg;

    policy_lists_read(l->policy, &l->stop);
    ev_async_send(l->loop, &l->was_read);
    return NULL;
}

/* The thread blocks signals: the policy's watchdog must reach the main thread. */
static int start_reading(struct policy_loading *l)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&l->reader, NULL, read_lists, l);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return -r;
    (void)pthread_setname_np(l->reader, "steerway-lists");
    l->reading = true;
    return 0;
}

/* --- loads, one after the other ------------------------------------------------------------------------- */

/* Removes the first request before the callbacks, which may ask for another load. */
static void loading_finish(struct policy_loading *l, struct loading_verdict *v)
{
    struct loading_request r = l->waiting[0];

    policy_change_end(l->policy);
    v->took_s = clock_now_s() - l->began_s;
    log_verdict(l->policy, v, r.trigger);
    l->n_waiting--;
    memmove(l->waiting, l->waiting + 1, l->n_waiting * sizeof *l->waiting);
    policy_source_done(&r.source);
    announce(l, v->loaded ? LOADING_LOADED : LOADING_REFUSED);
    if (r.done)
        r.done(r.arg, v);
}

/* @return whether the load is over */
static bool step(struct policy_loading *l)
{
    const struct policy_source *source = &l->waiting[0].source;
    struct loading_verdict v = {.loaded = false};
    int r = policy_change_step(l->policy, source->file ? source : NULL, v.err);

    if (r == -EAGAIN) {
        announce(l, LOADING_READS); /* now, so that a save during the reading is not missed */
        r = start_reading(l);
        if (r == 0)
            return false;
        (void)snprintf(v.err, sizeof v.err, "no thread to read the policy's lists: %s", strerror(-r));
    }
    v.loaded = r == 0;
    if (v.loaded)
        v.err[0] = '\0';
    loading_finish(l, &v);
    return true;
}

static void run(struct policy_loading *l)
{
    l->running = true;
    while (l->n_waiting > 0 && !l->reading) {
        l->began_s = clock_now_s();
        policy_change_begin(l->policy);
        (void)step(l);
    }
    l->running = false;
}

static void on_read(struct ev_loop *loop, ev_async *w, int events)
{
    struct policy_loading *l = container_of(w, struct policy_loading, was_read);

    (void)loop;
    (void)events;
    if (!l->reading)
        return;
    (void)pthread_join(l->reader, NULL);
    l->reading = false;
    l->running = true;
    bool over = step(l);
    l->running = false;
    if (over)
        run(l);
}

/* --- open, ask, close ----------------------------------------------------------------------------------- */

static void loading_refuse(loading_done_fn *done, void *arg, const char *why)
{
    struct loading_verdict v = {.loaded = false};

    (void)snprintf(v.err, sizeof v.err, "%s", why);
    if (done)
        done(arg, &v);
}

void policy_loading_open(struct policy_loading *l, struct ev_loop *loop, struct policy *policy)
{
    *l = (struct policy_loading){.loop = loop, .policy = policy};
    list_init(&l->listeners);
    ev_async_init(&l->was_read, on_read);
    ev_async_start(loop, &l->was_read);
    ev_unref(loop); /* the watcher must not keep the loop running */
}

void policy_loading_close(struct policy_loading *l)
{
    if (!l->policy)
        return;
    if (l->reading) {
        atomic_store(&l->stop, true);
        (void)pthread_join(l->reader, NULL);
        policy_change_end(l->policy);
    }
    LIST_EACH(&l->listeners, it, tmp)
        list_remove(it);
    ev_ref(l->loop);
    ev_async_stop(l->loop, &l->was_read);
    for (size_t i = 0; i < l->n_waiting; i++) {
        policy_source_done(&l->waiting[i].source);
        loading_refuse(l->waiting[i].done, l->waiting[i].arg, "the proxy stops");
    }
    *l = (struct policy_loading){.policy = NULL};
}

bool policy_loading_busy(const struct policy_loading *l)
{
    return l->n_waiting > 0;
}

/* Whether a request without a callback would only repeat one that waits. */
static bool is_asked_already(const struct policy_loading *l)
{
    for (size_t i = 1; i < l->n_waiting; i++)
        if (!l->waiting[i].source.file)
            return true;
    return false;
}

void policy_loading_ask(struct policy_loading *l, const struct policy_source *source, const char *trigger,
                        loading_done_fn *done, void *arg)
{
    struct loading_request r = {.trigger = trigger, .done = done, .arg = arg};

    if (!source && !done && is_asked_already(l))
        return;
    if (l->n_waiting == POLICY_LOADING_MAX)
        return loading_refuse(done, arg, "too many loads wait already; try again");
    if (source && policy_source_copy(&r.source, source) < 0)
        return loading_refuse(done, arg, "out of memory");
    l->waiting[l->n_waiting++] = r;
    if (!l->running && !l->reading)
        run(l);
}
