#include "serve/app.h"

#include "health/checks.h"
#include "serve/app_log.h"
#include "serve/app_settings.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* --- signals -------------------------------------------------------------------------------------------- */

static void on_drained(struct proxy *p)
{
    struct app *a = container_of(p, struct app, proxy);
    ev_break(a->loop, EVBREAK_ALL);
}

static void on_int(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    app_end(container_of(w, struct app, on_int));
}

static void on_term(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    app_end(container_of(w, struct app, on_term));
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int events)
{
    struct app *a = container_of(w, struct app, on_hup);

    (void)loop;
    (void)events;
    app_reload(a, "signal", NULL, NULL);
}

static void on_usr1(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
    app_log_reopen();
}

static void watch_signals(struct app *a)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a write beyond the file size limit fails like one on a full disk */
    ev_signal_init(&a->on_int, on_int, SIGINT);
    ev_signal_start(a->loop, &a->on_int);
    ev_signal_init(&a->on_term, on_term, SIGTERM);
    ev_signal_start(a->loop, &a->on_term);
    ev_signal_init(&a->on_hup, on_hup, SIGHUP);
    ev_signal_start(a->loop, &a->on_hup);
    ev_signal_init(&a->on_usr1, on_usr1, SIGUSR1);
    ev_signal_start(a->loop, &a->on_usr1);
}

/* --- start and end -------------------------------------------------------------------------------------- */

/* Each proxied connection takes two descriptors. The usual soft limit of 1,024 is meant for programs that
 * use select. */
static void raise_file_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int open_udp(struct app *a, char *err)
{
    int e = proxy_open_udp(&a->proxy, &a->config->udp);

    if (e < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX, "UDP does not start: %s", strerror(-e));
    return e;
}

int app_init(struct app *a, struct config *config, const struct app_source *source,
             const struct app_origin *origin, const struct paths *paths, const struct machine *m,
             struct uplink_set *uplinks, struct policy *policy, char *err)
{
    *a = (struct app){.config = config,
                      .source = *source,
                      .origin = *origin,
                      .paths = paths,
                      .uplinks = uplinks,
                      .policy = policy,
                      .takeover = {.before = {.fd = -1}}};
    raise_file_limit();
    /* Ignore LIBEV_FLAGS: it could select libev's io_uring backend, which ends the process under load. */
    a->loop = ev_default_loop(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (!a->loop) {
        int r = errno ? -errno : -ENOMEM;
        (void)snprintf(err, CONFIG_ERROR_MAX, "the event loop does not start: %s", strerror(-r));
        return r;
    }
    a->capture.holder.loop = a->loop;
    a->capture.proxy = &a->proxy;
    policy_loading_open(&a->loading, a->loop, policy);
    struct surroundings *s = &a->surroundings;
    int e = surroundings_open(s, a->loop, config, uplinks, m, err);
    if (e < 0)
        return e;
    const struct outbounds outbounds = {.loop = a->loop,
                                        .resolver = s->names.direct,
                                        .uplinks = a->uplinks,
                                        .policy = a->policy,
                                        .settings = app_outbound_settings(a)};
    const struct proxy_settings settings = app_proxy_settings(a);
    proxy_init(&a->proxy, &outbounds, &settings);
    const struct limits_settings limits = config_limits(config);
    limits_set(&a->proxy.limits, &limits);
    a->proxy.drained = on_drained;
    e = open_udp(a, err);
    if (e < 0)
        return e;
    /* Before the start is announced: a reader of that may send a signal at once. */
    watch_signals(a);
    e = app_take_over(a, err);
    if (e < 0)
        return e;
    app_take_ports(a);
    e = app_listen(a, config, m, err);
    if (e == 0)
        e = app_check_activated(a, err);
    return e < 0 ? e : app_open_services(a, err);
}

static void on_meters(void *arg)
{
    struct app *a = arg;

    ledger_look(&a->ledger);
}

void app_warn_of_routes(struct app *a, const struct machine *m)
{
    machine_follow_warn_of_routes(&a->follow, a->uplinks, m);
}

static void log_no_events(int err)
{
    struct log_line l;

    log_begin(&l, EVENT_NO_LINK_EVENTS);
    log_str(&l, "error", strerror(-err));
    log_end(&l);
}

static size_t usual_threads(void)
{
    cpu_set_t cpus;

    if (sched_getaffinity(0, sizeof cpus, &cpus) < 0)
        return 1;
    int n = CPU_COUNT(&cpus);
    return n < CONFIG_THREADS_USUAL ? (size_t)n : CONFIG_THREADS_USUAL;
}

static void start_workers(struct app *a)
{
    int n = a->config->threads;
    int r = workers_start(&a->proxy.workers, n == CONFIG_THREADS_AUTO ? usual_threads() : (size_t)n);

    if (r == 0)
        return;
    struct log_line l;
    log_begin(&l, EVENT_FEWER_WORKERS);
    log_u64(&l, "threads", a->proxy.workers.n_workers);
    log_str(&l, "error", strerror(-r));
    log_end(&l);
}

static void on_looked(void *arg, const struct machine *m, bool settled)
{
    struct app *a = arg;

    capture_keeper_look(&a->capture, m, settled);
}

static size_t open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    while (dir && readdir(dir))
        n++;
    if (dir)
        (void)closedir(dir);
    return n;
}

void app_start(struct app *a)
{
    start_workers(a);
    udp_start(&a->proxy.udp);
    a->own_files = open_files();
    a->proxy.settings.sessions_max = app_most_sessions(a);
    a->follow.ledger = &a->ledger;
    a->follow.looked = on_looked;
    a->follow.arg = a;
    if (!app_take_capture(a))
        capture_keeper_adopt(&a->capture, a->control.server.place.path);
    int r = machine_follow_start(&a->follow, a->config, &a->proxy, &a->surroundings);
    if (r < 0)
        log_no_events(r);
    app_check(a);
    policy_timer_init(&a->policy_timer, a->loop, a->policy);
    meter_timer_init(&a->meter_timer, a->loop, a->uplinks);
    a->meter_timer.was_read = on_meters;
    a->meter_timer.arg = a;
}

void app_run(struct app *a)
{
    app_relieve(a);
    ev_run(a->loop, 0);
    policy_timer_done(&a->policy_timer);
    checks_free(a->proxy.outbounds.checks);
    a->proxy.outbounds.checks = NULL;
    meter_timer_done(&a->meter_timer);
    log_plain(EVENT_STOPPED);
}

void app_done(struct app *a)
{
    if (a->proxy.loop) {
        policy_loading_close(&a->loading);
        app_takeover_done(a);
        control_close(&a->control);
        capture_keeper_close(&a->capture);
        policy_watch_stop(&a->watch);
        proxy_stop(&a->proxy);
        proxy_done(&a->proxy);
        ledger_close(&a->ledger);
        ev_signal_stop(a->loop, &a->on_int);
        ev_signal_stop(a->loop, &a->on_term);
        ev_signal_stop(a->loop, &a->on_hup);
        ev_signal_stop(a->loop, &a->on_usr1);
        machine_follow_stop(&a->follow);
        ev_timer_stop(a->loop, &a->drain);
    }
    free(a->own_ends);
    surroundings_close(&a->surroundings);
    if (a->loop)
        ev_loop_destroy(a->loop);
}
