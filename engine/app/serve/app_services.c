#include "serve/app.h"

#include "base/clock.h"
#include "net/dialer.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void warn(enum log_event event, const char *path, const char *why)
{
    struct log_line l;

    log_begin(&l, event);
    if (path)
        log_str(&l, "path", path);
    log_str(&l, "why", why);
    log_end(&l);
}

static int find_policy(void *arg, const char *name_or_file, char **ret, char *err)
{
    const struct app *a = arg;
    return paths_policy(a->paths, name_or_file, ret, err);
}

/* --- the control socket --------------------------------------------------------------------------------- */

/* A client of the control socket that waits for a reload. */
struct asked {
    const struct app *app;
    struct control_reply reply;
    double began_s;
};

static void on_reloaded(void *arg, const struct app_reloaded *result)
{
    struct asked *asked = arg;

    if (result->applied)
        control_answer_loaded(asked->reply, asked->app->policy, clock_now_s() - asked->began_s,
                              json_incref(result->changes));
    else
        control_refuse(asked->reply, "%s", result->err);
    free(asked);
}

static void reload(void *arg, struct control_reply reply)
{
    struct asked *asked = malloc(sizeof *asked);

    if (!asked)
        return control_refuse(reply, "out of memory");
    *asked = (struct asked){.app = arg, .reply = reply, .began_s = clock_now_s()};
    app_reload(arg, "control", on_reloaded, asked);
}

static json_t *diff(void *arg, const json_t *other)
{
    const struct app *a = arg;

    return a->source.changes(a->source.arg, a->config->said, other);
}

static const char *control_trouble(int err)
{
    switch (-err) {
    case EADDRINUSE:
        return "another proxy is there; give this one a place of its own with --control";
    case EEXIST:
        return "the file exists and is not a socket";
    case ENAMETOOLONG:
        return "a socket's path has at most 107 bytes";
    default:
        return strerror(-err);
    }
}

/* That of the process before. @return whether it has handed it over */
static bool take_place(struct app *a, const char *path, struct control_place *ret)
{
    struct handed_set *handed = &a->takeover.before.handed;
    int fd = handed_take(handed, HANDED_CONTROL, path, NULL);

    if (fd < 0)
        return false;
    *ret = (struct control_place){.fd = fd, .lock_fd = handed_take(handed, HANDED_CONTROL_LOCK, path, NULL)};
    (void)snprintf(ret->path, sizeof ret->path, "%s", path);
    return true;
}

static int open_control(struct app *a, char *err)
{
    struct control_subject subject = {.version = STEERWAY_VERSION,
                                      .proxy = &a->proxy,
                                      .loading = &a->loading,
                                      .capture = &a->capture,
                                      .follow = &a->follow,
                                      .reload = reload,
                                      .diff = diff,
                                      .reload_arg = a,
                                      .takeover = app_verb_takeover,
                                      .restart = app_verb_restart,
                                      .count = app_verb_count,
                                      .left = app_control_left,
                                      .takeover_arg = a,
                                      .find_policy = find_policy,
                                      .find_arg = a};
    const char *given = a->config->control;
    char path[CONTROL_PATH_MAX];
    struct control_place place;

    int r = app_control_path(a, path);
    if (r == 0 && !path[0])
        return 0;
    if (r == 0 && take_place(a, path, &place))
        subject.place = &place;
    if (r == 0)
        r = control_open(&a->control, a->loop, path, &subject);
    if (r < 0 && given) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "--control %.500s: %s", given, control_trouble(r));
        return r;
    }
    if (r == -ENOENT)
        warn(EVENT_NO_CONTROL_SOCKET, NULL, "no runtime directory for it; name its path with --control");
    else if (r < 0)
        warn(EVENT_NO_CONTROL_SOCKET, path, control_trouble(r));
    return 0;
}

static void open_watch(struct app *a)
{
    int r = a->config->no_watch ? 0 : policy_watch_start(&a->watch, a->loop, a->policy, &a->loading);

    if (r < 0)
        warn(EVENT_POLICY_NOT_WATCHED, NULL, strerror(-r));
}

static void look_at_fast_open(const struct app *a)
{
    if (a->config->fast_open && !dial_early_is_allowed())
        warn(EVENT_NO_FAST_OPEN, "/proc/sys/net/ipv4/tcp_fastopen",
             "the kernel lets no client use it; sysctl net.ipv4.tcp_fastopen=1 would");
}

static int open_record(struct app *a, char *err)
{
    const char *path = a->config->record;
    if (app_take_record(a, path))
        return 0;
    int r = path ? recorder_start(&a->proxy.outbounds.recorder, a->loop, path) : 0;

    if (r == 0)
        return 0;
    (void)snprintf(err, CONFIG_ERROR_MAX, "--record %.500s: %s", path,
                   r == -EEXIST ? "the file exists already; name a new one" : strerror(-r));
    return r;
}

/* Also the connections by a removed uplink of that name, since their bytes count for the same quota. */
static size_t cut_uplink(void *owner, struct uplink *u)
{
    struct proxy *p = owner;
    const struct uplink_set *set = p->outbounds.uplinks;
    size_t n = proxy_cut(p, u, NULL);

    for (size_t i = set->n; i < set->n_all; i++)
        if (strcmp(set->items[i]->name, u->name) == 0)
            n += proxy_cut(p, set->items[i], NULL);
    return n;
}

static int open_ledger(struct app *a, char *err)
{
    const char *given = a->config->state;
    char place[PATH_MAX];
    const char *path = given && strcmp(given, "none") == 0 ? NULL : given ? given : place;
    int r = given ? 0 : state_file_default(place);

    if (r < 0)
        path = NULL;
    const struct ledger_ties ties = {
        .uplinks = a->uplinks, .policy = a->policy, .cut = cut_uplink, .owner = &a->proxy};
    struct handed_set *handed = &a->takeover.before.handed;
    const struct ledger_handed before = {.state = json_object_get(a->takeover.before.answer, "state"),
                                         .lock_fd =
                                             path ? handed_take(handed, HANDED_STATE_LOCK, path, NULL) : -1};
    int opened = ledger_take_over(&a->ledger, a->loop, path, &ties, &before);
    r = r < 0 ? r : opened;
    if (r < 0 && given) {
        (void)snprintf(err, CONFIG_ERROR_MAX, "--state %.500s: %s", given,
                       r == -EADDRINUSE ? "another proxy keeps its state there" : strerror(-r));
        return r;
    }
    if (r < 0)
        warn(EVENT_STATE_NOT_KEPT, path,
             r == -EADDRINUSE
                 ? "another proxy keeps its state there; give this one a place of its own with --state"
             : r == -ENOENT ? "no state directory for them; name a path with --state"
                            : strerror(-r));
    return 0;
}

int app_open_services(struct app *a, char *err)
{
    int r = open_ledger(a, err);

    if (r == 0)
        r = open_control(a, err);
    if (r < 0)
        return r;
    open_watch(a);
    look_at_fast_open(a);
    return open_record(a, err);
}
