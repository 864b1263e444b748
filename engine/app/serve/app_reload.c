#include "serve/app_reload.h"

#include "config/startup.h"
#include "follow/uplink_reload.h"
#include "serve/app.h"
#include "serve/app_confine.h"
#include "serve/app_log.h"
#include "serve/app_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One reading of the config, until it applies or is given up. */
struct reload {
    struct app *app;
    struct config config; /* as it was read now; after config_take, the settings before */
    struct uplink_reload uplinks;
    struct log_sink *log; /* that the config wants; NULL if the present one stays */
    json_t *changes;
    const char *trigger;
    app_reloaded_fn *done;
    void *arg;
};

/* --- the end -------------------------------------------------------------------------------------------- */

static void finish(struct reload *r, const char *err)
{
    const struct app_reloaded result = {.applied = !err, .err = err, .changes = r->changes};

    service_say("READY=1\nSTATUS=%s, policy %s", err ? "a reload was refused, serving as before" : "serving",
                policy_name(r->app->policy));
    if (r->done)
        r->done(r->arg, &result);
    json_decref(r->changes);
    config_done(&r->config);
    log_sink_free(r->log);
    if (r->app->reload == r)
        r->app->reload = NULL;
    free(r);
}

static void refuse(struct reload *r, const char *err)
{
    struct log_line l;

    log_begin(&l, EVENT_CONFIG_NOT_RELOADED);
    log_str(&l, "trigger", r->trigger);
    log_str(&l, "error", err);
    log_end(&l);
    finish(r, err);
}

static void log_reloaded(const struct reload *r)
{
    const json_t *change;
    struct log_line l;
    uint64_t n = 0;
    size_t i;

    json_array_foreach(r->changes, i, change)
    {
        const char *applies = json_string_value(json_object_get(change, "applies"));
        if (strcmp(applies, "now") == 0) {
            n++;
            continue;
        }
        if (strcmp(applies, "restart") != 0)
            continue;
        log_begin(&l, EVENT_CONFIG_NEEDS_RESTART);
        log_str(&l, "key", json_string_value(json_object_get(change, "key")));
        log_str(&l, "change", json_string_value(json_object_get(change, "change")));
        log_end(&l);
    }
    log_begin(&l, EVENT_CONFIG_RELOADED);
    log_str(&l, "trigger", r->trigger);
    log_u64(&l, "changes", n);
    log_end(&l);
}

static void take_log(struct reload *r)
{
    if (!r->log)
        return app_log_reopen();
    log_use(r->log);
    r->log = NULL;
}

/* --- the policy comes last, since its load can still be refused ----------------------------------------- */

static void on_loaded(void *arg, const struct loading_verdict *verdict)
{
    struct reload *r = arg;
    struct app *a = r->app;
    struct machine m;

    if (!verdict->loaded) {
        uplink_reload_undo(&r->uplinks, &a->follow);
        app_listen_undo(a);
        return refuse(r, verdict->err);
    }
    config_take(a->config, &r->config);
    take_log(r);
    app_settle(a, &r->config);
    app_listen_settle(a, a->config);
    uplink_reload_keep(&r->uplinks, &a->follow);
    if (machine_read_links(&m) == 0) {
        surroundings_settle(&a->surroundings, &m);
        machine_done(&m);
    }
    machine_follow_look(&a->follow);
    log_reloaded(r);
    finish(r, NULL);
}

static bool same_policy(const struct config *a, const struct config *b)
{
    if (strcmp(config_policy(a), config_policy(b)) != 0 || a->n_params != b->n_params)
        return false;
    for (size_t i = 0; i < a->n_params; i++)
        if (strcmp(a->params[i].key, b->params[i].key) != 0 ||
            strcmp(a->params[i].value, b->params[i].value) != 0)
            return false;
    return true;
}

/* A policy that the user has chosen since stays, unless the config names another one than before. */
static void load_policy(struct reload *r)
{
    struct app *a = r->app;
    char err[CONFIG_ERROR_MAX], *file = NULL;

    if (same_policy(a->config, &r->config))
        return policy_loading_ask(&a->loading, NULL, r->trigger, on_loaded, r);
    if (paths_policy(a->paths, config_policy(&r->config), &file, err) < 0) {
        const struct loading_verdict refused = {.loaded = false};
        struct loading_verdict v = refused;
        (void)snprintf(v.err, sizeof v.err, "%s", err);
        return on_loaded(r, &v);
    }
    const struct policy_source source = {
        .file = file, .params = r->config.params, .n_params = r->config.n_params};
    policy_loading_ask(&a->loading, &source, r->trigger, on_loaded, r);
    free(file);
}

/* --- the beginning -------------------------------------------------------------------------------------- */

/* @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); then nothing has changed */
static int open_all(struct reload *r, const struct machine *m, char *err)
{
    struct app *a = r->app;
    int e = startup_check(&r->config, m, err);

    if (e == 0 && a->config->run_as)
        e = app_confine_check(&r->config, err);
    if (e == 0 && !app_log_is_same(a->config, &r->config))
        e = app_log_open(&r->log, &r->config, err);
    if (e < 0)
        return e;
    e = app_listen(a, &r->config, m, err);
    if (e < 0)
        return e;
    e = uplink_reload_apply(&r->uplinks, &a->follow, a->config, &r->config, m, err);
    if (e < 0)
        app_listen_undo(a);
    return e;
}

static int begin(struct reload *r, char *err)
{
    struct app *a = r->app;
    struct machine m;
    int e = a->source.read(a->source.arg, &r->config, err);

    if (e < 0)
        return e;
    r->changes = a->source.changes(a->source.arg, a->config->said, r->config.said);
    e = machine_read(&m);
    if (e < 0) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "cannot read the links of this machine: %s", strerror(-e));
        return e;
    }
    e = open_all(r, &m, err);
    machine_done(&m);
    return e;
}

void app_reload(struct app *a, const char *trigger, app_reloaded_fn *done, void *arg)
{
    char err[CONFIG_ERROR_MAX] = "out of memory";
    struct reload *r = calloc(1, sizeof *r);

    if (!r || a->reload || a->takeover.taker || a->proxy.draining) {
        const struct app_reloaded refused = {.err = !r          ? err
                                                    : a->reload ? "the config is being read; try again"
                                                    : a->takeover.taker ? "another process is taking over"
                                                                        : "the proxy is stopping"};
        free(r);
        if (done)
            done(arg, &refused);
        return;
    }
    *r = (struct reload){.app = a, .trigger = trigger, .done = done, .arg = arg};
    config_init(&r->config);
    service_say_reloading();
    a->reload = r;
    if (begin(r, err) < 0)
        return refuse(r, err);
    load_policy(r);
}
